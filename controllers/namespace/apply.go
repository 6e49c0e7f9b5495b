// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers/metrics"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// writer is the only place that writes NetworkPolicies. It creates and updates whole objects and never applies: the rule
// lists are omitempty, so an applied "deny everything" cannot express that there are no rules, and somebody's egress: [{}]
// survives a forced server-side apply (seen on kube-apiserver 1.37).
type writer struct {
	client  client.Client
	records *Records
}

// failure is a step that failed.
type failure struct {
	step policy.Step
	err  *writeError
	// again: it failed in the same way before.
	again bool
}

// outcome is how far a plan came.
type outcome struct {
	done     []policy.Step
	failures []failure
	// left are the policies that are not in the form that is wanted, by name.
	left map[string]bool
	// next is when to come again; the zero time for not by itself.
	next time.Time
}

// apply does the steps of a plan in their order. One whose needs were not done is left for the next time.
func (w *writer) apply(ctx context.Context, namespace string, steps []policy.Step) outcome {
	out := outcome{left: map[string]bool{}}
	planned := map[string]bool{}
	for i := range steps {
		out.left[steps[i].Name], planned[steps[i].Rendered] = true, true
	}
	w.records.keepRefused(namespace, planned)
	current := map[string]*networkingv1.NetworkPolicy{}
	done := make([]bool, len(steps))
	for i := range steps {
		step := &steps[i]
		if !all(done, step.Needs) {
			continue
		}
		live := current[step.Name]
		if live == nil {
			live = step.Live
		}
		if err := w.try(ctx, namespace, step, live, current, &out); err != nil {
			if err.reason == refusalBudget {
				break
			}
			continue
		}
		done[i] = true
		out.done = append(out.done, *step)
		if !step.Transitional {
			delete(out.left, step.Name)
		}
	}
	return out
}

func all(done []bool, needs []int) bool {
	for _, n := range needs {
		if !done[n] {
			return false
		}
	}
	return true
}

// try does one step, unless it failed lately or the budget is used up, and notes a failure.
func (w *writer) try(ctx context.Context, namespace string, step *policy.Step, live *networkingv1.NetworkPolicy, current map[string]*networkingv1.NetworkPolicy, out *outcome) *writeError {
	if err, until := w.records.held(namespace, step); err != nil {
		out.failures = append(out.failures, failure{*step, err, true})
		out.comeAgain(until)
		return err
	}
	if wait := w.records.spend(namespace); wait > 0 {
		err := &writeError{refusalBudget, fmt.Errorf("the policies of this namespace are written again and again: writes are limited to %d a second", budgetRate)}
		metrics.CountWrite(string(step.Verb), step.Baseline, reasonOf(err))
		out.failures = append(out.failures, failure{*step, err, true})
		out.comeAgain(w.records.now().Add(wait))
		return err
	}
	answer, err := w.write(ctx, namespace, step, live)
	failed := w.judge(namespace, step, answer, err)
	metrics.CountWrite(string(step.Verb), step.Baseline, reasonOf(failed))
	if failed == nil {
		current[step.Name] = answer
		return nil
	}
	f := failure{step: *step, err: failed}
	if failed.reason == refusalConflict {
		out.comeAgain(w.records.now().Add(staleDelay))
	} else if failed.reason != refusalGone {
		var until time.Time
		until, f.again = w.records.failed(namespace, step, failed)
		out.comeAgain(until)
	}
	out.failures = append(out.failures, f)
	return failed
}

func reasonOf(err *writeError) string {
	if err == nil {
		return ""
	}
	return string(err.reason)
}

func (o *outcome) comeAgain(at time.Time) {
	if o.next.IsZero() || at.Before(o.next) {
		o.next = at
	}
}

// judge says what is wrong with an answer; nil for nothing.
func (w *writer) judge(namespace string, step *policy.Step, answer *networkingv1.NetworkPolicy, err error) *writeError {
	if err != nil {
		return &writeError{refusalOf(err, namespace, step.Name), err}
	}
	if step.Want == nil {
		return nil
	}
	if field := policy.Difference(answer, step.Want); field != "" {
		return &writeError{refusalAltered, fmt.Errorf("the API server stored another %s than was written: a mutating admission webhook changes it", field)}
	}
	return nil
}

// write does one step. live is the latest form that is known, whose UID and resourceVersion guard the write.
func (w *writer) write(ctx context.Context, namespace string, step *policy.Step, live *networkingv1.NetworkPolicy) (*networkingv1.NetworkPolicy, error) {
	cached := func() *networkingv1.NetworkPolicy { return w.cached(ctx, namespace, step.Name) }
	switch {
	case step.Verb == policy.Create:
		p := step.Want.DeepCopy()
		p.Namespace = namespace
		if err := w.client.Create(ctx, p); err != nil {
			return nil, fmt.Errorf("creating: %w", err)
		}
		w.records.wrote(p, cached)
		return p, nil
	case live == nil:
		return nil, errors.New("nothing to write to") // a programming error: the step before it creates the policy
	case step.Verb == policy.Update:
		p := revised(live, step.Want)
		if err := w.client.Update(ctx, p); err != nil {
			return nil, fmt.Errorf("updating: %w", err)
		}
		w.records.wrote(p, cached)
		return p, nil
	}
	err := w.client.Delete(ctx, live, client.Preconditions{UID: &live.UID})
	if err != nil && (client.IgnoreNotFound(err) != nil || refusalOf(err, namespace, step.Name) != refusalGone) {
		return nil, fmt.Errorf("deleting: %w", err)
	}
	w.records.deleted(live, cached)
	return live, nil
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
	want = want.DeepCopy()
	p.OwnerReferences, p.Spec = want.OwnerReferences, want.Spec
	return p
}
