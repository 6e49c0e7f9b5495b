// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// write is one write of a move: its first, its last, or its only one.
type write struct {
	step  Step
	needs []*write
	rank  int
	index int // in the plan; -1 until it is there
}

// The order of writes that do not need each other.
const (
	rankCarrier = iota
	rankCreate
	rankCreateBare
	rankFirst
	rankUpdate
	rankDelete
	rankDone
)

// assemble turns the moves into steps, each behind those that it needs.
func (p *planner) assemble() *Plan {
	for _, m := range p.moves {
		p.addWrites(m)
	}
	for _, m := range p.moves {
		p.addNeeds(m)
	}
	var writes []*write
	for _, m := range p.moves {
		p.simplify(m)
		if clean := p.clean(m); clean != nil {
			writes = append(writes, clean)
		}
		if m.first != nil {
			writes = append(writes, m.first)
		}
		if m.last != nil && m.last != m.first {
			writes = append(writes, m.last)
		}
	}
	slices.SortStableFunc(writes, func(a, b *write) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.step.Name, b.step.Name))
	})
	plan := &Plan{}
	for _, w := range writes {
		plan.add(w, map[*write]bool{})
	}
	return plan
}

// add adds a write behind all that it needs. under way are those that wait for it.
func (p *Plan) add(w *write, underWay map[*write]bool) {
	if w.index >= 0 || underWay[w] {
		return
	}
	underWay[w] = true
	for _, needed := range w.needs {
		p.add(needed, underWay)
		if needed.index >= 0 && !slices.Contains(w.step.Needs, needed.index) {
			w.step.Needs = append(w.step.Needs, needed.index)
		}
	}
	slices.Sort(w.step.Needs)
	w.index = len(p.Steps)
	p.Steps = append(p.Steps, w.step)
}

// addWrites decides on the writes of a move.
func (p *planner) addWrites(m *move) {
	step := Step{Name: m.name, Rendered: m.rendered, Baseline: m.baseline, Component: m.component, Live: m.live}
	as := func(verb Verb, want *networkingv1.NetworkPolicy, transitional bool, rank int) *write {
		s := step
		s.Verb, s.Want, s.Transitional = verb, want, transitional
		return &write{step: s, rank: rank, index: -1}
	}
	form := m.want
	if len(p.moves) > 1 {
		form = p.firstForm(m)
	}
	switch {
	case m.temporary:
		m.first, m.last = as(Create, form, true, rankCarrier), as(Delete, nil, false, rankDone)
	case m.live == nil && form == m.want:
		rank := rankCreate
		if len(m.want.Spec.Ingress)+len(m.want.Spec.Egress) == 0 {
			rank = rankCreateBare
		}
		m.first = as(Create, m.want, false, rank)
		m.last = m.first
	case m.live == nil:
		m.first, m.last = as(Create, form, true, rankCarrier), as(Update, m.want, false, rankUpdate)
	case m.want == nil:
		m.last = as(Delete, nil, false, rankDelete)
		if m.held {
			m.last = as(Update, neutral(m.live), false, rankDelete)
		}
	case form == m.want:
		m.last = as(Update, m.want, false, rankUpdate)
		if m.samePods() {
			m.first = m.last
		}
	default:
		m.last = as(Update, m.want, false, rankUpdate)
	}
	if m.live != nil && form != nil && form != m.want && !Same(m.live, form) {
		m.first = as(Update, form, true, rankFirst)
	}
}

// addNeeds notes which writes the move's writes need.
func (p *planner) addNeeds(m *move) {
	start := m.first
	if start == nil {
		start = m.last
	}
	for _, other := range m.after {
		start.needs = append(start.needs, other.adding())
	}
	if m.first != nil && m.last != m.first {
		m.last.needs = append(m.last.needs, m.first)
	}
	for _, other := range m.cover {
		if other.first != nil {
			m.last.needs = append(m.last.needs, other.first)
		}
	}
	for _, other := range m.done {
		m.last.needs = append(m.last.needs, other.last)
	}
	for _, other := range p.moves {
		if other != m && p.outlives(m, other) {
			m.last.needs = append(m.last.needs, other.adding())
		}
	}
	m.last.needs = slices.DeleteFunc(m.last.needs, func(w *write) bool { return w == nil || w == m.last })
	start.needs = slices.DeleteFunc(start.needs, func(w *write) bool { return w == nil || w == start })
}

// simplify drops a first write of a removal that nothing has to wait for: it goes at once.
func (p *planner) simplify(m *move) {
	if m.want == nil && !m.temporary && m.first != nil && !m.carriesAny() && len(m.last.needs) == 1 {
		m.first, m.last.needs = nil, nil
	}
}

// clean returns a write that only takes out of a policy what somebody else wrote into it, where its first write has to wait
// for others; nil where there is nothing to take out.
func (p *planner) clean(m *move) *write {
	start := m.first
	if start == nil {
		start = m.last
	}
	if m.live == nil || len(start.needs) == 0 {
		return nil
	}
	form := *m.live
	for _, d := range directions {
		if hasType(&m.live.Spec, d) {
			setRules(&form.Spec, d, p.ours(m, d))
		}
	}
	if sameSpec(m.live, &form) {
		return nil
	}
	w := &write{rank: rankFirst, index: -1, step: Step{
		Verb: Update, Name: m.name, Rendered: m.rendered, Baseline: m.baseline, Component: m.component, Want: &form, Live: m.live, Transitional: true}}
	start.needs = append(start.needs, w)
	return w
}

// adding is the write with which the policy has all rules that it will have; nil when it has them already.
func (m *move) adding() *write {
	if m.standIn != nil {
		return m.standIn.first
	}
	if m.first != nil || m.samePods() {
		return m.first
	}
	return m.last
}

func (m *move) carriesAny() bool {
	return len(m.carries[networkingv1.PolicyTypeIngress])+len(m.carries[networkingv1.PolicyTypeEgress]) > 0
}

// firstForm is what the policy is from its first write to its last. It is what is wanted when one write is enough.
func (p *planner) firstForm(m *move) *networkingv1.NetworkPolicy {
	based := m.want // on the form whose pods it selects
	if m.want == nil || m.live != nil && !m.samePods() {
		if m.want != nil && !m.carriesAny() {
			return m.want // it comes to other pods in one write
		}
		based = m.live
	}
	form := *based
	form.Spec.PolicyTypes = nil
	for _, d := range directions {
		was, will := m.live != nil && hasType(&m.live.Spec, d), based == m.want && hasType(&m.want.Spec, d)
		if !was && !will {
			continue
		}
		form.Spec.PolicyTypes = append(form.Spec.PolicyTypes, d)
		var rules []rule
		if will {
			rules = rulesOf(m.want, d)
		}
		if was {
			rules = withAll(rules, p.keeps(m, d))
		}
		setRules(&form.Spec, d, withAll(rules, m.carries[d]))
	}
	if m.want != nil && sameSpec(&form, m.want) {
		return m.want
	}
	return &form
}

// keeps are the live rules that the policy does not give up with its first write: those that a revision asked for, as long
// as another policy is still to bring them. What somebody else wrote into it goes at once.
func (p *planner) keeps(m *move, d networkingv1.PolicyType) []rule {
	ours := p.ours(m, d)
	if m.leaves(d) {
		return ours
	}
	return slices.DeleteFunc(without(ours, rulesOf(m.want, d)), func(r rule) bool {
		return !slices.ContainsFunc(p.moves, func(other *move) bool {
			return other != m && other.want != nil && !other.wantPods.disjoint(m.livePods) && anyOverlap([]rule{r}, other.adds(d))
		})
	})
}

// outlives reports whether the last write of a move has to come behind what another one adds: because it gives up rules
// that the other one brings, or stops isolating pods that the other one isolates.
func (p *planner) outlives(m, other *move) bool {
	if other.want == nil || m.live == nil && m.last == m.first {
		return false
	}
	held, set := m.live, m.livePods
	if m.first != nil && m.first.step.Want != nil && m.first != m.last {
		held = m.first.step.Want
		set = podsOf(&held.Spec.PodSelector)
	} else if m.want != nil && !m.samePods() && !p.asked(m) {
		return false // nobody asked for it to be as it is
	}
	shared := set.and(other.wantPods)
	if shared.empty() {
		return false
	}
	return slices.ContainsFunc(directions, func(d networkingv1.PolicyType) bool {
		if !hasType(&held.Spec, d) {
			return false
		}
		if other.arrives(d) && (m.temporary || m.leaves(d)) && !slices.ContainsFunc(p.steady(d), shared.within) {
			return true
		}
		gives := rulesOf(held, d)
		if held == m.live {
			gives = p.ours(m, d)
		}
		if m.want != nil && !m.temporary && (m.live == nil || m.samePods()) {
			gives = without(gives, rulesOf(m.want, d))
		}
		return anyOverlap(gives, other.adds(d))
	})
}

// steady are the pods that policies isolate which do not change.
func (p *planner) steady(d networkingv1.PolicyType) []pods {
	return p.isolated(d, func(it *item) *networkingv1.NetworkPolicy {
		if it.pending {
			return nil
		}
		return it.live
	})
}

func sameSpec(a, b *networkingv1.NetworkPolicy) bool {
	return equality.Semantic.DeepEqual(a.Spec, b.Spec)
}
