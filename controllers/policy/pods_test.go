// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// randomPods is any set over two keys with two values each.
func randomPods(c *choices) pods {
	var s metav1.LabelSelector
	for range c.below(4) {
		r := metav1.LabelSelectorRequirement{
			Key:      pick(c, "app", "tier"),
			Operator: pick(c, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist),
		}
		if r.Operator == metav1.LabelSelectorOpIn || r.Operator == metav1.LabelSelectorOpNotIn {
			if r.Values = some(c, "a", "b"); len(r.Values) == 0 {
				r.Values = []string{"a"}
			}
		}
		s.MatchExpressions = append(s.MatchExpressions, r)
	}
	return podsOf(&s)
}

// everyLabelling has, for both keys, each value that requirements name, one that they don't, and none.
func everyLabelling() []labels.Set {
	var out []labels.Set
	for _, app := range []string{"", "a", "b", "other"} {
		for _, tier := range []string{"", "a", "b", "other"} {
			set := labels.Set{}
			if app != "" {
				set["app"] = app
			}
			if tier != "" {
				set["tier"] = tier
			}
			out = append(out, set)
		}
	}
	return out
}

// TestPodSets compares each answer with asking every pod.
func TestPodSets(t *testing.T) {
	all := everyLabelling()
	holds := func(p pods, set labels.Set) bool {
		s := p.selector()
		return matches(&s, set)
	}
	for seed := range uint64(20_000) {
		c := &choices{randomBytes(seed, 64)}
		p, q, r := randomPods(c), randomPods(c), randomPods(c)
		disjoint, within, empty := true, true, true
		parts, ok := p.minus(q, r)
		if !ok {
			t.Fatalf("%v minus %v, %v: too many parts", p, q, r)
		}
		for _, set := range all {
			disjoint = disjoint && (!holds(p, set) || !holds(q, set))
			within = within && (!holds(p, set) || holds(q, set))
			empty = empty && !holds(p, set)
			want := holds(p, set) && !holds(q, set) && !holds(r, set)
			if got := slices.ContainsFunc(parts, func(part pods) bool { return holds(part, set) }); got != want {
				t.Fatalf("%v minus %v, %v: %v holds %v: %v", p, q, r, parts, set, got)
			}
		}
		if p.disjoint(q) != disjoint || p.within(q) != within || p.empty() != empty {
			t.Fatalf("%v, %v: disjoint %v, within %v, empty %v; want %v, %v, %v", p, q, p.disjoint(q), p.within(q), p.empty(), disjoint, within, empty)
		}
	}
}

func TestMinusIsBounded(t *testing.T) {
	var others []pods
	for _, k := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		others = append(others, podsOf(&metav1.LabelSelector{MatchLabels: map[string]string{k + "1": "x", k + "2": "x"}}))
	}
	if parts, ok := (pods{}).minus(others...); ok {
		t.Errorf("got %d parts, want none above %d", len(parts), maxParts)
	}
}
