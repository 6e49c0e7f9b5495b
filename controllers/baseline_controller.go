// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

const (
	// statusInterval is the least time between two writes of one baseline's status.
	statusInterval = time.Second
	// confirmPatience is how long a status that was true before is left alone while namespaces have not been looked
	// at yet: after a restart nothing is written unless something changed.
	confirmPatience = 30 * time.Second
)

// BaselineReconciler owns the life of a baseline: its finalizer and its status.
type BaselineReconciler struct {
	client         client.Client
	outcomes       *outcomes
	gate           *gate
	preflight      *preflight
	facts          *facts.Tracker
	infrastructure *infrastructure
	protection     policy.Protection
	now            func() time.Time

	// What follows is used by the one worker alone.
	checks checks
	// written and held are when a status was written last, and since when one is held back.
	written, held map[types.UID]time.Time
}

// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines,verbs=list;watch;patch
// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines/status,verbs=update
// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines/finalizers,verbs=update

// Reconcile brings a baseline's finalizer and status up to date.
func (r *BaselineReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	baseline := &v1alpha1.NetworkBaseline{}
	if err := r.client.Get(ctx, req.NamespacedName, baseline); err != nil {
		if apierrors.IsNotFound(err) {
			// Also of one whose finalizer somebody else took off.
			forgetMetrics(req.Name)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if baseline.DeletionTimestamp == nil && !hasFinalizer(baseline) {
		again, err := ignoreStale(r.setFinalizers(ctx, baseline, func() { controllerutil.AddFinalizer(baseline, v1alpha1.Finalizer) }))
		return reconcile.Result{RequeueAfter: again}, err
	}
	if baseline.DeletionTimestamp != nil {
		done, err := r.finish(ctx, baseline)
		if done || err != nil {
			again, err := ignoreStale(err)
			return reconcile.Result{RequeueAfter: again}, err
		}
	}
	if err := r.check(ctx, baseline); err != nil {
		return reconcile.Result{}, err
	}
	again, err := r.report(ctx, baseline)
	if left := r.checks[baseline.UID].again.Sub(r.now()); baseline.DeletionTimestamp == nil && (again == 0 || left < again) {
		again = max(left, time.Millisecond)
	}
	if baseline.DeletionTimestamp != nil && again == 0 {
		// In a namespace that is going, the last policies go without a word of ours.
		again = statusInterval
	}
	return reconcile.Result{RequeueAfter: again}, err
}

// check makes the preflight when it is due, and opens or closes the gate accordingly.
func (r *BaselineReconciler) check(ctx context.Context, baseline *v1alpha1.NetworkBaseline) error {
	found, version := r.facts.Current(ctx)
	if baseline.DeletionTimestamp != nil || !r.checks.due(baseline, version, r.now()) {
		return nil
	}
	if err := r.infrastructure.refresh(ctx, r.now()); err != nil {
		// Warnings may be missing; nothing else depends on it.
		log.FromContext(ctx).Error(err, "Could not learn which namespaces the API server calls into")
	}
	findings, err := r.preflight.run(ctx, baseline, found)
	if err != nil {
		return fmt.Errorf("preflight of %s: %w", baseline.Name, err)
	}
	r.checks.note(baseline, version, findings, r.now())
	r.gate.set(baseline, len(findings) == 0)
	return nil
}

// finish takes the finalizers off a deleted baseline when they have served; done means that there is nothing more to
// do in this pass.
func (r *BaselineReconciler) finish(ctx context.Context, baseline *v1alpha1.NetworkBaseline) (done bool, err error) {
	if !hasFinalizer(baseline) {
		return true, nil
	}
	// Foreground deletion lets the garbage collector delete the policies in any order, and so with gaps. Our own
	// finalizer promises the same, that the baseline goes after its policies, and keeps the order.
	if controllerutil.ContainsFinalizer(baseline, metav1.FinalizerDeleteDependents) {
		return true, r.setFinalizers(ctx, baseline, func() { controllerutil.RemoveFinalizer(baseline, metav1.FinalizerDeleteDependents) })
	}
	quiesced := r.outcomes.Quiesced(baseline.UID)
	shares, _ := r.outcomes.Of(baseline.UID)
	var policies networkingv1.NetworkPolicyList
	if err := r.client.List(ctx, &policies, client.MatchingFields{ownerUIDIndex: string(baseline.UID)}, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("counting policies of %s: %w", baseline.Name, err)
	}
	if !quiesced || len(shares) > 0 || len(policies.Items) > 0 {
		return false, nil
	}
	if err := r.setFinalizers(ctx, baseline, func() { controllerutil.RemoveFinalizer(baseline, v1alpha1.Finalizer) }); err != nil {
		return true, err
	}
	log.FromContext(ctx).Info("Baseline is gone, and so are its policies", "deletionPolicy", baseline.Spec.DeletionPolicy)
	r.forget(baseline)
	return true, nil
}

// setFinalizers writes the finalizers and nothing else: spec and labels belong to whoever applies the baseline.
func (r *BaselineReconciler) setFinalizers(ctx context.Context, baseline *v1alpha1.NetworkBaseline, change func()) error {
	before := baseline.DeepCopy()
	change()
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, baseline, patch); err != nil {
		return fmt.Errorf("setting finalizers of %s: %w", baseline.Name, err)
	}
	return nil
}

func (r *BaselineReconciler) forget(baseline *v1alpha1.NetworkBaseline) {
	r.outcomes.Forget(baseline.UID)
	r.gate.forget(baseline.UID)
	delete(r.checks, baseline.UID)
	delete(r.written, baseline.UID)
	delete(r.held, baseline.UID)
	forgetMetrics(baseline.Name)
}

// report writes the status when it changed, at most once every statusInterval. It returns when to come again; 0 for
// when something changes.
func (r *BaselineReconciler) report(ctx context.Context, baseline *v1alpha1.NetworkBaseline) (time.Duration, error) {
	if wait := statusInterval - r.now().Sub(r.written[baseline.UID]); wait > 0 {
		return wait, nil
	}
	view, err := r.view(ctx, baseline)
	if err != nil {
		return 0, err
	}
	if r.hold(baseline, view) {
		return statusInterval, nil
	}
	status := newStatus(baseline, view, r.now())
	setMetrics(baseline, &status, &view)
	if equality.Semantic.DeepEqual(baseline.Status, status) {
		return 0, nil
	}
	baseline.Status = status
	// The resourceVersion guards the write: whoever decided on an old baseline decides again.
	if err := r.client.Status().Update(ctx, baseline); err != nil {
		return ignoreStale(err)
	}
	r.written[baseline.UID] = r.now()
	r.outcomes.Wrote(baseline.UID, view.repairs)
	return 0, nil
}

// view gathers what the status is made of.
func (r *BaselineReconciler) view(ctx context.Context, baseline *v1alpha1.NetworkBaseline) (view, error) {
	var v view
	namespaces, err := listNamespaces(ctx, r.client)
	if err != nil {
		return v, fmt.Errorf("listing namespaces: %w", err)
	}
	selector, err := policy.NewSelector(&baseline.Spec, r.protection)
	if err != nil {
		v.invalid = err
	}
	shares, repairs := r.outcomes.Of(baseline.UID)
	v.repairs = repairs
	if last, ok := r.checks[baseline.UID]; ok && last.generation == baseline.Generation {
		v.checked, v.findings = true, last.findings
	}
	var selected []*metav1.PartialObjectMetadata
	for i := range namespaces {
		ns := &namespaces[i]
		s, looked := shares[ns.Name]
		looked = looked && s.Generation == baseline.Generation
		selection := selector.Select(ns.Name, ns.Labels)
		switch {
		case ns.DeletionTimestamp != nil:
		case baseline.DeletionTimestamp != nil || selection == policy.NotSelected:
			if s.Leaving {
				v.add(s)
			}
		case selection == policy.Protected:
			v.protected++
			v.leftAlone = append(v.leftAlone, ns.Name)
		default:
			selected = append(selected, ns)
			if looked && !s.Leaving {
				v.add(s)
			} else {
				v.unseen++
			}
		}
	}
	v.facts, _ = r.facts.Current(ctx)
	v.warnings = r.infrastructure.warnings(baseline, selected)
	return v, nil
}

// hold says whether to wait for namespaces that were not looked at yet instead of writing that they are pending: the
// status that is there was true, and most likely still is.
func (r *BaselineReconciler) hold(baseline *v1alpha1.NetworkBaseline, v view) bool {
	// A rollout under way is told as it goes.
	underway := meta.IsStatusConditionTrue(baseline.Status.Conditions, v1alpha1.ConditionReconciling)
	if v.unseen == 0 || baseline.Status.ObservedGeneration != baseline.Generation || underway {
		delete(r.held, baseline.UID)
		return false
	}
	since, held := r.held[baseline.UID]
	if !held {
		since = r.now()
		r.held[baseline.UID] = since
	}
	return r.now().Sub(since) < confirmPatience
}

func hasFinalizer(o client.Object) bool {
	return controllerutil.ContainsFinalizer(o, v1alpha1.Finalizer)
}

// ignoreStale drops the error of a write that lost a race. The event of the winner wakes us; should there have been
// none, because the API server was only busy, we come again.
func ignoreStale(err error) (again time.Duration, _ error) {
	switch {
	case apierrors.IsConflict(err):
		return statusInterval, nil
	case apierrors.IsNotFound(err):
		return 0, nil
	}
	return 0, err
}
