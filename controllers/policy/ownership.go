// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// owned is a live policy of ours.
type owned struct {
	*networkingv1.NetworkPolicy
	// of is what its baseline is to the namespace; nil for a baseline that does not exist any more.
	of *Contribution
}

// live is what a namespace holds, classified once.
type live struct {
	// ours are maintained: brought into their wanted form, or removed.
	ours []owned
	// kept belong to a baseline that audits or waits, and stay as they are.
	kept []owned
	// retained lose their owner and stay.
	retained []owned
	// foreign policies are never written.
	foreign []*networkingv1.NetworkPolicy
}

// classify splits the live policies of a namespace by whose they are. An owner reference alone proves nothing, because
// whoever may create a policy may write it: ours are known by owner and component label together, or because this process
// has seen them as ours.
func classify(s *State, contributions []Contribution) live {
	byUID := make(map[types.UID]*Contribution, len(contributions))
	for i := range contributions {
		byUID[contributions[i].UID] = &contributions[i]
	}
	var out live
	for _, p := range s.Policies {
		c := byUID[ownerUID(p, byUID)]
		if c == nil {
			c = byUID[s.Seen[p.UID]]
		}
		switch {
		case c == nil:
			out.foreign = append(out.foreign, p)
		case c.Phase == Retained:
			out.retained = append(out.retained, owned{p, c})
		case c.Phase == Auditing, c.Phase == Waiting:
			out.kept = append(out.kept, owned{p, c})
		default:
			out.ours = append(out.ours, owned{p, c})
		}
	}
	return out
}

// ownerUID is that of the known baseline which owns the policy, and whose labels it carries; "" for none.
func ownerUID(p *networkingv1.NetworkPolicy, known map[types.UID]*Contribution) types.UID {
	for i := range p.OwnerReferences {
		ref := &p.OwnerReferences[i]
		c := known[ref.UID]
		if c != nil && ref.Kind == "NetworkBaseline" && ref.APIVersion == v1alpha1.GroupVersion.String() && ref.Name == c.Name &&
			p.Labels[v1alpha1.BaselineLabel] == c.Name && p.Labels[v1alpha1.ComponentLabel] != "" {
			return ref.UID
		}
	}
	return ""
}

// OwnedBy reports whether the policy names the baseline as its owner and in its labels.
func OwnedBy(p *networkingv1.NetworkPolicy, b *Baseline) bool {
	c := Contribution{Baseline: b}
	return ownerUID(p, map[types.UID]*Contribution{b.UID: &c}) != ""
}

// adopt takes over foreign policies that are ours under a name that is rendered: retained by a baseline that is gone, or
// restored from a backup, or with the owner or the labels erased.
func (l *live) adopt(wanted *Rendered, contributions []Contribution) {
	byName := map[string]*Contribution{}
	for i := range contributions {
		byName[contributions[i].Name] = &contributions[i]
	}
	l.foreign = slices.DeleteFunc(l.foreign, func(p *networkingv1.NetworkPolicy) bool {
		if p.DeletionTimestamp != nil {
			return false
		}
		for i := range wanted.Policies {
			w := &wanted.Policies[i]
			if numberOf(p.Name, w.Name) > 0 && marked(p, w.Baseline) {
				l.ours = append(l.ours, owned{p, byName[w.Baseline]})
				return true
			}
		}
		return false
	})
}

// marked reports whether the policy carries the labels of the baseline's policies, or a trace in managedFields of having
// been written by us, which unlike labels does not come along when a manifest is copied.
func marked(p *networkingv1.NetworkPolicy, baseline string) bool {
	if p.Labels[v1alpha1.BaselineLabel] == baseline && p.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedByValue {
		return true
	}
	return slices.ContainsFunc(p.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == FieldManager })
}

// numberOf is which of the names that a rendered policy may have a name is: 1 for the name itself, n for "<name>-n"; 0 for
// none. Where a name is taken by somebody else, or by a policy of ours that is held in deletion, ours has the next one.
func numberOf(name, rendered string) int {
	if name == rendered {
		return 1
	}
	suffix, ok := strings.CutPrefix(name, rendered+"-")
	if n, err := strconv.Atoi(suffix); ok && err == nil && n > 1 && strconv.Itoa(n) == suffix {
		return n
	}
	return 0
}

// numbered is the nth name of a rendered policy.
func numbered(rendered string, n int) string {
	if n == 1 {
		return rendered
	}
	return rendered + "-" + strconv.Itoa(n)
}

// alsoDenied are the directions that a default deny of ours denies for all pods although no enforcing baseline asks for
// it. Only a default deny is a deny: a metadata block allows everything else.
func (l *live) alsoDenied() []networkingv1.PolicyType {
	var out []networkingv1.PolicyType
	deny := func(p *networkingv1.NetworkPolicy, baseline string) {
		if p.Labels[v1alpha1.ComponentLabel] != "default-deny" && p.Name != baseline+"-default-deny" {
			return
		}
		for _, d := range directions {
			if isolatesAll(&p.Spec, d) && !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	for _, o := range slices.Concat(l.kept, l.retained) {
		deny(o.NetworkPolicy, o.of.Name)
	}
	for _, p := range l.foreign {
		if baseline := p.Labels[v1alpha1.BaselineLabel]; baseline != "" && marked(p, baseline) {
			deny(p, baseline)
		}
	}
	slices.Sort(out)
	return out
}

// others are the policies that nobody wants changed here, in force beside ours.
func (l *live) others() []*networkingv1.NetworkPolicy {
	out := slices.Clone(l.foreign)
	for _, o := range slices.Concat(l.kept, l.retained) {
		out = append(out, o.NetworkPolicy)
	}
	return out
}
