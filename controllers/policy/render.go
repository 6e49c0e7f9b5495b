// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Facts are what the cluster runs, as far as rendering needs it.
type Facts struct {
	// DNS is how pods reach the cluster's resolvers; DefaultDNS when empty.
	DNS []Allowance
	// KubeAPIServer is how pods reach the Kubernetes API; unknown when empty.
	KubeAPIServer []Allowance
}

// Input is all that rendering reads.
type Input struct {
	// Contributions by name. Those that enforce are rendered; what any of them blocks is cut out.
	Contributions []Contribution
	// NamespaceLabels are those of the namespace, for the flows across namespaces. See sides.
	NamespaceLabels map[string]string
	Facts           Facts
	// Restricted are the pods whose egress foreign policies restrict, in canonical order.
	Restricted []metav1.LabelSelector
	// AlsoDenied are directions that a default deny of ours denies although no enforcing baseline asks for it: it was
	// retained, or left in place by a baseline in audit mode.
	AlsoDenied []networkingv1.PolicyType
}

// Rendered is what a namespace should hold. It says nothing about the namespace itself, so namespaces with the same
// input share one. It is never changed once it is made.
type Rendered struct {
	// Policies sorted by name, without a namespace.
	Policies []Policy
	// Notes on components that render nothing here, or less than they say, in the order of baselines and components.
	Notes []Note
}

// Policy is a rendered policy.
type Policy struct {
	// Baseline that asks for it.
	Baseline string
	// Component is the value of its component label.
	Component string
	*networkingv1.NetworkPolicy
}

// Note explains why a component is not fully rendered.
type Note struct {
	Baseline, Component, Reason, Message string
}

// withholding is for how many of its pods a component is not rendered.
type withholding int

const (
	withholdNothing withholding = iota
	withholdSome
	withholdAll
)

// scope is what holds for the namespace over all its baselines together.
type scope struct {
	denied          map[networkingv1.PolicyType]bool
	blocks          []block
	restricted      []pods
	namespaceLabels map[string]string
	facts           Facts
	profiles        []*v1alpha1.Profile
}

// Render returns the policies that the baselines ask for, canonical and with every default that the API server would
// add, so that equality with what is live is the whole drift test.
func Render(in Input) *Rendered {
	s := newScope(in)
	out := &Rendered{}
	for _, c := range in.Contributions {
		if c.Phase != Enforcing {
			continue
		}
		for _, component := range components {
			s.renderComponent(out, c.Baseline, &c.Revision.Spec, component)
		}
	}
	slices.SortFunc(out.Policies, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Baseline, b.Baseline))
	})
	return out
}

// renderComponent adds the policies of one component, and notes why there are none where it should have some.
func (s *scope) renderComponent(out *Rendered, baseline *Baseline, spec *v1alpha1.NetworkBaselineSpec, c component) {
	rendered, idle, taken := map[string]bool{}, map[string]Note{}, map[string]bool{}
	for _, declared := range c.render(s, spec) {
		for _, b := range s.expand(declared) {
			name := c.nameOf(b)
			if reason, message := s.withoutEffect(c, &b.spec); reason != "" {
				idle[name] = Note{baseline.Name, name, reason, message}
				continue
			}
			rendered[name] = true
			object := newPolicy(baseline, name, b)
			if !taken[object.Name] { // an item that a list has twice
				taken[object.Name] = true
				out.Policies = append(out.Policies, Policy{baseline.Name, name, object})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(idle)) {
		// One side of two is enough: the other is not denied, or lies elsewhere.
		if !rendered[name] {
			out.Notes = append(out.Notes, idle[name])
		}
	}
	if c.withheld == nil {
		return
	}
	which := "some pods"
	switch c.withheld(s, spec) {
	case withholdNothing:
		return
	case withholdAll:
		which = "all of its pods"
	}
	out.Notes = append(out.Notes, Note{baseline.Name, c.name, v1alpha1.ReasonWithheld,
		"a foreign policy restricts egress of " + which + ", which the block would widen, so that they are not blocked: declare defaultDeny with directions: [Egress], or remove that policy"})
}

// expand renders the egress rules of a body, in as many policies as its pods are blocked differently.
func (s *scope) expand(b body) []body {
	if len(b.egress) == 0 {
		return []body{b}
	}
	parts := s.parts(podsOf(&b.spec.PodSelector), rangesOf(b.egress))
	out := make([]body, 0, len(parts))
	for _, part := range parts {
		each := b
		if len(parts) > 1 {
			each = each.forPods(part.pods)
		}
		each.spec.Egress = nil
		for _, g := range b.egress {
			groups := peerGroups(g.Peers, part.cut, g.explicit && len(g.Ports) > 0)
			each.spec.Egress = append(each.spec.Egress, egressRules(groups, g.Ports)...)
		}
		out = append(out, each)
	}
	return out
}

// forPods is the body for other pods, under a name of its own.
func (b body) forPods(p pods) body {
	b.spec.PodSelector = p.selector()
	if b.suffix != "" {
		b.suffix += "-"
	}
	b.suffix += "pods-" + contentHash(p)
	return b
}

// unrestricted is the body without the pods whose egress a foreign policy restricts. Where egress is denied by default
// nothing is left out: allowing is all that the body does there.
func (s *scope) unrestricted(b body) []body {
	if s.denied[networkingv1.PolicyTypeEgress] {
		return []body{b}
	}
	declared := podsOf(&b.spec.PodSelector)
	free, ok := declared.minus(s.restricted...)
	switch {
	case !ok:
		return nil
	case len(free) == 1 && free[0].equal(declared):
		return []body{b}
	case len(free) == 1:
		b.spec.PodSelector = free[0].selector()
		return []body{b}
	}
	var out []body
	for _, p := range free {
		out = append(out, b.forPods(p))
	}
	return out
}

func newScope(in Input) *scope {
	s := &scope{
		denied:          map[networkingv1.PolicyType]bool{},
		blocks:          blocksOf(in.Contributions),
		namespaceLabels: in.NamespaceLabels,
		facts:           in.Facts,
	}
	for i := range in.Restricted {
		s.restricted = append(s.restricted, podsOf(&in.Restricted[i]))
	}
	for _, t := range in.AlsoDenied {
		s.denied[t] = true
	}
	for _, c := range in.Contributions {
		if c.Phase != Enforcing {
			continue
		}
		profile := &c.Revision.Spec.Profile
		s.profiles = append(s.profiles, profile)
		if profile.DefaultDeny != nil {
			for _, t := range policyTypes(profile.DefaultDeny.Directions) {
				s.denied[t] = true
			}
		}
	}
	return s
}

// metadataWithheld reports for how many pods the block would widen a foreign policy: policies add up, and the block allows
// everything but metadata to the pods that it selects.
func (s *scope) metadataWithheld(spec *v1alpha1.NetworkBaselineSpec) withholding {
	declared := spec.Profile.BlockMetadata
	if declared == nil || s.denied[networkingv1.PolicyTypeEgress] {
		return withholdNothing
	}
	selector := declared.PodSelector.Meta()
	all := podsOf(&selector)
	if !slices.ContainsFunc(s.restricted, func(r pods) bool { return !all.disjoint(r) }) {
		return withholdNothing
	}
	if free, ok := all.minus(s.restricted...); !ok || len(free) == 0 {
		return withholdAll
	}
	return withholdSome
}

// resolvers are those that the component names, or what the cluster runs.
func (s *scope) resolvers(dns *v1alpha1.AllowDNS) []Allowance {
	found := s.facts.DNS
	if len(found) == 0 {
		found = DefaultDNS
	}
	if len(dns.Resolvers) == 0 && len(dns.Ports) == 0 {
		return found
	}
	if len(dns.Resolvers) > 0 {
		ports := dns.Ports
		if len(ports) == 0 {
			ports = dnsPorts
		}
		return []Allowance{{Peers: dns.Resolvers, Ports: ports}}
	}
	// The ports that a user names are those of the pods. Discovered addresses are a Service's or a node's, on 53.
	out := slices.Clone(found)
	for i := range out {
		if !slices.ContainsFunc(out[i].Peers, func(p v1alpha1.Peer) bool { return p.CIDR != "" }) {
			out[i].Ports = dns.Ports
		}
	}
	return out
}

// resolversInBlock are the resolvers by address that lie inside the blocked ranges: NodeLocal DNSCache
// (169.254.20.10), GKE Cloud DNS (169.254.169.254) and Azure DNS (168.63.129.16) must survive the block.
func (s *scope) resolversInBlock() []Allowance {
	named := []*v1alpha1.AllowDNS{{}}
	for _, profile := range s.profiles {
		if profile.AllowDNS != nil {
			named = append(named, profile.AllowDNS)
		}
	}
	var out []Allowance
	for _, dns := range named {
		for _, resolvers := range s.resolvers(dns) {
			inside := Allowance{Ports: resolvers.Ports}
			for _, peer := range resolvers.Peers {
				if s.insideBlock(peer.CIDR) {
					inside.Peers = append(inside.Peers, peer)
				}
			}
			again := slices.ContainsFunc(out, func(a Allowance) bool { return reflect.DeepEqual(a, inside) })
			if len(inside.Peers) > 0 && !again {
				out = append(out, inside)
			}
		}
	}
	return out
}

// withoutEffect tells why a body is not rendered, if it is not.
func (s *scope) withoutEffect(c component, spec *networkingv1.NetworkPolicySpec) (reason, message string) {
	direction := spec.PolicyTypes[0]
	switch {
	case !c.isolates && !s.denied[direction]:
		return v1alpha1.ReasonWithoutEffect, string(direction) + " is not denied by default in the namespace, so there is nothing to allow: declare defaultDeny, or remove the component"
	case c.discovered && ruleCount(spec) == 0:
		return v1alpha1.ReasonNotFound, "what it allows was not found in the cluster: see status.resolved"
	case !c.isolates && ruleCount(spec) == 0:
		// Fail closed: no peer is left, and a policy without rules would only deny.
		return v1alpha1.ReasonInvalidSpec, "every address range that it names lies inside the blocked metadata ranges: use blockMetadata.exemptions for what must be reachable there"
	}
	return "", ""
}
