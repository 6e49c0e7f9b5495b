// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// carry decides which policy carries what while the others come and go.
func (b *planner) carry() {
	b.before, b.leaves, b.spread = map[string]*networkingv1.NetworkPolicy{}, map[string]bool{}, map[string]*networkingv1.NetworkPolicy{}
	arriving, leaving := map[networkingv1.PolicyType]bool{}, map[networkingv1.PolicyType]bool{}
	var carriers []string
	for _, d := range directions {
		carrier := b.carrier(d)
		if carrier != "" {
			arriving[d] = b.othersChange(d, carrier) && (!b.staysIsolated(d) || b.updatesIn(d) > 1 || b.opened(d, carrier))
		} else {
			carrier = b.leaving(d)
			leaving[d] = b.othersChange(d, carrier)
		}
		switch {
		case arriving[d], leaving[d]:
			carriers = append(carriers, carrier)
		case carrier == "":
			b.spreadRules(d)
		}
	}
	for _, name := range carriers {
		b.before[name] = b.passingForm(name, arriving, leaving)
	}
}

// spreadRules lets every policy that changes or goes carry the rules of all, for the pods that it selects.
func (b *planner) spreadRules(d networkingv1.PolicyType) {
	all := specs(b.live.Ours, d)
	for _, s := range slices.Concat(b.updates, b.deletes) {
		if hasType(&s.Live.Spec, d) {
			b.spread[s.Name] = withRules(cmp.Or(b.spread[s.Name], s.Live), d, all)
		}
	}
}

// staysIsolated says whether one policy alone isolates all pods from before the first write until the deletes.
func (b *planner) staysIsolated(d networkingv1.PolicyType) bool {
	for name, live := range b.live.Ours {
		want := b.want[name]
		if isolatesAll(&live.Spec, d) && (want == nil || isolatesAll(&want.Spec, d)) {
			return true
		}
	}
	return false
}

// opened says whether the carrier has a rule that nobody wants: an intruder's, most likely. It must not wait until all
// others are written, since one of them may be refused for as long as somebody likes.
func (b *planner) opened(d networkingv1.PolicyType, carrier string) bool {
	live := b.live.Ours[carrier]
	if live == nil || !hasType(&live.Spec, d) {
		return false
	}
	wanted := withRules(&networkingv1.NetworkPolicy{}, d, specs(b.wanted(), d))
	both := withRules(wanted, d, []*networkingv1.NetworkPolicySpec{&live.Spec})
	return ruleCount(&both.Spec) > ruleCount(&wanted.Spec)
}

// passingForm is what a carrier is while others change. Carriers are written in any order, so each has the rules of
// every direction in which it isolates: all that are wanted where isolation comes, all that are live where it goes,
// and elsewhere, as long as others change there, those that it has already, left by a plan that was cut short.
func (b *planner) passingForm(name string, arriving, leaving map[networkingv1.PolicyType]bool) *networkingv1.NetworkPolicy {
	live := b.live.Ours[name]
	form := live
	if want := b.want[name]; want != nil {
		form = want.NetworkPolicy
	}
	for _, d := range directions {
		stays, was := hasType(&form.Spec, d), live != nil && hasType(&live.Spec, d)
		switch {
		case arriving[d] && (stays || was):
			form = withRules(isolating(form, d), d, specs(b.wanted(), d))
		case leaving[d] && was:
			form = withRules(isolating(form, d), d, specs(b.live.Ours, d))
			b.leaves[name] = true
		case was && (stays || b.staysIsolated(d)) && b.othersChange(d, name):
			form = withRules(isolating(form, d), d, []*networkingv1.NetworkPolicySpec{&live.Spec})
		}
	}
	return form
}

func (b *planner) wanted() map[string]*networkingv1.NetworkPolicy {
	out := make(map[string]*networkingv1.NetworkPolicy, len(b.want))
	for name, p := range b.want {
		out[name] = p.NetworkPolicy
	}
	return out
}

// deny is the wanted deny that selects all pods in the direction; the first by name, or "".
func (b *planner) deny(d networkingv1.PolicyType) string {
	return b.firstWanted(func(p *Policy) bool { return p.Isolates && isolatesAll(&p.Spec, d) })
}

// carrier is that deny. While a policy that isolates all pods is held in deletion, and the deny cannot be written,
// any other can stand in for the time being.
func (b *planner) carrier(d networkingv1.PolicyType) string {
	if name := b.deny(d); name != "" {
		return name
	}
	for _, p := range b.live.Ours {
		if p.DeletionTimestamp != nil && isolatesAll(&p.Spec, d) {
			return b.firstWanted(func(p *Policy) bool { return hasType(&p.Spec, d) })
		}
	}
	return ""
}

func (b *planner) firstWanted(matches func(*Policy) bool) string {
	first := ""
	for name, p := range b.want {
		if matches(p) && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// leaving is the live policy that selects all pods in the direction and goes last. A deny, which has no rules, or
// those that it carried when a previous plan was cut short, comes before an allow that selects all pods.
func (b *planner) leaving(d networkingv1.PolicyType) string {
	var candidates []string
	for name, p := range b.live.Ours {
		if isolatesAll(&p.Spec, d) && p.DeletionTimestamp == nil {
			candidates = append(candidates, name)
		}
	}
	if len(candidates) == 0 {
		return ""
	}
	return slices.MinFunc(candidates, func(x, y string) int {
		return cmp.Or(cmp.Compare(rank(b.live.Ours[x]), rank(b.live.Ours[y])), cmp.Compare(x, y))
	})
}

// rank orders policies by how much they isolate: denies first.
func rank(p *networkingv1.NetworkPolicy) int {
	for i, c := range components {
		if c.isolates && p.Name == BaselineOf(p)+"-"+c.name {
			return i
		}
	}
	return len(components)
}

func (b *planner) updatesIn(d networkingv1.PolicyType) int {
	n := 0
	for _, s := range b.updates {
		if s.touches(d) && !onlyDenies(s.Want) {
			n++
		}
	}
	return n
}

func (b *planner) othersChange(d networkingv1.PolicyType, carrier string) bool {
	return carrier != "" && slices.ContainsFunc(slices.Concat(b.creates, b.updates, b.deletes), func(s Step) bool {
		return s.Name != carrier && s.touches(d)
	})
}

func (s Step) touches(d networkingv1.PolicyType) bool {
	return s.Want != nil && hasType(&s.Want.Spec, d) || s.Live != nil && hasType(&s.Live.Spec, d)
}
