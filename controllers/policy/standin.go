// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// standIns lets a temporary policy stand in for one whose pods change while others change with it: its new form is there
// before it leaves the pods that it selects now.
func (p *planner) standIns() {
	for _, m := range slices.Clone(p.moves) {
		if m.live == nil || m.want == nil || m.samePods() || m.held || !p.entangled(m) || !p.asked(m) && !p.succeeded(m) {
			continue
		}
		if m.standIn = p.leftOver(m); m.standIn == nil {
			object := transitional(m.baseline, m.want)
			object.Spec = m.want.Spec
			m.standIn = p.addTemporary(m.baseline, object)
		}
		m.standIn.done = append(m.standIn.done, m)
	}
}

// leftOver is a temporary policy of an earlier plan, which was cut short, that can stand in; nil for none.
func (p *planner) leftOver(m *move) *move {
	i := slices.IndexFunc(p.moves, func(other *move) bool {
		return other.component == transitionComponent && other.live != nil && other.want == nil && sameSpec(other.live, m.want)
	})
	if i < 0 {
		return nil
	}
	return p.moves[i]
}

// succeeded reports whether a deny will isolate pods that this policy isolates now, and nothing else does: the deny has to come
// behind what the policy will allow, and the policy must not leave its pods before.
func (p *planner) succeeded(m *move) bool {
	return slices.ContainsFunc(p.moves, func(other *move) bool {
		return slices.ContainsFunc(directions, func(d networkingv1.PolicyType) bool {
			if other == m || !m.leaves(d) || !other.arrives(d) || len(rulesOf(m.want, d)) == 0 || len(rulesOf(other.want, d)) > 0 {
				return false
			}
			shared := m.livePods.and(other.wantPods)
			return !shared.empty() && !slices.ContainsFunc(p.steady(d), shared.within)
		})
	})
}

// entangled reports whether another policy that changes shares pods and a direction with this one.
func (p *planner) entangled(m *move) bool {
	return slices.ContainsFunc(p.moves, func(other *move) bool {
		return other != m && other.component != transitionComponent && slices.ContainsFunc(directions, func(d networkingv1.PolicyType) bool {
			return m.touches(d) && other.touches(d) && m.meets(other)
		})
	})
}

func (m *move) touches(d networkingv1.PolicyType) bool {
	return m.live != nil && hasType(&m.live.Spec, d) || m.want != nil && hasType(&m.want.Spec, d)
}

// meets reports whether some pod is selected by both, before or after.
func (m *move) meets(other *move) bool {
	return slices.ContainsFunc(m.sets(), func(a pods) bool {
		return slices.ContainsFunc(other.sets(), func(b pods) bool { return !a.disjoint(b) })
	})
}

func (m *move) sets() []pods {
	var out []pods
	if m.live != nil {
		out = append(out, m.livePods)
	}
	if m.want != nil {
		out = append(out, m.wantPods)
	}
	return out
}
