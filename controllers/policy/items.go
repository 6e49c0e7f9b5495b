// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// item is one policy of ours: what is live and what is wanted in its place.
type item struct {
	name string
	// rendered is the name that it has where nobody else has it.
	rendered  string
	baseline  string
	component string
	// live is nil when the policy is to be created, want when it is to be removed.
	live, want *networkingv1.NetworkPolicy
	// held: it is held in deletion, so that it can be updated and not deleted.
	held bool
	// pending: something is to be written.
	pending bool
}

func newItem(name, rendered, baseline, component string, live, want *networkingv1.NetworkPolicy) item {
	return item{
		name: name, rendered: rendered, baseline: baseline, component: component, live: live, want: want,
		held:    live != nil && live.DeletionTimestamp != nil,
		pending: live == nil || want == nil || !Same(live, want),
	}
}

// match gives each wanted policy a live one, or a name that is free. Live ones that nobody wants are to be removed. taken
// are all names that are used then.
func match(wanted *Rendered, l *live, terminating bool) (items []item, taken map[string]bool) {
	taken = map[string]bool{}
	for _, p := range l.others() {
		taken[p.Name] = true
	}
	for _, o := range l.ours {
		taken[o.Name] = true
	}
	used := map[string]bool{}
	var missing []*Policy
	for i := range wanted.Policies {
		w := &wanted.Policies[i]
		found := false
		for _, o := range candidates(l.ours, w) {
			if o.DeletionTimestamp == nil && found || o.DeletionTimestamp != nil && !samePods(o.NetworkPolicy, w.NetworkPolicy) {
				continue // one is enough, and one that is held cannot come to other pods in order
			}
			found = found || o.DeletionTimestamp == nil
			used[o.Name] = true
			items = append(items, newItem(o.Name, w.Name, w.Baseline, w.Component, o.NetworkPolicy, renamed(w.NetworkPolicy, o.Name)))
		}
		if !found {
			missing = append(missing, w)
		}
	}
	if terminating {
		return items, taken // the namespace controller deletes, and nothing can be created
	}
	for _, w := range missing {
		name := free(w.Name, taken)
		items = append(items, newItem(name, w.Name, w.Baseline, w.Component, nil, renamed(w.NetworkPolicy, name)))
	}
	for _, o := range l.ours {
		if used[o.Name] || selectsNone(o.NetworkPolicy) && o.DeletionTimestamp != nil {
			continue
		}
		items = append(items, newItem(o.Name, o.Name, o.of.Name, o.Labels[v1alpha1.ComponentLabel], o.NetworkPolicy, nil))
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.name, b.name) })
	return items, taken
}

// candidates are the live policies that can be the wanted one, the best first.
func candidates(ours []owned, w *Policy) []owned {
	var out []owned
	for _, o := range ours {
		label := o.Labels[v1alpha1.ComponentLabel]
		if o.of.Name == w.Baseline && numberOf(o.Name, w.Name) > 0 && (o.Name == w.Name || label == w.Component) {
			out = append(out, o)
		}
	}
	if len(out) < 2 {
		return out
	}
	differs := func(o owned) int {
		if Same(o.NetworkPolicy, w.NetworkPolicy) {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b owned) int {
		return cmp.Or(cmp.Compare(differs(a), differs(b)), cmp.Compare(numberOf(a.Name, w.Name), numberOf(b.Name, w.Name)))
	})
	return out
}

// free takes the first name of a policy that no other has.
func free(rendered string, taken map[string]bool) string {
	n := 1
	for taken[numbered(rendered, n)] {
		n++
	}
	taken[numbered(rendered, n)] = true
	return numbered(rendered, n)
}

func renamed(p *networkingv1.NetworkPolicy, name string) *networkingv1.NetworkPolicy {
	if p.Name == name {
		return p
	}
	out := *p
	out.Name = name
	return &out
}

func samePods(a, b *networkingv1.NetworkPolicy) bool {
	return podsOf(&a.Spec.PodSelector).equal(podsOf(&b.Spec.PodSelector))
}

func selectsNone(p *networkingv1.NetworkPolicy) bool { return podsOf(&p.Spec.PodSelector).empty() }
