// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Allowance is a set of peers and the ports on which to reach them, or to be reached by them.
type Allowance struct {
	Peers []v1alpha1.Peer
	Ports []v1alpha1.Port
}

var dnsPorts = []v1alpha1.Port{
	{Protocol: corev1.ProtocolUDP, Port: intstr.FromInt32(53)},
	{Protocol: corev1.ProtocolTCP, Port: intstr.FromInt32(53)},
}

// peerGroups turns peers into the peer lists of separate rules: all selectors share one, and each address range has
// its own, because kube-router puts the ranges of a rule into one ipset, where the except of one cancels another.
// A group is never empty: an empty list in a NetworkPolicy means everyone. cut is what no range may reach; a range
// that lies inside it is left out, unless keep is set.
func peerGroups(peers []v1alpha1.Peer, cut []netip.Prefix, keep bool) [][]networkingv1.NetworkPolicyPeer {
	var selectors []networkingv1.NetworkPolicyPeer
	var groups [][]networkingv1.NetworkPolicyPeer
	for i := range peers {
		if peers[i].CIDR == "" {
			selectors = append(selectors, selectorPeer(&peers[i]))
			continue
		}
		if block, ok := ipBlock(&peers[i], cut, keep); ok {
			groups = append(groups, []networkingv1.NetworkPolicyPeer{{IPBlock: block}})
		}
	}
	if len(selectors) > 0 {
		groups = append([][]networkingv1.NetworkPolicyPeer{selectors}, groups...)
	}
	return groups
}

func selectorPeer(p *v1alpha1.Peer) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: metaSelector(p.NamespaceSelector),
		PodSelector:       metaSelector(p.PodSelector),
	}
}

func metaSelector(s *v1alpha1.LabelSelector) *metav1.LabelSelector {
	if s == nil {
		return nil
	}
	meta := s.Meta()
	return &meta
}

func ipBlock(p *v1alpha1.Peer, cut []netip.Prefix, keep bool) (*networkingv1.IPBlock, bool) {
	prefix, err := netip.ParsePrefix(string(p.CIDR))
	if err != nil {
		return nil, false
	}
	prefix = prefix.Masked()
	var except []netip.Prefix
	for _, e := range p.Except {
		if part, err := netip.ParsePrefix(string(e)); err == nil {
			except = append(except, part.Masked())
		}
	}
	for _, c := range cut {
		if keep && c.Overlaps(prefix) && c.Bits() <= prefix.Bits() {
			continue
		}
		except = append(except, c)
	}
	parts, ok := carve(prefix, except)
	if !ok {
		return nil, false
	}
	block := &networkingv1.IPBlock{CIDR: prefix.String()}
	for _, part := range parts {
		block.Except = append(block.Except, part.String())
	}
	return block, true
}

// policyPorts renders ports with the defaults that the API server would add.
func policyPorts(ports []v1alpha1.Port) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, p := range ports {
		protocol := cmp.Or(p.Protocol, corev1.ProtocolTCP)
		port := p.Port
		rendered := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port}
		if p.EndPort != nil {
			end := *p.EndPort
			rendered.EndPort = &end
		}
		out = append(out, rendered)
	}
	return out
}

func egressRules(groups [][]networkingv1.NetworkPolicyPeer, ports []v1alpha1.Port) []networkingv1.NetworkPolicyEgressRule {
	var rules []networkingv1.NetworkPolicyEgressRule
	for _, group := range groups {
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{To: group, Ports: policyPorts(ports)})
	}
	return rules
}

// ingressFrom renders the rules that allow ingress from the peers. Nothing is cut out of ranges here: a metadata
// address as a source is no danger, and Azure's load balancers probe from one (168.63.129.16).
func ingressFrom(a Allowance) []networkingv1.NetworkPolicyIngressRule {
	var rules []networkingv1.NetworkPolicyIngressRule
	for _, group := range peerGroups(a.Peers, nil, false) {
		rules = append(rules, networkingv1.NetworkPolicyIngressRule{From: group, Ports: policyPorts(a.Ports)})
	}
	return rules
}
