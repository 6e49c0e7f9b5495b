// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"maps"
	"net/netip"
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
	// Baselines that enforce the namespace, in any order.
	Baselines []*v1alpha1.NetworkBaseline
	// NamespaceLabels are those of the namespace, for the flows across namespaces. See Sides.
	NamespaceLabels map[string]string
	Facts           Facts
	// EgressRestricted are the pods whose egress somebody else's policies restrict: see RestrictedEgress.
	EgressRestricted []metav1.LabelSelector
	// AlsoDenied are directions that a policy of ours denies which no enforcing baseline asks for: one that was
	// retained, or that a baseline in audit mode left in place. See Ownership.Surroundings.
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
	// Isolates: it comes from a component that denies.
	Isolates bool
	*networkingv1.NetworkPolicy
}

// Note explains why a component is not fully rendered.
type Note struct {
	Baseline, Component, Reason, Message string
}

// scope is what holds for the namespace over all its baselines together.
type scope struct {
	denied           map[networkingv1.PolicyType]bool
	blocked          []netip.Prefix
	egressRestricted []metav1.LabelSelector
	namespaceLabels  map[string]string
	facts            Facts
	profiles         []*v1alpha1.Profile
}

// Render returns the policies that the baselines ask for, canonical and with every default that the API server would
// add, so that equality with what is live is the whole drift test.
func Render(in Input) *Rendered {
	baselines := slices.SortedFunc(slices.Values(in.Baselines), func(a, b *v1alpha1.NetworkBaseline) int {
		return cmp.Compare(a.Name, b.Name)
	})
	s := newScope(baselines, in)
	out := &Rendered{}
	taken := map[string]string{}
	for _, baseline := range baselines {
		for _, c := range components {
			s.renderComponent(out, taken, baseline, c)
		}
	}
	slices.SortFunc(out.Policies, func(a, b Policy) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// renderComponent adds the policies of one component, and notes why there are none where it should have some. taken
// are the names that are used, and by which baseline.
func (s *scope) renderComponent(out *Rendered, taken map[string]string, baseline *v1alpha1.NetworkBaseline, c component) {
	rendered, idle := map[string]bool{}, map[string]Note{}
	for _, b := range c.render(s, &baseline.Spec) {
		name := c.nameOf(b)
		if reason, message := s.withoutEffect(c, &b.spec); reason != "" {
			idle[name] = Note{baseline.Name, name, reason, message}
			continue
		}
		rendered[name] = true
		object := newPolicy(baseline, name, b)
		if first, dup := taken[object.Name]; dup {
			if first != baseline.Name {
				out.Notes = append(out.Notes, Note{baseline.Name, name, v1alpha1.ReasonNameConflict,
					"policy name " + object.Name + " is used by baseline " + first + " already: rename one of the two"})
			}
			continue
		}
		taken[object.Name] = baseline.Name
		out.Policies = append(out.Policies, Policy{baseline.Name, c.isolates && b.suffix == "", object})
	}
	for _, name := range slices.Sorted(maps.Keys(idle)) {
		// One side of two is enough: the other is not denied, or lies elsewhere.
		if !rendered[name] {
			out.Notes = append(out.Notes, idle[name])
		}
	}
	if c.withheld != nil && c.withheld(s, &baseline.Spec) {
		out.Notes = append(out.Notes, Note{baseline.Name, c.name, v1alpha1.ReasonWithheld,
			"a policy that is not ours restricts egress of pods in the namespace, and the block would widen it: declare defaultDeny with directions: [Egress], or remove that policy"})
	}
}

func newScope(baselines []*v1alpha1.NetworkBaseline, in Input) *scope {
	s := &scope{
		denied:           map[networkingv1.PolicyType]bool{},
		egressRestricted: in.EgressRestricted,
		namespaceLabels:  in.NamespaceLabels,
		facts:            in.Facts,
	}
	for _, t := range in.AlsoDenied {
		s.denied[t] = true
	}
	var blocks []*v1alpha1.BlockMetadata
	for _, baseline := range baselines {
		profile := &baseline.Spec.Profile
		s.profiles = append(s.profiles, profile)
		if profile.DefaultDeny != nil {
			for _, t := range policyTypes(profile.DefaultDeny.Directions) {
				s.denied[t] = true
			}
		}
		if profile.BlockMetadata != nil {
			blocks = append(blocks, profile.BlockMetadata)
		}
	}
	s.blocked = blockedPrefixes(blocks)
	return s
}

// metadataWithheld says whether the block would widen a policy of somebody else: policies add up, and the block
// allows everything but metadata to the pods that it selects.
func (s *scope) metadataWithheld(spec *v1alpha1.NetworkBaselineSpec) bool {
	block := spec.Profile.BlockMetadata
	if block == nil || s.denied[networkingv1.PolicyTypeEgress] {
		return false
	}
	selector := block.PodSelector.Meta()
	return slices.ContainsFunc(s.egressRestricted, func(other metav1.LabelSelector) bool { return !disjoint(&selector, &other) })
}

// disjoint says whether no pod can match both selectors, as far as their matchLabels tell; false when in doubt.
func disjoint(a, b *metav1.LabelSelector) bool {
	for k, v := range a.MatchLabels {
		if other, ok := b.MatchLabels[k]; ok && other != v {
			return true
		}
	}
	return false
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

func (s *scope) insideBlock(cidr v1alpha1.CIDR) bool {
	prefix, err := netip.ParsePrefix(string(cidr))
	return err == nil && slices.ContainsFunc(s.blocked, func(b netip.Prefix) bool {
		return b.Bits() <= prefix.Bits() && b.Overlaps(prefix)
	})
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

func newPolicy(baseline *v1alpha1.NetworkBaseline, componentName string, b body) *networkingv1.NetworkPolicy {
	name := baseline.Name + "-" + componentName
	if b.suffix != "" {
		name += "-" + b.suffix
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue,
				v1alpha1.BaselineLabel:  baseline.Name,
				v1alpha1.ComponentLabel: componentName,
			},
			Annotations: map[string]string{
				v1alpha1.DescriptionAnnotation: b.description + " Managed by NetworkBaseline " + baseline.Name + ": changes are undone.",
			},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(baseline, v1alpha1.GroupVersion.WithKind("NetworkBaseline")),
			},
		},
		Spec: b.spec,
	}
}
