// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// restrictedEgress returns the pods whose egress foreign policies restrict: those selected by a policy of type Egress that
// does not allow everything anyway. Policies that a baseline has left behind, or from which somebody erased its labels, are
// not meant.
func (l *live) restrictedEgress(contributions []Contribution) []metav1.LabelSelector {
	var out []metav1.LabelSelector
	for _, p := range l.foreign {
		if restrictsEgress(p) && !podsOf(&p.Spec.PodSelector).empty() && !leftBehind(p, contributions) {
			out = append(out, p.Spec.PodSelector)
		}
	}
	return out
}

func leftBehind(p *networkingv1.NetworkPolicy, contributions []Contribution) bool {
	if baseline := p.Labels[v1alpha1.BaselineLabel]; baseline != "" && marked(p, baseline) {
		return true
	}
	return slices.ContainsFunc(contributions, func(c Contribution) bool {
		return strings.HasPrefix(p.Name, c.Name+"-") && marked(p, c.Name)
	})
}

func restrictsEgress(p *networkingv1.NetworkPolicy) bool {
	return hasType(&p.Spec, networkingv1.PolicyTypeEgress) && !slices.ContainsFunc(p.Spec.Egress, allowsAllEgress)
}

// restricting names the first foreign policy that restricts egress of pods which the block is for.
func restricting(block *v1alpha1.BlockMetadata, foreign []*networkingv1.NetworkPolicy) string {
	selector := block.PodSelector.Meta()
	for _, p := range foreign {
		if restrictsEgress(p) && !podsOf(&selector).disjoint(podsOf(&p.Spec.PodSelector)) {
			return p.Name
		}
	}
	return ""
}

func allowsAllEgress(r networkingv1.NetworkPolicyEgressRule) bool {
	return len(r.To) == 0 && len(r.Ports) == 0
}

// override is a policy that allows what a baseline denies: policies only add up.
type override struct {
	Policy, Reason, Message string
}

// overrides returns what policies undo of a profile, in their order: metadata addresses that become reachable again, and
// pods that are opened to everyone in a direction that is denied by default.
func overrides(profile *v1alpha1.Profile, unwanted []*networkingv1.NetworkPolicy) []override {
	var out []override
	for _, p := range unwanted {
		if podsOf(&p.Spec.PodSelector).empty() {
			continue
		}
		if u, ok := metadataReopened(profile.BlockMetadata, p); ok {
			out = append(out, u)
		}
		for _, d := range directions {
			if profile.DefaultDeny == nil || !slices.Contains(policyTypes(profile.DefaultDeny.Directions), d) {
				continue
			}
			if ports, open := openToEveryone(&p.Spec, d); open {
				out = append(out, override{p.Name, v1alpha1.ReasonOpenToEveryone, fmt.Sprintf(
					"allows %s everyone %s, although the baseline denies it by default: name the peers in the rule's %s, or delete the policy", inWords(d), ports, ruleField(d))})
			}
		}
	}
	return out
}

func inWords(d networkingv1.PolicyType) string {
	if d == networkingv1.PolicyTypeIngress {
		return "ingress from"
	}
	return "egress to"
}

func ruleField(d networkingv1.PolicyType) string {
	if d == networkingv1.PolicyTypeIngress {
		return "from"
	}
	return "to"
}

// openToEveryone says whether a rule has no peers, or all addresses for one, and on which ports.
func openToEveryone(spec *networkingv1.NetworkPolicySpec, d networkingv1.PolicyType) (ports string, open bool) {
	if !hasType(spec, d) {
		return "", false
	}
	if d == networkingv1.PolicyTypeEgress {
		for _, r := range spec.Egress {
			if len(r.To) == 0 && !onlyDNS(r.Ports) {
				return portList(r.Ports), true
			}
		}
		return "", false
	}
	for _, r := range spec.Ingress {
		if len(r.From) == 0 || slices.ContainsFunc(r.From, everyAddress) {
			return portList(r.Ports), true
		}
	}
	return "", false
}

func everyAddress(p networkingv1.NetworkPolicyPeer) bool {
	if p.IPBlock == nil || len(p.IPBlock.Except) > 0 {
		return false
	}
	prefix, err := netip.ParsePrefix(p.IPBlock.CIDR)
	return err == nil && prefix.Bits() == 0
}

// metadataReopened says whether the policy lets pods that the block is for reach a blocked address.
func metadataReopened(block *v1alpha1.BlockMetadata, p *networkingv1.NetworkPolicy) (override, bool) {
	if block == nil || !hasType(&p.Spec, networkingv1.PolicyTypeEgress) {
		return override{}, false
	}
	selector := block.PodSelector.Meta()
	selected := podsOf(&p.Spec.PodSelector)
	if selected.disjoint(podsOf(&selector)) {
		return override{}, false
	}
	for _, r := range p.Spec.Egress {
		if onlyDNS(r.Ports) {
			continue
		}
		if addresses := reached(r.To, blockedFor(block, selected, r.Ports)); len(addresses) > 0 {
			return override{p.Name, v1alpha1.ReasonMetadataReopened, fmt.Sprintf(
				"allows egress to %s, which blockMetadata blocks, %s: leave that out, by an except of the rule's ipBlock or by naming other peers in its to",
				joined(addresses), portList(r.Ports))}, true
		}
	}
	return override{}, false
}

// blockedFor are the ranges that the block denies to pods on ports: all but what it exempts for all of them.
func blockedFor(block *v1alpha1.BlockMetadata, selected pods, ports []networkingv1.NetworkPolicyPort) []netip.Prefix {
	var set netipx.IPSetBuilder
	set.AddSet(blockedRanges(block))
	for _, e := range block.Exemptions {
		exempt := e.PodSelector.Meta()
		prefix, err := netip.ParsePrefix(string(e.CIDR))
		if err == nil && selected.within(podsOf(&exempt)) && portsWithin(ports, policyPorts(e.Ports)) {
			set.RemovePrefix(prefix.Masked())
		}
	}
	return ipSet(&set).Prefixes()
}

// portsWithin reports whether every port is one of the others.
func portsWithin(ports, others []networkingv1.NetworkPolicyPort) bool {
	return len(ports) > 0 && !slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return !slices.ContainsFunc(others, func(o networkingv1.NetworkPolicyPort) bool { return equality.Semantic.DeepEqual(p, o) })
	})
}

// reached are the blocked addresses that the peers reach. Selectors reach pods only.
func reached(to []networkingv1.NetworkPolicyPeer, blocked []netip.Prefix) []netip.Prefix {
	if len(to) == 0 {
		return blocked
	}
	var out []netip.Prefix
	for _, peer := range to {
		if peer.IPBlock == nil {
			continue
		}
		for _, b := range blocked {
			if part, open := inReach(peer.IPBlock, b); open && !slices.Contains(out, part) {
				out = append(out, part)
			}
		}
	}
	return out
}

func joined(prefixes []netip.Prefix) string {
	var out []string
	for _, p := range prefixes {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

// inReach says whether anything of the blocked range is in the cidr and in none of its excepts, and which part of it is
// in the cidr.
func inReach(block *networkingv1.IPBlock, blocked netip.Prefix) (shared netip.Prefix, open bool) {
	cidr, err := netip.ParsePrefix(block.CIDR)
	if err != nil || !cidr.Overlaps(blocked) {
		return shared, false
	}
	// Of two overlapping prefixes one contains the other: the smaller one is what they share.
	shared = blocked
	if cidr.Bits() > blocked.Bits() {
		shared = cidr.Masked()
	}
	var except []netip.Prefix
	for _, e := range block.Except {
		if prefix, err := netip.ParsePrefix(e); err == nil {
			except = append(except, prefix.Masked())
		}
	}
	_, open = carve(shared, except)
	return shared, open
}

// onlyDNS says whether a rule is limited to port 53. Three clouds and NodeLocal DNSCache resolve names at addresses
// in the blocked ranges, and no metadata is served there on that port.
func onlyDNS(ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) > 0 && !slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return p.Port == nil || *p.Port != intstr.FromInt32(53) || p.EndPort != nil && *p.EndPort != 53
	})
}

func portList(ports []networkingv1.NetworkPolicyPort) string {
	if len(ports) == 0 {
		return "on all ports"
	}
	var names []string
	for _, p := range ports {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		name := string(protocol)
		if p.Port != nil {
			name += " " + p.Port.String()
		}
		if p.EndPort != nil {
			name += fmt.Sprintf("-%d", *p.EndPort)
		}
		names = append(names, name)
	}
	return "on " + strings.Join(names, ", ")
}
