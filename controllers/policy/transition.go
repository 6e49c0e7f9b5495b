// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// learn notes what was wanted and what is.
func (p *planner) learn(wanted []*Rendered) {
	for _, r := range wanted {
		for i := range r.Policies {
			p.known = append(p.known, r.Policies[i].NetworkPolicy)
		}
	}
}

// ours are the rules of a live policy that a revision asked for: of any policy, since a policy may carry those of others.
// Those of a policy that somebody gave to other pods are not.
func (p *planner) ours(m *move, d networkingv1.PolicyType) []rule {
	if m.live == nil || !p.asked(m) {
		return nil
	}
	var known []rule
	for _, k := range p.known {
		known = append(known, rulesOf(k, d)...)
	}
	return among(rulesOf(m.live, d), known)
}

// asked reports whether a revision asked for a policy with the same name that selects the pods which the live one selects.
// Otherwise somebody else has changed its podSelector.
func (p *planner) asked(m *move) bool {
	return m.component == transitionComponent || slices.ContainsFunc(p.known, func(k *networkingv1.NetworkPolicy) bool {
		return numberOf(m.name, k.Name) > 0 && podsOf(&k.Spec.PodSelector).equal(m.livePods)
	})
}

// edge is one end of a transition, so that arrivals and departures, which mirror each other, share their logic.
type edge struct {
	direction networkingv1.PolicyType
	// moves that isolate pods at this end and not at the other.
	moves []*move
	// pods and rules of a move at this end.
	pods  func(*move) pods
	rules func(*move) []rule
	// isolated are the pods that the other end isolates.
	isolated []pods
	// carries reports whether a move can carry for others, as far as it does not have to wait for them.
	carries func(m *move, others []*move) bool
}

// order decides which policies carry rules of others, and what has to wait for what. Where two policies with rules select
// the same pods one has to carry; denies without rules come after that, because they can go by what was decided.
func (p *planner) order() {
	var bare []func()
	for _, d := range directions {
		if e := p.arrival(d); e.entangled() {
			p.arrive(e)
		} else {
			bare = append(bare, func() { e.arriveBare() })
		}
		if e := p.departure(d); e.entangled() {
			p.leave(e)
		} else {
			bare = append(bare, func() { p.leaveBare(e) })
		}
	}
	for _, f := range bare {
		f()
	}
	for _, m := range p.moves {
		if m.standIn != nil && m.standIn.temporary {
			m.standIn.after = m.after
		}
	}
}

// arrival are the pods that nothing isolates yet: the first policy that selects them must have all rules that they will
// have, or else it would deny what the next one allows.
func (p *planner) arrival(d networkingv1.PolicyType) *edge {
	return &edge{
		direction: d,
		moves:     p.movesThat(func(m *move) bool { return m.arrives(d) }),
		pods:      func(m *move) pods { return m.wantPods },
		rules:     func(m *move) []rule { return rulesOf(m.want, d) },
		isolated:  p.isolated(d, func(it *item) *networkingv1.NetworkPolicy { return it.live }),
		carries: func(m *move, others []*move) bool {
			return !slices.ContainsFunc(m.after, func(o *move) bool { return slices.Contains(others, o) })
		},
	}
}

// departure are the pods that nothing will isolate: the last policy that selects them must have all rules that they had.
func (p *planner) departure(d networkingv1.PolicyType) *edge {
	return &edge{
		direction: d,
		moves:     p.movesThat(func(m *move) bool { return m.leaves(d) }),
		pods:      func(m *move) pods { return m.livePods },
		rules:     func(m *move) []rule { return p.ours(m, d) },
		isolated:  p.isolated(d, func(it *item) *networkingv1.NetworkPolicy { return it.want }),
		carries: func(m *move, others []*move) bool {
			// What it carries must be known for ours when the plan is cut short.
			return p.asked(m) && !slices.ContainsFunc(others, func(o *move) bool { return slices.Contains(o.done, m) })
		},
	}
}

func (p *planner) arrive(e *edge) {
	for _, carrier := range p.carriers(e) {
		for _, m := range e.moves {
			if m != carrier && !e.pods(m).disjoint(carrier.wantPods) {
				m.after = append(m.after, carrier)
			}
		}
	}
}

func (p *planner) leave(e *edge) {
	for _, carrier := range p.carriers(e) {
		carried := carrier.livePods
		if carrier.temporary {
			carried = carrier.wantPods
		}
		for _, m := range e.moves {
			if m != carrier && !e.pods(m).disjoint(carried) {
				m.cover = append(m.cover, carrier)
				carrier.done = append(carrier.done, m)
			}
		}
	}
}

// arriveBare sees to denies without rules, which would cut what others allow. One carries their rules, so that it can be
// there whatever becomes of them; where that would open them to pods that are isolated already, it waits for them.
func (e *edge) arriveBare() {
	for _, bare := range e.moves {
		others := e.ruleful(bare)
		if len(e.rules(bare)) > 0 || len(others) == 0 {
			continue
		}
		set := e.pods(bare)
		carries := (bare.live == nil || bare.samePods()) && e.carries(bare, others)
		for _, other := range others {
			carries = carries && (set.within(e.pods(other)) || e.free(set))
		}
		for _, other := range others {
			if carries {
				bare.carries[e.direction] = withAll(bare.carries[e.direction], e.rules(other))
				other.after = append(other.after, bare)
			} else {
				bare.after = append(bare.after, other)
			}
		}
	}
}

// leaveBare sees to denies without rules: they go first. One that has to go last, for the other direction, carries.
func (p *planner) leaveBare(e *edge) {
	for _, bare := range e.moves {
		others := e.ruleful(bare)
		if len(e.rules(bare)) > 0 || len(others) == 0 {
			continue
		}
		if slices.ContainsFunc(others, func(o *move) bool { return slices.Contains(bare.done, o) }) {
			p.leave(e)
			return
		}
		for _, other := range others {
			other.done = append(other.done, bare)
		}
	}
}

// free reports whether the other end isolates none of the pods.
func (e *edge) free(set pods) bool {
	return !slices.ContainsFunc(e.isolated, func(other pods) bool { return !other.disjoint(set) })
}

func (p *planner) movesThat(matches func(*move) bool) []*move {
	return slices.DeleteFunc(slices.Clone(p.moves), func(m *move) bool { return m.temporary || !matches(m) })
}

// isolated are the pods that policies isolate at one end of the transition.
func (p *planner) isolated(d networkingv1.PolicyType, at func(*item) *networkingv1.NetworkPolicy) []pods {
	var out []pods
	add := func(o *networkingv1.NetworkPolicy) {
		if o == nil || !hasType(&o.Spec, d) {
			return
		}
		if set := podsOf(&o.Spec.PodSelector); !set.empty() {
			out = append(out, set)
		}
	}
	for i := range p.items {
		add(at(&p.items[i]))
	}
	for _, o := range p.others {
		add(o)
	}
	return maximal(out)
}

// entangled reports whether two moves with rules select a pod that is not isolated at the other end.
func (e *edge) entangled() bool {
	for i, a := range e.moves {
		for _, b := range e.moves[i+1:] {
			if len(e.rules(a)) == 0 || len(e.rules(b)) == 0 {
				continue
			}
			if shared := e.pods(a).and(e.pods(b)); !shared.empty() && !slices.ContainsFunc(e.isolated, shared.within) {
				return true
			}
		}
	}
	return false
}

// ruleful are the moves with rules that share pods with another one, which the other end does not isolate.
func (e *edge) ruleful(with *move) []*move {
	return slices.DeleteFunc(slices.Clone(e.moves), func(m *move) bool {
		shared := e.pods(m).and(e.pods(with))
		return m == with || len(e.rules(m)) == 0 || shared.empty() || slices.ContainsFunc(e.isolated, shared.within)
	})
}

// carriers returns policies that together isolate the pods which the other end does not isolate, with all rules that they
// have at this end. Where the pods are exactly those of a policy that moves, it carries; elsewhere a temporary policy does.
func (p *planner) carriers(e *edge) []*move {
	var sets []pods
	for _, m := range e.moves {
		sets = append(sets, e.pods(m))
	}
	var out []*move
	for _, set := range maximal(sets) {
		parts, ok := set.minus(e.isolated...)
		if !ok {
			parts = []pods{set} // beyond the bound: see the limits of guarantee 1
		}
		for _, part := range parts {
			carrier := e.holder(part)
			if carrier == nil {
				carrier = p.temporary(e, part)
			}
			for _, m := range e.moves {
				if !e.pods(m).disjoint(part) {
					carrier.carries[e.direction] = withAll(carrier.carries[e.direction], e.rules(m))
				}
			}
			out = append(out, carrier)
		}
	}
	return out
}

// holder is the move with exactly these pods that can carry, one without rules if there is any; nil for none.
func (e *edge) holder(set pods) *move {
	var found *move
	for _, m := range e.moves {
		can := e.pods(m).equal(set) && (m.live == nil || m.want == nil || m.samePods()) && e.carries(m, e.moves)
		if can && (found == nil || len(e.rules(m)) == 0 && len(e.rules(found)) > 0) {
			found = m
		}
	}
	return found
}

// temporary adds a policy that carries during the transition.
func (p *planner) temporary(e *edge, set pods) *move {
	of := e.moves[0]
	model := of.want
	if model == nil {
		model = of.live
	}
	object := transitional(of.baseline, model)
	object.Spec.PodSelector = set.selector()
	object.Spec.PolicyTypes = []networkingv1.PolicyType{e.direction}
	return p.addTemporary(of.baseline, object)
}

func (p *planner) addTemporary(baseline string, object *networkingv1.NetworkPolicy) *move {
	rendered := object.Name
	object.Name = free(rendered, p.taken)
	m := newMove(&item{name: object.Name, rendered: rendered, baseline: baseline, component: transitionComponent, want: object})
	m.temporary = true
	p.moves = append(p.moves, m)
	return m
}
