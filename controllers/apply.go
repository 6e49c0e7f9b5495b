// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

// writer is the only place that writes NetworkPolicies. It creates and updates whole objects and never applies:
// the rule lists are omitempty, so an applied "deny everything" cannot express that there are no rules, and an
// intruder's egress: [{}] survives a forced server-side apply (seen on kube-apiserver 1.37).
type writer struct {
	client   client.Client
	inflight *inflight
}

// failure is a step that the API server refused, or that could not be tried.
type failure struct {
	step policy.Step
	err  error
}

// applied is how far a plan came.
type applied struct {
	done     []policy.Step
	failures []failure
}

// apply takes the steps of a plan in order. Every step of a phase is tried; after a phase with a failure the later
// ones are left for the next time, because they rely on it (see policy.Plan).
func (w *writer) apply(ctx context.Context, namespace string, plan *policy.Plan) applied {
	var out applied
	current := map[string]*networkingv1.NetworkPolicy{}
	for _, phase := range plan.Phases {
		for _, step := range phase {
			live := current[step.Name]
			if live == nil {
				live = step.Live
			}
			written, err := w.take(ctx, namespace, step, live)
			countWrite(string(step.Verb), step.Baseline, err)
			if err != nil {
				out.failures = append(out.failures, failure{step, err})
				continue
			}
			current[step.Name] = written
			out.done = append(out.done, step)
		}
		if len(out.failures) > 0 {
			break
		}
	}
	return out
}

// take does one step. live is the latest form that is known, whose UID and resourceVersion guard the write.
func (w *writer) take(ctx context.Context, namespace string, step policy.Step, live *networkingv1.NetworkPolicy) (*networkingv1.NetworkPolicy, error) {
	cached := func() *networkingv1.NetworkPolicy { return w.cached(ctx, namespace, step.Name) }
	switch step.Verb {
	case policy.Create:
		p := step.Want.DeepCopy()
		p.Namespace = namespace
		if err := w.client.Create(ctx, p); err != nil {
			return nil, fmt.Errorf("creating: %w", err)
		}
		w.inflight.wrote(p, cached)
		return p, nil
	case policy.Update:
		p := revised(live, step.Want)
		if err := w.client.Update(ctx, p); err != nil {
			return nil, fmt.Errorf("updating: %w", err)
		}
		w.inflight.wrote(p, cached)
		return p, nil
	default:
		err := w.client.Delete(ctx, live, client.Preconditions{UID: &live.UID})
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("deleting: %w", err)
		}
		w.inflight.deleted(live, cached)
		return live, nil
	}
}

// release takes the owner off a policy, so that it outlives its baseline.
func (w *writer) release(ctx context.Context, live *networkingv1.NetworkPolicy) error {
	p := live.DeepCopy()
	p.OwnerReferences, p.ManagedFields = nil, nil
	err := w.client.Update(ctx, p)
	countWrite(string(policy.Update), policy.BaselineOf(p), err)
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("releasing: %w", err)
	}
	w.inflight.wrote(p, func() *networkingv1.NetworkPolicy { return w.cached(ctx, p.Namespace, p.Name) })
	return nil
}

func (w *writer) cached(ctx context.Context, namespace, name string) *networkingv1.NetworkPolicy {
	var p networkingv1.NetworkPolicy
	if err := w.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &p); err != nil {
		return nil
	}
	return &p
}

// revised is the live policy made into what is wanted. Labels, annotations and finalizers of others stay. Empty
// managedFields mean that the API server keeps its own, which the cache does not hold in full.
func revised(live, want *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	p := live.DeepCopy()
	p.ManagedFields = nil
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	maps.Copy(p.Labels, want.Labels)
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	maps.Copy(p.Annotations, want.Annotations)
	p.OwnerReferences = want.DeepCopy().OwnerReferences
	p.Spec = *want.Spec.DeepCopy()
	return p
}

// terminating says that a write was refused because the namespace is going, which is no problem.
func terminating(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err)
}

// stale says that a write lost a race: the cache was behind, and will wake us when it is not.
func stale(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
