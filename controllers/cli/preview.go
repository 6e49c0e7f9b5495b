// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// preview is what a namespace would hold of one baseline, in its final form, and what the baseline's status would say of it.
type preview struct {
	namespace string
	baseline  *v1alpha1.NetworkBaseline
	// policies sorted by name.
	policies []*networkingv1.NetworkPolicy
	// problems are what keeps the baseline from being in sync or in effect, notes what is worth knowing.
	problems []v1alpha1.Problem
	notes    []policy.Note
}

// world is what previews go by. The UIDs of its baselines are set and differ.
type world struct {
	baselines  []v1alpha1.NetworkBaseline
	facts      policy.Facts
	protection policy.Protection
}

// preview says what the operator would make of a namespace that holds these policies, once every preflight has passed. There
// is one for each baseline that selects the namespace, by name; one in audit mode is shown as if it were enforced.
func (w world) preview(ns namespace, live []networkingv1.NetworkPolicy) ([]preview, error) {
	var out []preview
	for i := range w.baselines {
		b := &w.baselines[i]
		s := &policy.State{
			Namespace: policy.Namespace{Name: ns.name, Labels: ns.labels}, Protection: w.protection, Facts: w.facts,
		}
		for n := range live {
			s.Policies = append(s.Policies, &live[n])
		}
		for n := range w.baselines {
			observed, err := policy.Admitted(&w.baselines[n])
			if err != nil {
				return nil, fmt.Errorf("NetworkBaseline %s: %w", w.baselines[n].Name, err)
			}
			if n == i {
				observed.Mode = v1alpha1.ModeEnforce
			}
			s.Baselines = append(s.Baselines, observed)
		}
		if p, ok := previewOf(b, ns.name, policy.Decide(s)); ok {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b preview) int { return cmp.Compare(a.baseline.Name, b.baseline.Name) })
	return out, nil
}

func previewOf(b *v1alpha1.NetworkBaseline, namespace string, d *policy.Decision) (preview, bool) {
	p := preview{baseline: b, namespace: namespace}
	for i := range d.Contributions {
		if d.Contributions[i].UID != b.UID {
			continue
		}
		if d.Contributions[i].Phase != policy.Enforcing {
			return p, false
		}
		p.problems = slices.Concat(d.Told[i].Problems, d.Told[i].Overrides)
		p.notes = d.Told[i].Notes
	}
	for _, w := range d.Wanted.Policies {
		if w.Baseline == b.Name {
			object := w.DeepCopy()
			object.Namespace = namespace
			p.policies = append(p.policies, object)
		}
	}
	return p, true
}
