// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Told is what a decision on a namespace means for one baseline, before anything is written.
type Told struct {
	// Desired policies are asked for here; InSync of them are in place already.
	Desired, InSync int32
	// Kept policies stay in force, unrepaired.
	Kept int32
	// Leaving reports whether something of the baseline is still to be removed or released here.
	Leaving bool
	// Held says why a baseline that is being deleted has to stay; "" for it has not.
	Held string
	// Problems are worth knowing, and keep nothing from being in sync.
	Problems []v1alpha1.Problem
	// Overrides are live policies that allow what the baseline denies, or keep it from denying it.
	Overrides []v1alpha1.Problem
	// Notes say which components are not rendered, and why.
	Notes []Note
	// Audit is what enforcing the baseline would change here; for baselines in audit mode.
	Audit Audit
}

// Audit counts the policies that enforcing would write.
type Audit struct{ Create, Change, Remove int32 }

// tell gathers what each baseline is told.
func (s *State) tell(d *Decision, l *live, items []item) []*Told {
	out := make([]*Told, len(d.Contributions))
	unwanted := l.others()
	for i := range items {
		if items[i].want == nil {
			unwanted = append(unwanted, items[i].live)
		}
	}
	for i := range d.Contributions {
		c := &d.Contributions[i]
		told := &Told{Kept: count(l.kept, c), Leaving: count(l.retained, c) > 0}
		told.count(c, items)
		told.Problems = append(s.taken(c, l, items), s.held(c, l)...)
		if c.Phase == Enforcing {
			s.judge(told, d, c, l, unwanted)
		}
		if c.Phase == Retained && s.needed(d, l, i) {
			told.Leaving = true
			told.Held = "deletionPolicy Retain cannot keep its metadata block here, which consists of exceptions in policies of other baselines: declare blockMetadata in one of them, or set deletionPolicy: Delete"
		}
		out[i] = told
	}
	return out
}

func count(policies []owned, c *Contribution) int32 {
	n := int32(0)
	for _, o := range policies {
		if o.of.UID == c.UID {
			n++
		}
	}
	return n
}

// count counts the policies of the baseline, one for each that is wanted.
func (t *Told) count(c *Contribution, items []item) {
	for i := range items {
		it := &items[i]
		if it.baseline != c.Name {
			continue
		}
		switch {
		case it.want == nil && c.Phase == Leaving:
			t.Leaving = t.Leaving || !it.held || it.pending
		case it.want == nil, it.held:
		default:
			t.Desired++
			if !it.pending {
				t.InSync++
			}
		}
	}
}

// judge says what undoes an enforcing baseline, and which of its components are not rendered.
func (s *State) judge(t *Told, d *Decision, c *Contribution, l *live, unwanted []*networkingv1.NetworkPolicy) {
	profile := &c.Revision.Spec.Profile
	for _, o := range overrides(profile, unwanted) {
		t.Overrides = append(t.Overrides, v1alpha1.Problem{Namespace: s.Namespace.Name, Policy: o.Policy, Reason: o.Reason, Message: o.Message})
	}
	for _, note := range d.Wanted.Notes {
		switch {
		case note.Baseline != c.Name:
		case note.Reason == v1alpha1.ReasonWithheld:
			t.Overrides = append(t.Overrides, v1alpha1.Problem{Namespace: s.Namespace.Name, Policy: restricting(profile.BlockMetadata, l.foreign),
				Reason: note.Reason, Message: note.Component + ": " + note.Message})
		default:
			t.Notes = append(t.Notes, note)
		}
	}
}

// taken tells of names that foreign policies have, so that ours have others.
func (s *State) taken(c *Contribution, l *live, items []item) []v1alpha1.Problem {
	var out []v1alpha1.Problem
	for i := range items {
		it := &items[i]
		if it.baseline != c.Name || it.want == nil || it.held {
			continue
		}
		for _, p := range l.foreign {
			if n := numberOf(it.name, p.Name); n > 1 {
				out = append(out, v1alpha1.Problem{Namespace: s.Namespace.Name, Policy: p.Name, Reason: v1alpha1.ReasonNameTaken,
					Message: fmt.Sprintf("netbaseline did not create this policy, whose name it would use: the generated one is called %s here", it.name)})
			}
		}
	}
	return out
}

// held tells of policies of the baseline that finalizers hold in deletion.
func (s *State) held(c *Contribution, l *live) []v1alpha1.Problem {
	var out []v1alpha1.Problem
	for _, o := range slices.Concat(l.ours, l.kept, l.retained) {
		if o.of.UID == c.UID && o.DeletionTimestamp != nil && !s.Namespace.Terminating {
			out = append(out, v1alpha1.Problem{Namespace: s.Namespace.Name, Policy: o.Name, Reason: v1alpha1.ReasonTerminating,
				Message: fmt.Sprintf("the policy is being deleted and held by finalizers %v: remove them", o.Finalizers)})
		}
	}
	return out
}

// needed reports whether others would block less without the ith contribution, which is being deleted.
func (s *State) needed(d *Decision, l *live, i int) bool {
	if d.Contributions[i].Revision == nil || d.Contributions[i].Revision.Spec.Profile.BlockMetadata == nil {
		return false
	}
	without := slices.Clone(d.Contributions)
	without[i].Revision = nil
	then := s.Memo.render(s.input(without, l), s.FactsVersion)
	return !slices.EqualFunc(d.Wanted.Policies, then.Policies, func(a, b Policy) bool {
		return a.Name == b.Name && equality.Semantic.DeepEqual(a.Spec, b.Spec)
	})
}
