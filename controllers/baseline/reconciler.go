// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package baseline owns the life of a baseline: its finalizer, its revisions and their admission, and its status. It writes
// no NetworkPolicies.
package baseline

import (
	"context"
	"fmt"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/metrics"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
	"github.com/netbaseline/netbaseline/controllers/revision"
)

const (
	// statusInterval is the least time between two writes of one baseline's status, other than those that admit.
	statusInterval = time.Second
	// confirmTimeout is how long a status that was true before a restart is left alone while namespaces have not been
	// looked at yet: a restart writes nothing unless something has changed.
	confirmTimeout = 30 * time.Second
)

// OwnerUIDIndex is the cache's index of policies by the UIDs of the baselines that own them.
const OwnerUIDIndex = "metadata.ownerReferences.uid"

// Reconciler owns the life of baselines. It has one worker.
type Reconciler struct {
	client         client.Client
	results        result.Source
	revisions      *revision.Store
	facts          *facts.Tracker
	preflight      *preflight
	infrastructure *infrastructure
	protection     policy.Protection
	now            func() time.Time
	started        time.Time
	states         map[types.UID]*state
}

// New returns a reconciler. live reads past the cache.
func New(c client.Client, live client.Reader, protection policy.Protection, tracker *facts.Tracker, revisions *revision.Store, results result.Source) *Reconciler {
	return &Reconciler{
		client: client.WithFieldOwner(c, policy.FieldManager), results: results, revisions: revisions, facts: tracker,
		preflight:      &preflight{pods: live, namespaces: c},
		infrastructure: &infrastructure{reader: live},
		protection:     protection, now: time.Now, started: time.Now(), states: map[types.UID]*state{},
	}
}

// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines,verbs=list;watch;patch
// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines/status,verbs=update
// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines/finalizers,verbs=update

// Reconcile brings a baseline's finalizer, revisions and status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	b := &v1alpha1.NetworkBaseline{}
	if err := r.client.Get(ctx, req.NamespacedName, b); err != nil {
		if apierrors.IsNotFound(err) {
			metrics.Forget(req.Name) // also of one whose finalizer somebody else took off
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if b.DeletionTimestamp == nil && !controllerutil.ContainsFinalizer(b, v1alpha1.Finalizer) {
		return again(r.setFinalizers(ctx, b, func() { controllerutil.AddFinalizer(b, v1alpha1.Finalizer) }))
	}
	if b.DeletionTimestamp != nil {
		if done, err := r.finish(ctx, b); done || err != nil {
			return again(err)
		}
	}
	if err := r.infrastructure.refresh(ctx, r.now()); err != nil {
		// Warnings may be missing; nothing else depends on it.
		log.FromContext(ctx).Error(err, "Could not learn which namespaces the API server calls into")
	}
	after, err := r.report(ctx, b)
	if err != nil {
		return again(err)
	}
	return reconcile.Result{RequeueAfter: after}, nil
}

// again drops the error of a write that lost a race. The event of the winner wakes us; should there have been none, because
// the API server was only busy, we come again.
func again(err error) (reconcile.Result, error) {
	switch {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: statusInterval}, nil
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, err
}

// finish takes the finalizers off a deleted baseline when they have served; done means that there is nothing more to do in
// this pass.
func (r *Reconciler) finish(ctx context.Context, b *v1alpha1.NetworkBaseline) (done bool, err error) {
	if !controllerutil.ContainsFinalizer(b, v1alpha1.Finalizer) {
		return true, nil
	}
	// Foreground deletion lets the garbage collector delete the policies in any order, and so with gaps. Our own finalizer
	// promises the same, that the baseline goes after its policies, and keeps the order.
	if controllerutil.ContainsFinalizer(b, metav1.FinalizerDeleteDependents) {
		return true, r.setFinalizers(ctx, b, func() { controllerutil.RemoveFinalizer(b, metav1.FinalizerDeleteDependents) })
	}
	left, err := r.policiesLeft(ctx, b)
	if err != nil || left {
		return false, err
	}
	if err := r.setFinalizers(ctx, b, func() { controllerutil.RemoveFinalizer(b, v1alpha1.Finalizer) }); err != nil {
		return true, err
	}
	log.FromContext(ctx).Info("Baseline is gone, and so are its policies", "deletionPolicy", b.Spec.DeletionPolicy)
	r.results.Forget(b.UID)
	r.revisions.Forget(b.UID)
	delete(r.states, b.UID)
	metrics.Forget(b.Name)
	return true, nil
}

// policiesLeft reports whether something of a deleted baseline is still in force that it should wait for: not for what others
// hold in deletion after it was made to select no pod, nor for namespaces that are going themselves.
func (r *Reconciler) policiesLeft(ctx context.Context, b *v1alpha1.NetworkBaseline) (bool, error) {
	quiesced := r.results.Quiesced(b.UID)
	results, _ := r.results.Of(b.UID)
	for _, s := range results {
		if s.Leaving || s.Selected { // what is selected was not looked at since the deletion
			return true, nil
		}
	}
	var policies networkingv1.NetworkPolicyList
	if err := r.client.List(ctx, &policies, client.MatchingFields{OwnerUIDIndex: string(b.UID)}, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("counting policies of %s: %w", b.Name, err)
	}
	going, err := r.terminating(ctx)
	if err != nil {
		return false, err
	}
	observed := &policy.Baseline{Name: b.Name, UID: b.UID}
	for i := range policies.Items {
		p := &policies.Items[i]
		if policy.OwnedBy(p, observed) && !policy.Inert(p) && !going[p.Namespace] {
			return true, nil
		}
	}
	return !quiesced, nil
}

// setFinalizers writes the finalizers and nothing else: spec and labels belong to whoever applies the baseline.
func (r *Reconciler) setFinalizers(ctx context.Context, b *v1alpha1.NetworkBaseline, change func()) error {
	before := b.DeepCopy()
	change()
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, b, patch); err != nil {
		return fmt.Errorf("setting finalizers of %s: %w", b.Name, err)
	}
	return nil
}

// report advances the revisions and writes the status when it changed: at once when a revision is admitted, and otherwise at
// most every statusInterval. It returns when to come again; 0 for when something changes.
func (r *Reconciler) report(ctx context.Context, b *v1alpha1.NetworkBaseline) (time.Duration, error) {
	v, err := r.view(ctx, b)
	if err != nil {
		return 0, err
	}
	status := newStatus(b, v, r.now())
	metrics.SetBaseline(b, &status, v.overrides())
	next := r.due(b, v)
	if equality.Semantic.DeepEqual(b.Status, status) {
		return next, nil
	}
	s := r.state(b.UID)
	moves := status.UpdateRevision != b.Status.UpdateRevision || status.CurrentRevision != b.Status.CurrentRevision ||
		(status.Rollout == nil) != (b.Status.Rollout == nil)
	if wait := statusInterval - r.now().Sub(s.written); wait > 0 && !moves {
		return wait, nil
	}
	if !moves && r.hold(b, v) {
		return statusInterval, nil
	}
	b.Status = status
	// The resourceVersion guards the write: whoever decided on an old baseline decides again.
	if err := r.client.Status().Update(ctx, b); err != nil {
		return 0, err
	}
	s.written = r.now()
	r.results.Wrote(b.UID, v.repairs)
	return next, nil
}

// due is when something has to be looked at again without an event; 0 for not.
func (r *Reconciler) due(b *v1alpha1.NetworkBaseline, v *view) time.Duration {
	if b.DeletionTimestamp != nil {
		return statusInterval // in a namespace that is going, the last policies go without a word of ours
	}
	if v.check == nil {
		return checkSoon
	}
	return max(v.check.again.Sub(r.now()), time.Millisecond)
}

// hold reports whether to wait for namespaces that were not looked at since the start instead of writing that they are
// pending: the status that is there was true, and most likely still is.
func (r *Reconciler) hold(b *v1alpha1.NetworkBaseline, v *view) bool {
	s := r.state(b.UID)
	if !v.starting || b.Status.ObservedGeneration != b.Generation || b.Status.Rollout != nil {
		s.held = time.Time{}
		return false
	}
	if s.held.IsZero() {
		s.held = r.now()
	}
	return r.now().Sub(s.held) < confirmTimeout
}
