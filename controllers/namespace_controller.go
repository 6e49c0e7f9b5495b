// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// staleDelay is how long to let the cache catch up with the winner of a race.
const staleDelay = 50 * time.Millisecond

// NamespaceReconciler makes one namespace hold exactly the policies that its baselines ask for.
type NamespaceReconciler struct {
	client    client.Client
	writer    *writer
	inflight  *inflight
	renderer  *renderer
	outcomes  *outcomes
	narrator  *narrator
	memory    *memory
	gate      *gate
	facts     *facts.Tracker
	selectors *selectors
	stopwatch *stopwatch
	now       func() time.Time
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=list;watch;create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// The permission by which config/guard knows the operator. No API has this verb.
// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines,verbs=manage-generated

// Reconcile converges one namespace: which baselines govern it, what they render, what is live, and the writes
// between the two. It reads from caches only.
func (r *NamespaceReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	defer r.outcomes.Begin(req.Name)()
	if left := r.inflight.waiting(req.Name); left > 0 {
		// The watch event of our last write wakes us.
		return reconcile.Result{RequeueAfter: left}, nil
	}
	since := r.stopwatch.take(req.Name)
	s, err := r.look(ctx, req.Name)
	if err != nil {
		r.stopwatch.resume(req.Name, since)
		return reconcile.Result{}, fmt.Errorf("looking at namespace %s: %w", req.Name, err)
	}
	if s == nil {
		r.forget(req.Name)
		return reconcile.Result{}, nil
	}

	rendered, key := r.renderer.render(s)
	live := s.ownership.Sort(s.policies, rendered)
	plan := policy.NewPlan(rendered, live)
	settled := r.memory.settled(s, key)
	result := r.writer.apply(ctx, s.namespace, plan)
	result.failures = append(result.failures, r.release(ctx, s)...)
	again := r.inflight.wroteAll(s.namespace)

	r.stopwatch.measure(req.Name, since, plan, result, settled)
	r.narrate(ctx, s, result, settled)
	r.memory.remember(s, key, live, plan, result)
	r.outcomes.Set(s.namespace, append(sharesOf(s, rendered, live, plan, result), r.audit(s)...))
	return comeAgain(result.failures, again)
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
		if baseline == nil || !settled(step.Baseline) || !isRepair(step) {
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

// isRepair says of a step in a namespace that held its policies whether it undoes what somebody did to one.
func isRepair(step policy.Step) bool {
	return !step.Passing && step.Want != nil && (step.Live == nil || !policy.Same(step.Live, step.Want))
}

func (r *NamespaceReconciler) forget(namespace string) {
	r.inflight.forget(namespace)
	r.memory.forget(namespace)
	r.outcomes.Set(namespace, nil)
}

// comeAgain is with backoff where something was refused, soon where a race was lost, and otherwise when our own writes
// have been seen. What a terminating namespace refuses is over.
func comeAgain(failures []failure, again time.Duration) (reconcile.Result, error) {
	var errs []error
	result := reconcile.Result{RequeueAfter: again}
	for _, f := range failures {
		switch {
		case terminating(f.err):
		case stale(f.err):
			result.RequeueAfter = staleDelay
		default:
			errs = append(errs, fmt.Errorf("policy %s: %w", f.step.Name, f.err))
		}
	}
	if len(errs) > 0 {
		return reconcile.Result{}, errors.Join(errs...)
	}
	return result, nil
}
