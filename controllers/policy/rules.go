// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var directions = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}

// rule is a rule of either direction. No peers mean everyone, no ports every port.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

// rulesOf are the rules of a policy in a direction; none for no policy, or one of the other direction.
func rulesOf(p *networkingv1.NetworkPolicy, d networkingv1.PolicyType) []rule {
	if p == nil || !hasType(&p.Spec, d) {
		return nil
	}
	var out []rule
	if d == networkingv1.PolicyTypeIngress {
		for _, r := range p.Spec.Ingress {
			out = append(out, rule{r.From, r.Ports})
		}
		return out
	}
	for _, r := range p.Spec.Egress {
		out = append(out, rule{r.To, r.Ports})
	}
	return out
}

// setRules replaces the rules of a spec in a direction.
func setRules(spec *networkingv1.NetworkPolicySpec, d networkingv1.PolicyType, rules []rule) {
	if d == networkingv1.PolicyTypeIngress {
		spec.Ingress = nil
		for _, r := range rules {
			spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers, Ports: r.ports})
		}
		return
	}
	spec.Egress = nil
	for _, r := range rules {
		spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers, Ports: r.ports})
	}
}

func hasRule(all []rule, r rule) bool {
	return slices.ContainsFunc(all, func(other rule) bool {
		return equality.Semantic.DeepEqual(other.peers, r.peers) && equality.Semantic.DeepEqual(other.ports, r.ports)
	})
}

// withAll adds rules to others, each once.
func withAll(rules, more []rule) []rule {
	out := slices.Clone(rules)
	for _, r := range more {
		if !hasRule(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// without are the rules that are not among others.
func without(rules, others []rule) []rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r rule) bool { return hasRule(others, r) })
}

// among are the rules that are among others too.
func among(rules, others []rule) []rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r rule) bool { return !hasRule(others, r) })
}

// anyOverlap reports whether some connection may be allowed by a rule of both lists; true when in doubt.
func anyOverlap(a, b []rule) bool {
	return slices.ContainsFunc(a, func(x rule) bool {
		return slices.ContainsFunc(b, func(y rule) bool {
			return overlap(x.ports, y.ports, portsOverlap) && overlap(x.peers, y.peers, peersOverlap)
		})
	})
}

// overlap reports whether two lists, of which an empty one means everything, have something in common.
func overlap[T any](a, b []T, both func(x, y T) bool) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(x T) bool {
		return slices.ContainsFunc(b, func(y T) bool { return both(x, y) })
	})
}

func portsOverlap(a, b networkingv1.NetworkPolicyPort) bool {
	protocol := func(p networkingv1.NetworkPolicyPort) corev1.Protocol {
		if p.Protocol == nil {
			return corev1.ProtocolTCP
		}
		return *p.Protocol
	}
	if protocol(a) != protocol(b) {
		return false
	}
	// A name means whatever number the pod gives it.
	if a.Port == nil || b.Port == nil || a.Port.Type == intstr.String || b.Port.Type == intstr.String {
		return true
	}
	last := func(p networkingv1.NetworkPolicyPort) int32 {
		if p.EndPort != nil {
			return *p.EndPort
		}
		return p.Port.IntVal
	}
	return a.Port.IntVal <= last(b) && b.Port.IntVal <= last(a)
}

func peersOverlap(a, b networkingv1.NetworkPolicyPeer) bool {
	if a.IPBlock != nil && b.IPBlock != nil {
		x, errX := netip.ParsePrefix(a.IPBlock.CIDR)
		y, errY := netip.ParsePrefix(b.IPBlock.CIDR)
		return errX != nil || errY != nil || x.Overlaps(y)
	}
	if a.IPBlock != nil || b.IPBlock != nil {
		return true // most networks match pods by address too
	}
	return selectorsOverlap(a.NamespaceSelector, b.NamespaceSelector) && selectorsOverlap(a.PodSelector, b.PodSelector)
}

func selectorsOverlap(a, b *metav1.LabelSelector) bool {
	return a == nil || b == nil || !podsOf(a).disjoint(podsOf(b))
}
