// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// Preview is what a namespace would hold of one baseline, in its final form, and what the baseline's status would say
// of it.
type Preview struct {
	Namespace string
	Baseline  *v1alpha1.NetworkBaseline
	// Policies sorted by name.
	Policies []*networkingv1.NetworkPolicy
	// Problems are what keeps the baseline from being in sync or in effect.
	Problems []v1alpha1.Problem
	// Notes are on components that render nothing.
	Notes []policy.Note
}

// World is what a preview goes by. The UIDs of its baselines must be set and differ.
type World struct {
	Baselines  []v1alpha1.NetworkBaseline
	Facts      policy.Facts
	Protection policy.Protection
}

// Preview says what the operator would make of a namespace with these labels that holds these policies, once the
// preflight has passed. There is one for each baseline that selects the namespace, sorted by name; one in audit mode is
// shown as if it were enforced.
func (w World) Preview(namespace string, labels map[string]string, live []networkingv1.NetworkPolicy) []Preview {
	baselines := slices.Clone(w.Baselines)
	for i := range baselines {
		if b := &baselines[i]; b.DeletionTimestamp == nil && !hasFinalizer(b) {
			b.Finalizers = slices.Clone(b.Finalizers)
			controllerutil.AddFinalizer(b, v1alpha1.Finalizer) // it would be the operator's first write
		}
	}
	s := newSituation(namespace, labels, baselines)
	s.facts = w.Facts
	s.sortPolicies(live)
	s.sortBaselines(baselines, newSelectors(w.Protection), func(*v1alpha1.NetworkBaseline) bool { return false })

	out := s.preview(s.enforcing)
	for _, b := range s.auditing {
		out = append(out, s.enforcingToo(b).preview([]*v1alpha1.NetworkBaseline{b})...)
	}
	slices.SortFunc(out, func(a, b Preview) int { return cmp.Compare(a.Baseline.Name, b.Baseline.Name) })
	return out
}

// preview is that of some of the enforcing baselines.
func (s *situation) preview(of []*v1alpha1.NetworkBaseline) []Preview {
	rendered := policy.Render(inputOf(s))
	live := s.ownership.Sort(s.policies, rendered)
	plan := policy.NewPlan(rendered, live)
	var out []Preview
	for _, b := range of {
		told := shareOf(b, s.namespace, rendered, live, plan)
		p := Preview{Namespace: s.namespace, Baseline: b, Problems: append(told.Problems, told.Undone...), Notes: told.Notes}
		for _, r := range rendered.Policies {
			if r.Baseline == b.Name {
				object := r.DeepCopy()
				object.Namespace = s.namespace
				p.Policies = append(p.Policies, object)
			}
		}
		out = append(out, p)
	}
	return out
}
