// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// NamespaceReconciler makes one namespace hold exactly the policies that its baselines ask for.
type NamespaceReconciler struct {
	client     client.Client
	writer     *writer
	inflight   *inflight
	renderer   *renderer
	outcomes   *Outcomes
	narrator   *narrator
	memory     *memory
	gate       *gate
	facts      *facts.Tracker
	protection policy.Protection
	now        func() time.Time
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile converges one namespace: which baselines govern it, what they render, what is live, and the writes
// between the two. It reads from caches only.
func (r *NamespaceReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	s, err := r.look(ctx, req.Name)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("looking at namespace %s: %w", req.Name, err)
	}
	if s == nil {
		r.forget(req.Name)
		return reconcile.Result{}, nil
	}
	if left := r.inflight.waiting(req.Name); left > 0 {
		// The watch event of our last write wakes us.
		return reconcile.Result{RequeueAfter: left}, nil
	}

	rendered, key := r.renderer.render(s)
	live := s.ownership.Sort(s.policies, rendered)
	plan := policy.NewPlan(rendered, live)
	settled := r.memory.settled(s, key)
	result := r.writer.apply(ctx, s.namespace, plan)
	result.failures = append(result.failures, r.release(ctx, s)...)

	r.narrate(ctx, s, result, settled)
	r.memory.remember(s, key, live, result)
	r.outcomes.Set(s.namespace, append(sharesOf(s, rendered, live, plan, result), r.audit(s)...))
	return reconcile.Result{}, problems(result.failures)
}

// situation is all that the convergence of a namespace depends on.
type situation struct {
	namespace    string
	labels       map[string]string
	facts        policy.Facts
	factsVersion int64
	// enforcing baselines govern the namespace, waiting ones will when their preflight passes, auditing ones would.
	enforcing, waiting, auditing []*v1alpha1.NetworkBaseline
	byName                       map[string]*v1alpha1.NetworkBaseline
	// policies to plan with: all that are live but the retained and the frozen ones.
	policies []*networkingv1.NetworkPolicy
	// retained policies lose their owner and stay.
	retained []*networkingv1.NetworkPolicy
	// frozen policies belong to a baseline in audit mode, and stay as they are.
	frozen       []*networkingv1.NetworkPolicy
	ownership    policy.Ownership
	surroundings policy.Surroundings
}

// look gathers the situation; nil when the namespace is gone or going.
func (r *NamespaceReconciler) look(ctx context.Context, namespace string) (*situation, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.client.Get(ctx, types.NamespacedName{Name: namespace}, ns); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if ns.DeletionTimestamp != nil {
		return nil, nil
	}
	var baselines v1alpha1.NetworkBaselineList
	if err := r.client.List(ctx, &baselines, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var policies networkingv1.NetworkPolicyList
	if err := r.client.List(ctx, &policies, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	s := &situation{namespace: namespace, labels: ns.Labels, byName: map[string]*v1alpha1.NetworkBaseline{}}
	s.facts, s.factsVersion = r.facts.Current(ctx)
	for i := range baselines.Items {
		s.byName[baselines.Items[i].Name] = &baselines.Items[i]
	}
	s.ownership.Seen = r.memory.seen(namespace)
	s.sortPolicies(policies.Items)
	for i := range baselines.Items {
		b := &baselines.Items[i]
		if !governs(b) || selects(b, r.protection, namespace, ns.Labels) != policy.Selected {
			continue
		}
		switch {
		case b.Spec.Mode == v1alpha1.ModeAudit:
			s.auditing = append(s.auditing, b)
		case r.gate.blocks(b) && !s.holdsPoliciesOf(b):
			s.waiting = append(s.waiting, b)
		default:
			s.enforcing = append(s.enforcing, b)
		}
	}
	return s, nil
}

// sortPolicies puts aside what is not planned with.
func (s *situation) sortPolicies(policies []networkingv1.NetworkPolicy) {
	retaining, auditing := map[types.UID]string{}, map[types.UID]string{}
	s.ownership.Owners = map[types.UID]string{}
	for name, b := range s.byName {
		switch {
		case b.DeletionTimestamp != nil && b.Spec.DeletionPolicy == v1alpha1.DeletionRetain:
			retaining[b.UID] = name
		case b.DeletionTimestamp == nil && b.Spec.Mode == v1alpha1.ModeAudit:
			auditing[b.UID] = name
		default:
			s.ownership.Owners[b.UID] = name
		}
	}
	for i := range policies {
		p := &policies[i]
		switch {
		case policy.Ownership{Owners: retaining}.Owned(p):
			s.retained = append(s.retained, p)
		case policy.Ownership{Owners: auditing}.Owned(p):
			s.frozen = append(s.frozen, p)
		default:
			s.policies = append(s.policies, p)
		}
	}
	s.surroundings = s.ownership.Surroundings(slices.Concat(s.retained, s.frozen, s.policies))
}

// holdsPoliciesOf says whether the namespace is enforced by the baseline already.
func (s *situation) holdsPoliciesOf(b *v1alpha1.NetworkBaseline) bool {
	return slices.ContainsFunc(s.policies, func(p *networkingv1.NetworkPolicy) bool {
		return policy.Ownership{Owners: map[types.UID]string{b.UID: b.Name}}.Owned(p)
	})
}

// audit tells for each baseline in audit mode what the namespace would look like if it alone were enforced as well.
func (r *NamespaceReconciler) audit(s *situation) []share {
	var shares []share
	for _, b := range s.auditing {
		as := *s
		as.enforcing = append(slices.Clone(s.enforcing), b)
		as.ownership.Owners = maps.Clone(s.ownership.Owners)
		as.ownership.Owners[b.UID] = b.Name
		as.policies = slices.Concat(s.policies, s.frozen)
		as.surroundings = as.ownership.Surroundings(slices.Concat(s.retained, as.policies))
		rendered, _ := r.renderer.render(&as)
		shares = append(shares, auditShare(&as, b, rendered, as.ownership.Sort(as.policies, rendered)))
	}
	return shares
}

// governs says whether a baseline wants policies anywhere. Before it has its finalizer nothing is written for it,
// because then its removal could not be put in order.
func governs(b *v1alpha1.NetworkBaseline) bool {
	return b.DeletionTimestamp == nil && hasFinalizer(b)
}

// selects is what the baseline is to the namespace; a selector that does not compile selects nothing, and is told as
// a problem of the baseline.
func selects(b *v1alpha1.NetworkBaseline, protection policy.Protection, namespace string, labels map[string]string) policy.Selection {
	selector, err := policy.NewSelector(&b.Spec, protection)
	if err != nil {
		return policy.NotSelected
	}
	return selector.Select(namespace, labels)
}

// release takes the owner off retained policies.
func (r *NamespaceReconciler) release(ctx context.Context, s *situation) []failure {
	var failures []failure
	for _, p := range s.retained {
		if err := r.writer.release(ctx, p); err != nil {
			failures = append(failures, failure{policy.Step{Verb: policy.Update, Name: p.Name, Baseline: policy.BaselineOf(p), Live: p}, err})
		}
	}
	return failures
}

// narrate tells of repairs and refusals, in Events, metrics, logs and status. settled says of a baseline that the
// namespace held its policies already, so that a write is a repair.
func (r *NamespaceReconciler) narrate(ctx context.Context, s *situation, result applied, settled func(baseline string) bool) {
	logger := log.FromContext(ctx)
	for _, step := range result.done {
		baseline := s.byName[step.Baseline]
		if step.Passing || step.Want == nil || baseline == nil || !settled(step.Baseline) || step.Live != nil && policy.Same(step.Live, step.Want) {
			continue
		}
		repair := repairOf(s.namespace, step, r.now())
		logger.Info("Repaired policy", "policy", step.Name, "baseline", step.Baseline, "action", repair.Action, "manager", repair.Manager)
		repairsTotal.WithLabelValues(step.Baseline, step.Want.Labels[v1alpha1.ComponentLabel], repair.Action).Inc()
		r.narrator.tell(baseline, policyRef(s.namespace, step.Name), corev1.EventTypeWarning, eventRepaired, "Undo"+repair.Action, repairNote(repair))
		r.outcomes.Repaired(baseline, repair)
	}
	for _, f := range result.failures {
		if baseline := s.byName[f.step.Baseline]; baseline != nil && !terminating(f.err) && !stale(f.err) {
			r.narrator.tell(baseline, policyRef(s.namespace, f.step.Name), corev1.EventTypeWarning, eventWriteRefused, "Write",
				fmt.Sprintf("NetworkPolicy %s/%s: %v", s.namespace, f.step.Name, f.err))
		}
	}
}

func (r *NamespaceReconciler) forget(namespace string) {
	r.inflight.forget(namespace)
	r.memory.forget(namespace)
	r.outcomes.Set(namespace, nil)
}

// problems joins what makes the namespace come again, with backoff.
func problems(failures []failure) error {
	var errs []error
	for _, f := range failures {
		if !terminating(f.err) {
			errs = append(errs, fmt.Errorf("policy %s: %w", f.step.Name, f.err))
		}
	}
	return errors.Join(errs...)
}
