// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
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
	// Baseline that the policy belongs to.
	Baseline string
	// Want is the policy to create or update to, without a namespace; nil for a delete. Shared: never change it.
	Want *networkingv1.NetworkPolicy
	// Live is what is there; nil for a create.
	Live *networkingv1.NetworkPolicy
	// Passing: an intermediate form, which a later step of the plan replaces or deletes.
	Passing bool
}

// Obstacle is a rendered policy that cannot be written.
type Obstacle struct {
	Policy
	// Live is what is in the way: somebody else's policy, or ours when Terminating.
	Live *networkingv1.NetworkPolicy
	// Terminating: ours, held in deletion by somebody's finalizer.
	Terminating bool
}

// Plan is what leads a namespace from live to rendered.
type Plan struct {
	// Phases are to be done one after the other. When a step of a phase fails, the phases behind it must not begin.
	Phases [][]Step
	// Obstacles in the order of their names.
	Obstacles []Obstacle
	// Withheld are policies that are not created, or not repaired, because they would isolate pods without the deny
	// that an obstacle keeps away.
	Withheld []Policy
}

// Empty says whether nothing is to be written.
func (p *Plan) Empty() bool { return len(p.Phases) == 0 }

// Len is the number of policies to write, each counted once.
func (p *Plan) Len() int {
	n := 0
	for _, phase := range p.Phases {
		for _, step := range phase {
			if !step.Passing {
				n++
			}
		}
	}
	return n
}

var directions = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}

// NewPlan plans the writes of one namespace so that in every state that a watcher can see, what both the state before
// and the state after allow is allowed (guarantee 1 of the design).
//
// Whichever policy selects a pod isolates it, and so denies whatever other policies will allow, or did allow. While
// all pods are isolated before and after, creates, then updates, then deletes are safe: each create only allows more.
// When isolation comes or goes, or several updates could each take what another gives, one policy that selects all
// pods, the carrier, is written first with all the rules of that direction, and its final form, or its deletion, is
// the last write. Where no policy of ours isolates all pods, because somebody narrowed or deleted the one that did,
// each that changes or goes carries the rules of all.
func NewPlan(desired *Rendered, live Live) *Plan {
	b := &planner{plan: &Plan{}, live: live, want: map[string]*Policy{}}
	b.sortOut(desired)
	b.withhold()
	b.carryObstacles()
	b.diff()
	if len(b.creates)+len(b.updates)+len(b.deletes) > 0 {
		b.carry()
		b.plan.Phases = b.phases()
	}
	return b.plan
}

type planner struct {
	plan *Plan
	live Live
	// want is what can be written, by name.
	want map[string]*Policy

	creates, updates, deletes []Step
	// before is the passing form of each carrier, by name.
	before map[string]*networkingv1.NetworkPolicy
	// spread is the form, before anything else, of policies that carry for each other, by name.
	spread map[string]*networkingv1.NetworkPolicy
	// leaves are the carriers that stop isolating: they are done with when nothing is left to carry.
	leaves map[string]bool
}

// sortOut separates the obstacles from what can be written.
func (b *planner) sortOut(desired *Rendered) {
	foreign := map[string]*networkingv1.NetworkPolicy{}
	for _, p := range b.live.Foreign {
		foreign[p.Name] = p
	}
	for i := range desired.Policies {
		p := &desired.Policies[i]
		if other := foreign[p.Name]; other != nil {
			b.plan.Obstacles = append(b.plan.Obstacles, Obstacle{Policy: *p, Live: other})
			continue
		}
		if ours := b.live.Ours[p.Name]; ours != nil && ours.DeletionTimestamp != nil {
			b.plan.Obstacles = append(b.plan.Obstacles, Obstacle{Policy: *p, Live: ours, Terminating: true})
			continue
		}
		b.want[p.Name] = p
	}
}

// withhold drops what would be the first of ours to isolate pods in a direction whose deny is kept away by an
// obstacle: an allow must never deny. Where pods are isolated by us already, an allow is safe, and is repaired.
func (b *planner) withhold() {
	for _, d := range directions {
		obstructed := slices.ContainsFunc(b.plan.Obstacles, func(o Obstacle) bool { return o.Isolates && hasType(&o.Spec, d) })
		if !obstructed || b.deny(d) != "" || anyIsolatesAll(b.live.Ours, d) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(b.want)) {
			p := b.want[name]
			if hasType(&p.Spec, d) && !p.Isolates && !isolatesSame(b.live.Ours[name], &p.Spec, d) {
				b.plan.Withheld = append(b.plan.Withheld, *p)
				delete(b.want, name)
			}
		}
	}
}

// carryObstacles lets a deny keep the rules of the allows that cannot be written, so that a conflict over a name is
// no outage.
func (b *planner) carryObstacles() {
	if len(b.plan.Obstacles) == 0 {
		return
	}
	for _, d := range directions {
		name := b.deny(d)
		if name == "" {
			continue
		}
		for _, o := range b.plan.Obstacles {
			if o.Isolates || !hasType(&o.Spec, d) {
				continue
			}
			carrier := *b.want[name]
			carrier.NetworkPolicy = withRules(carrier.NetworkPolicy, d, []*networkingv1.NetworkPolicySpec{&o.Spec})
			b.want[name] = &carrier
		}
	}
}

// diff fills creates, updates and deletes.
func (b *planner) diff() {
	for _, name := range slices.Sorted(maps.Keys(b.want)) {
		p, live := b.want[name], b.live.Ours[name]
		switch {
		case live == nil:
			b.creates = append(b.creates, Step{Verb: Create, Name: name, Baseline: p.Baseline, Want: p.NetworkPolicy})
		case !Same(live, p.NetworkPolicy):
			b.updates = append(b.updates, Step{Verb: Update, Name: name, Baseline: p.Baseline, Want: p.NetworkPolicy, Live: live})
		}
	}
	left := map[string]bool{}
	for _, o := range b.plan.Obstacles {
		left[o.Name] = true
	}
	for _, p := range b.plan.Withheld {
		left[p.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(b.live.Ours)) {
		live := b.live.Ours[name]
		if b.want[name] == nil && !left[name] && live.DeletionTimestamp == nil {
			b.deletes = append(b.deletes, Step{Verb: Delete, Name: name, Baseline: BaselineOf(live), Live: live})
		}
	}
}

// phases puts the steps in order: whatever carries, creates, updates, denies in their final form, deletes, and last
// the carriers that leave. A deny is final before anything is deleted, so that pods stay isolated by it meanwhile.
func (b *planner) phases() [][]Step {
	var spread, first, creates, updates, final, allows, denies, leaving, gone []Step
	for _, s := range b.creates {
		form := b.before[s.Name]
		if form == nil {
			creates = append(creates, s)
			continue
		}
		carrier := s
		carrier.Want, carrier.Passing = form, true
		first = append(first, carrier)
		s.Verb = Update
		final = append(final, s)
	}
	for _, s := range slices.Concat(b.updates, b.deletes) {
		if form := b.spread[s.Name]; form != nil && !Same(s.Live, form) {
			spread = append(spread, carrying(s, form))
		}
	}
	for _, s := range slices.Concat(b.updates, b.restored()) {
		if form := b.before[s.Name]; form != nil && !Same(s.Live, form) {
			first = append(first, carrying(s, form))
		}
		switch {
		case b.leaves[s.Name]:
			leaving = append(leaving, s)
		case b.before[s.Name] != nil || onlyDenies(s.Want):
			final = append(final, s)
		default:
			updates = append(updates, s)
		}
	}
	for _, s := range b.deletes {
		if form := b.before[s.Name]; form != nil && !Same(s.Live, form) {
			first = append(first, carrying(s, form))
		}
		switch {
		case b.leaves[s.Name]:
			gone = append(gone, s)
		case isDeny(s.Live):
			denies = append(denies, s)
		default:
			allows = append(allows, s)
		}
	}
	phases := [][]Step{spread, first, creates, updates, final, append(allows, denies...), leaving, gone}
	return slices.DeleteFunc(phases, func(phase []Step) bool { return len(phase) == 0 })
}

// restored are the steps that give a carrier back the form that it has already: it carries and stops carrying.
func (b *planner) restored() []Step {
	var steps []Step
	for _, name := range slices.Sorted(maps.Keys(b.before)) {
		p, live := b.want[name], b.live.Ours[name]
		if p != nil && live != nil && Same(live, p.NetworkPolicy) && !Same(live, b.before[name]) {
			steps = append(steps, Step{Verb: Update, Name: name, Baseline: p.Baseline, Want: p.NetworkPolicy, Live: live})
		}
	}
	return steps
}

// carrying is the update to a passing form, before the update or the delete.
func carrying(s Step, form *networkingv1.NetworkPolicy) Step {
	s.Verb, s.Want, s.Passing = Update, form, true
	return s
}

// BaselineOf is the name of the baseline that a policy of ours belongs to, as far as it still tells.
func BaselineOf(p *networkingv1.NetworkPolicy) string {
	for i := range p.OwnerReferences {
		if ref := &p.OwnerReferences[i]; ref.Kind == "NetworkBaseline" {
			return ref.Name
		}
	}
	return p.Labels[v1alpha1.BaselineLabel]
}

func isDeny(p *networkingv1.NetworkPolicy) bool { return rank(p) < len(components) }

// onlyDenies says whether the policy is a deny without rules: an update to it gives nothing, and may take what it
// carried.
func onlyDenies(p *networkingv1.NetworkPolicy) bool { return isDeny(p) && ruleCount(&p.Spec) == 0 }

func hasType(spec *networkingv1.NetworkPolicySpec, d networkingv1.PolicyType) bool {
	return slices.Contains(spec.PolicyTypes, d)
}

func isolatesAll(spec *networkingv1.NetworkPolicySpec, d networkingv1.PolicyType) bool {
	return hasType(spec, d) && selectsAll(&spec.PodSelector)
}

// isolatesSame says whether a live policy, nil for none, isolates the same pods in the direction already.
func isolatesSame(live *networkingv1.NetworkPolicy, spec *networkingv1.NetworkPolicySpec, d networkingv1.PolicyType) bool {
	return live != nil && hasType(&live.Spec, d) && equality.Semantic.DeepEqual(live.Spec.PodSelector, spec.PodSelector)
}

func anyIsolatesAll(policies map[string]*networkingv1.NetworkPolicy, d networkingv1.PolicyType) bool {
	for _, p := range policies {
		if isolatesAll(&p.Spec, d) {
			return true
		}
	}
	return false
}

// specs are those that have the direction, in the order of their names.
func specs(policies map[string]*networkingv1.NetworkPolicy, d networkingv1.PolicyType) []*networkingv1.NetworkPolicySpec {
	var out []*networkingv1.NetworkPolicySpec
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		if hasType(&policies[name].Spec, d) {
			out = append(out, &policies[name].Spec)
		}
	}
	return out
}
