// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pods is a set of pods: those that meet every requirement, so that none means every pod. A label has infinitely many
// values, which makes the questions below decidable key by key.
type pods []metav1.LabelSelectorRequirement

// podsOf is the set that a selector selects, in canonical form.
func podsOf(s *metav1.LabelSelector) pods {
	var out pods
	for k, v := range s.MatchLabels {
		out = append(out, metav1.LabelSelectorRequirement{Key: k, Operator: metav1.LabelSelectorOpIn, Values: []string{v}})
	}
	for _, r := range s.MatchExpressions {
		r.Values = slices.Compact(slices.Sorted(slices.Values(r.Values)))
		out = append(out, r)
	}
	return out.canonical()
}

func (p pods) canonical() pods {
	slices.SortFunc(p, compareRequirements)
	return slices.CompactFunc(p, func(a, b metav1.LabelSelectorRequirement) bool { return compareRequirements(a, b) == 0 })
}

func compareRequirements(a, b metav1.LabelSelectorRequirement) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), slices.Compare(a.Values, b.Values))
}

// selector selects the set. One value of one key becomes a matchLabel, as people write it.
func (p pods) selector() metav1.LabelSelector {
	var out metav1.LabelSelector
	for _, r := range p {
		if _, taken := out.MatchLabels[r.Key]; r.Operator == metav1.LabelSelectorOpIn && len(r.Values) == 1 && !taken {
			metav1.AddLabelToSelector(&out, r.Key, r.Values[0])
			continue
		}
		out.MatchExpressions = append(out.MatchExpressions, r)
	}
	return out
}

// and is the intersection.
func (p pods) and(other pods) pods { return slices.Concat(p, other).canonical() }

// empty reports whether no pod can meet the requirements.
func (p pods) empty() bool {
	for i := range p {
		if p.contradicts(p[i].Key) {
			return true
		}
	}
	return false
}

// contradicts reports whether no value of the key, nor its absence, meets the requirements on it.
func (p pods) contradicts(key string) bool {
	var in []string // the values that are left, once one In was seen
	var notIn []string
	restricted, present, absent := false, false, false
	for _, r := range p {
		if r.Key != key {
			continue
		}
		switch r.Operator {
		case metav1.LabelSelectorOpIn:
			present = true
			if !restricted {
				in, restricted = slices.Clone(r.Values), true
			} else {
				in = slices.DeleteFunc(in, func(v string) bool { return !slices.Contains(r.Values, v) })
			}
		case metav1.LabelSelectorOpNotIn:
			notIn = append(notIn, r.Values...)
		case metav1.LabelSelectorOpExists:
			present = true
		case metav1.LabelSelectorOpDoesNotExist:
			absent = true
		}
	}
	in = slices.DeleteFunc(in, func(v string) bool { return slices.Contains(notIn, v) })
	return present && absent || restricted && len(in) == 0
}

// disjoint reports whether no pod can be in both sets.
func (p pods) disjoint(other pods) bool { return p.and(other).empty() }

// within reports whether every pod of the set is in the other one.
func (p pods) within(other pods) bool {
	for _, r := range other {
		if !p.and(pods{negated(r)}).empty() {
			return false
		}
	}
	return true
}

func (p pods) equal(other pods) bool {
	return slices.EqualFunc(p, other, func(a, b metav1.LabelSelectorRequirement) bool { return compareRequirements(a, b) == 0 })
}

// negated is met by exactly the pods that do not meet the requirement: NotIn is met by pods without the key.
func negated(r metav1.LabelSelectorRequirement) metav1.LabelSelectorRequirement {
	switch r.Operator {
	case metav1.LabelSelectorOpIn:
		r.Operator = metav1.LabelSelectorOpNotIn
	case metav1.LabelSelectorOpNotIn:
		r.Operator = metav1.LabelSelectorOpIn
	case metav1.LabelSelectorOpExists:
		r.Operator = metav1.LabelSelectorOpDoesNotExist
	default:
		r.Operator = metav1.LabelSelectorOpExists
	}
	return r
}

// maxParts bounds how many sets minus returns: each is a policy of its own.
const maxParts = 64

// minus returns sets that together hold the pods which are in none of the others. A pod that is not in (a and b) is not
// in a, or not in b: that is one set for each requirement. ok is false when there would be more than maxParts.
func (p pods) minus(others ...pods) (parts []pods, ok bool) {
	parts = []pods{p}
	for _, other := range others {
		var next []pods
		for _, part := range parts {
			if part.disjoint(other) {
				next = append(next, part)
				continue
			}
			for _, r := range other {
				if outside := part.and(pods{negated(r)}); !outside.empty() {
					next = append(next, outside)
				}
			}
		}
		if parts = maximal(next); len(parts) > maxParts {
			return nil, false
		}
	}
	return parts, true
}

// maximal drops the sets that lie within another one.
func maximal(sets []pods) []pods {
	var out []pods
	for i, s := range sets {
		covered := slices.ContainsFunc(out, s.within)
		for _, later := range sets[i+1:] {
			covered = covered || s.within(later) && !later.within(s)
		}
		if !covered {
			out = append(out, s)
		}
	}
	return out
}
