// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// Verb is what a step does.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
)

// Step is one write.
type Step struct {
	Verb Verb
	// Name of the policy.
	Name string
	// Rendered is the name that the policy has where nobody else has it: the same for all that stand for one another.
	Rendered string
	// Baseline and component that the policy belongs to.
	Baseline, Component string
	// Want is the policy to create or update to, without a namespace; nil for a delete. Shared: never change it.
	Want *networkingv1.NetworkPolicy
	// Live is what is there; nil for a create, and for what an earlier step creates.
	Live *networkingv1.NetworkPolicy
	// Transitional: a later step of the plan replaces or deletes this form.
	Transitional bool
	// Needs are the indexes of the earlier steps without which this one would open or close a connection too early.
	Needs []int
}

// Plan is what leads a namespace from live to wanted: steps to be done in their order. When one is refused, those that
// need it must not be done; all others can be.
type Plan struct {
	Steps []Step
}

// Empty reports whether nothing is to be written.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// newPlan plans the writes of one namespace so that in every state that a watcher can see, for every single pod,
//
//   - no gap: what both the state before and the state after allow is allowed. What somebody else wrote into a policy of
//     ours is no part of the state before;
//   - no opening: what is allowed is allowed by the state before or the state after.
//
// Policies that select a pod isolate it: what none of them allows is denied. So order matters, in each direction, for
// three things:
//
//   - Rules that move from one policy to another: a policy that has some of them is widened in place, to its old and its
//     new rules for its own pods, and narrowed when the other one is written.
//   - Pods that were not isolated (see arrive): the first policy to select them carries the rules of all that will.
//   - Pods that will not be isolated (see leave): the last policy to select them carries the rules of all that did.
//
// before is what was wanted when the live policies were written, others are the live policies that are not ours to write, and
// taken the names that are used.
func newPlan(items []item, others []*networkingv1.NetworkPolicy, taken map[string]bool, wanted *Rendered, before []*Rendered) *Plan {
	p := &planner{others: others, items: items, taken: taken}
	for i := range items {
		if items[i].pending {
			p.moves = append(p.moves, newMove(&items[i]))
		}
	}
	if len(p.moves) > 1 {
		p.learn(append(slices.Clone(before), wanted))
		p.standIns()
		p.order()
	}
	return p.assemble()
}

// planner makes one plan.
type planner struct {
	items  []item
	others []*networkingv1.NetworkPolicy
	taken  map[string]bool
	moves  []*move
	// known is what was wanted or is: rules that are live and not among them were written by somebody else.
	known []*networkingv1.NetworkPolicy
}

// move is what becomes of one policy.
type move struct {
	*item
	livePods, wantPods pods
	// carries are rules of others that its first form has, by direction.
	carries map[networkingv1.PolicyType][]rule
	// temporary: it exists only during the transition.
	temporary bool
	// standIn has the new form until the policy has it; nil for none.
	standIn *move
	// after are the moves whose rules have to be there before its first write, cover those whose first write, and done
	// those whose last write, has to come before its last one.
	after, cover, done []*move
	// first and last are its writes. They are one where one is enough; first is nil where the policy has its first form
	// already, or goes, or selects other pods, in one write.
	first, last *write
}

func newMove(it *item) *move {
	m := &move{item: it, carries: map[networkingv1.PolicyType][]rule{}}
	if it.live != nil {
		m.livePods = podsOf(&it.live.Spec.PodSelector)
	}
	if it.want != nil {
		m.wantPods = podsOf(&it.want.Spec.PodSelector)
	}
	return m
}

// samePods reports whether the policy selects the same pods before and after.
func (m *move) samePods() bool {
	return m.live != nil && m.want != nil && m.livePods.equal(m.wantPods)
}

// arrives reports whether the policy isolates pods in the direction that it did not isolate before.
func (m *move) arrives(d networkingv1.PolicyType) bool {
	return m.want != nil && hasType(&m.want.Spec, d) && (!m.samePods() || !hasType(&m.live.Spec, d))
}

// leaves reports whether the policy stops isolating pods in the direction.
func (m *move) leaves(d networkingv1.PolicyType) bool {
	return m.live != nil && hasType(&m.live.Spec, d) && (!m.samePods() || !hasType(&m.want.Spec, d))
}

// adds are the rules that the policy will have in the direction and does not have for its pods yet.
func (m *move) adds(d networkingv1.PolicyType) []rule {
	if m.arrives(d) {
		return rulesOf(m.want, d)
	}
	return without(rulesOf(m.want, d), rulesOf(m.live, d))
}
