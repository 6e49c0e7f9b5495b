// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// State is what was observed of one namespace.
type State struct {
	Namespace  Namespace
	Baselines  []*Baseline
	Protection Protection
	Facts      Facts
	// FactsVersion differs whenever Facts do.
	FactsVersion int64
	// Policies are all that are live in the namespace. They are never changed.
	Policies []*networkingv1.NetworkPolicy
	// Seen are the policies that this process has seen as ours, by UID, with the UID of their baseline.
	Seen map[types.UID]types.UID
	// Enforced are the baselines that were in force here when this process last looked; nil when it has not.
	Enforced map[types.UID]bool
	// Before is what this process wanted since the namespace was last in sync; none for unknown.
	Before []*Rendered
	// Memo shares what is rendered with other namespaces; nil for not.
	Memo *Memo
}

// Decision is everything that follows from a State.
type Decision struct {
	// Contributions of all baselines, by name.
	Contributions []Contribution
	// Wanted is what the namespace should hold.
	Wanted *Rendered
	// Plan leads there.
	Plan *Plan
	// Before is what State.Before has to be next time, unless the plan is done in full: then it is what is wanted now.
	Before []*Rendered
	// Release are retained policies, which lose their owner.
	Release []Step
	// Seen are the policies that are ours now.
	Seen map[types.UID]types.UID
	// Told is what each baseline is told, in the order of the contributions; nil for nothing.
	Told []*Told
}

// Decide decides on one namespace. It is the one place in which what is observed becomes what is done and told.
func Decide(s *State) *Decision {
	contributions := Contributions(s.Namespace, s.Baselines, s.Protection, s.enforced)
	d, l, items := s.decide(contributions)
	d.Seen = seen(l)
	for _, o := range l.retained {
		d.Release = append(d.Release, release(o))
	}
	d.Told = s.tell(d, l, items)
	for i, c := range contributions {
		if c.Phase == Auditing && c.Selected {
			d.Told[i].Audit = s.audit(contributions, i, d.Told[i])
		}
	}
	return d
}

// decide decides with given contributions: those that are, or those that would be.
func (s *State) decide(contributions []Contribution) (*Decision, *live, []item) {
	l := classify(s, contributions)
	wanted := s.Memo.render(s.input(contributions, &l), s.FactsVersion)
	l.adopt(wanted, contributions)
	items, taken := match(wanted, &l, s.Namespace.Terminating)
	d := &Decision{Contributions: contributions, Wanted: wanted, Plan: &Plan{}, Before: []*Rendered{wanted}}
	if slices.ContainsFunc(items, func(it item) bool { return it.pending }) {
		before := s.before(contributions, &l)
		d.Plan = newPlan(items, l.others(), taken, wanted, before)
		d.Before = remember(before, wanted)
	}
	return d, &l, items
}

func (s *State) input(contributions []Contribution, l *live) Input {
	return Input{
		Contributions: contributions, NamespaceLabels: s.Namespace.Labels, Facts: s.Facts,
		Restricted: l.restrictedEgress(contributions), AlsoDenied: l.alsoDenied(),
	}
}

// before is what was wanted when the live policies were written, as far as that is known: what this process wanted, and
// what the revisions ask for that were in force.
func (s *State) before(contributions []Contribution, l *live) []*Rendered {
	was := slices.Clone(contributions)
	changed := false
	for i := range was {
		c := &was[i]
		switch {
		case c.Phase == Enforcing && c.Current != nil && c.Revision != c.Current:
			c.Revision, changed = c.Current, true
		case c.Phase == Leaving && c.inForce() != nil:
			c.Phase, c.Revision, changed = Enforcing, c.inForce(), true
		}
	}
	if !changed {
		return s.Before
	}
	return append(slices.Clone(s.Before), s.Memo.render(s.input(was, l), s.FactsVersion))
}

// remembered bounds how many forms of a namespace that is never in sync are remembered.
const remembered = 16

// remember adds what is wanted to what was, once.
func remember(before []*Rendered, wanted *Rendered) []*Rendered {
	if !slices.Contains(before, wanted) {
		before = append(slices.Clone(before), wanted)
	}
	return before[max(0, len(before)-remembered):]
}

// enforced reports whether a baseline is in force in the namespace although another one that selects it, created at the
// given time, has not been admitted. What is in force is never loosened for that.
func (s *State) enforced(b *Baseline, since time.Time) bool {
	if s.Enforced[b.UID] || slices.ContainsFunc(s.Policies, func(p *networkingv1.NetworkPolicy) bool { return OwnedBy(p, b) }) {
		return true
	}
	if s.Enforced != nil {
		return false
	}
	// The first look after a start. A namespace that is older than the other baseline was enforced before that one came,
	// when all namespaces were.
	return b.Settled && s.Namespace.Created.Before(since)
}

// audit counts what enforcing the ith contribution as well would change, and notes what it would be told.
func (s *State) audit(contributions []Contribution, i int, told *Told) Audit {
	as := slices.Clone(contributions)
	c := &as[i]
	if c.Selects(c.Update, s.Namespace.Name, s.Namespace.Labels, s.Protection) != Selected {
		c.Phase, c.Revision = Leaving, nil
	} else {
		c.Phase, c.Revision = Enforcing, c.Update
	}
	would, l, items := s.decide(as)
	out := Audit{}
	for _, it := range items {
		switch {
		case it.held || !it.pending:
		case it.live == nil:
			out.Create++
		case it.want == nil:
			out.Remove++
		default:
			out.Change++
		}
	}
	if c.Phase == Enforcing {
		then := s.tell(would, l, items)[i]
		told.Desired, told.InSync, told.Problems, told.Overrides, told.Notes = then.Desired, then.InSync, then.Problems, then.Overrides, then.Notes
	}
	return out
}

func seen(l *live) map[types.UID]types.UID {
	out := make(map[types.UID]types.UID, len(l.ours)+len(l.kept))
	for _, o := range slices.Concat(l.ours, l.kept) {
		out[o.UID] = o.of.UID
	}
	return out
}

// Outcome is what the namespace holds when the decision is carried out, in no particular order.
func (d *Decision) Outcome(live []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	byName := map[string]*networkingv1.NetworkPolicy{}
	for _, p := range live {
		byName[p.Name] = p
	}
	for _, steps := range [][]Step{d.Plan.Steps, d.Release} {
		for i := range steps {
			if steps[i].Want == nil {
				delete(byName, steps[i].Name)
			} else {
				byName[steps[i].Name] = steps[i].Want
			}
		}
	}
	return slices.Collect(maps.Values(byName))
}
