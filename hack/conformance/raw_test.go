// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// rawCluster is pods of a few namespaces, addresses, and NetworkPolicies of any shape that the API accepts.
type rawCluster struct {
	pods     []*rawPod
	outside  []netip.Addr
	policies []*networkingv1.NetworkPolicy
}

// rawPod has an address of each family, or of one.
type rawPod struct {
	Endpoint
	addresses []netip.Addr
}

func (r random) rawCluster() *rawCluster {
	c := &rawCluster{}
	for _, text := range []string{
		"8.8.4.4", "8.8.8.8", "192.0.2.7", "169.254.169.254", "10.0.0.11", "172.16.1.1", "128.0.0.1", "2001:db8::1", "2606:4700::1111", "fd00:ec2::254", "fe80::a9fe:a9fe",
	} {
		c.outside = append(c.outside, netip.MustParseAddr(text))
	}
	namespaces := map[string]map[string]string{
		"shop":       {"team": "a", "env": "prod"},
		"bank":       {"team": "b", "env": "prod"},
		"monitoring": {},
		"elsewhere":  {"team": "", "env": "test"},
	}
	for i, namespace := range []string{"shop", "bank", "monitoring", "elsewhere"} {
		labels := namespaces[namespace]
		labels[corev1.LabelMetadataName] = namespace
		for n := range 1 + r.IntN(3) {
			c.pods = append(c.pods, r.rawPod(namespace, labels, byte(i), byte(n)))
		}
		for n := range r.IntN(4) {
			p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("policy-%d", n)}}
			p.Spec = r.rawSpec()
			c.policies = append(c.policies, p)
		}
	}
	return c
}

func (r random) rawPod(namespace string, labels map[string]string, i, n byte) *rawPod {
	p := &rawPod{Endpoint: Endpoint{
		Name: fmt.Sprintf("%s/pod-%d", namespace, n), Namespace: namespace, NamespaceLabels: labels,
		Labels: pick(r, nil, map[string]string{}, map[string]string{"app": "web"}, map[string]string{"app": "api", "tier": ""},
			map[string]string{"app": "db", "tier": "back"}, map[string]string{"app": ""}),
		Named: pick(r, nil, map[string]Port{"http": {"TCP", 8080}}, map[string]Port{"http": {"TCP", 80}, "dns": {"UDP", 53}},
			map[string]Port{"http": {"UDP", 80}}, map[string]Port{"http": {"TCP", 80}, "web": {"TCP", 80}},
			map[string]Port{"m3ua": {"SCTP", 2905}, "http": {"TCP", 443}}),
	}}
	four := netip.AddrFrom4([4]byte{10, 244, i, n + 1})
	six := netip.MustParseAddr(fmt.Sprintf("fd00:ec2::%x:%x", i+1, n+1))
	p.addresses = pick(r, []netip.Addr{four}, []netip.Addr{six}, []netip.Addr{four, six}, []netip.Addr{six, four})
	return p
}

func (r random) rawSpec() networkingv1.NetworkPolicySpec {
	const in, out = networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	spec := networkingv1.NetworkPolicySpec{
		PodSelector: r.rawSelector(),
		PolicyTypes: pick(r, nil, []networkingv1.PolicyType{in}, []networkingv1.PolicyType{out}, []networkingv1.PolicyType{in, out}, []networkingv1.PolicyType{out, in}),
	}
	for range r.IntN(3) {
		spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.rawPeers(), Ports: r.rawPorts()})
	}
	for range r.IntN(3) {
		spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.rawPeers(), Ports: r.rawPorts()})
	}
	if r.oneIn(4) && spec.Egress == nil {
		spec.Egress = []networkingv1.NetworkPolicyEgressRule{} // the same as none
	}
	return spec
}

func (r random) rawSelector() metav1.LabelSelector {
	if r.oneIn(3) {
		return metav1.LabelSelector{}
	}
	s := r.pods().Meta()
	if r.oneIn(4) {
		s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: "tier", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"back", ""}})
	}
	return s
}

func (r random) rawPeers() []networkingv1.NetworkPolicyPeer {
	var out []networkingv1.NetworkPolicyPeer
	for range r.IntN(4) {
		var p networkingv1.NetworkPolicyPeer
		pods, namespaces := r.rawSelector(), r.namespaces().Meta()
		switch r.IntN(4) {
		case 0:
			p.PodSelector = &pods
		case 1:
			p.NamespaceSelector = &namespaces
		case 2:
			p.PodSelector, p.NamespaceSelector = &pods, &namespaces
		default:
			p.IPBlock = r.rawBlock()
		}
		out = append(out, p)
	}
	return out
}

func (r random) rawBlock() *networkingv1.IPBlock {
	peer := r.addresses()
	if r.oneIn(2) { // the ranges in which the pods are
		peer = v1alpha1.Peer{CIDR: pick(r, v1alpha1.CIDR("10.244.0.0/16"), "10.244.1.0/24", "fd00:ec2::/64", "0.0.0.0/0", "::/0")}
		if inner := map[v1alpha1.CIDR]v1alpha1.CIDR{"10.244.0.0/16": "10.244.1.0/24", "fd00:ec2::/64": "fd00:ec2::1:0/112", "0.0.0.0/0": "10.244.2.0/23", "::/0": "fd00::/8"}[peer.CIDR]; inner != "" && r.oneIn(2) {
			peer.Except = append(peer.Except, inner)
		}
	}
	out := &networkingv1.IPBlock{CIDR: string(peer.CIDR)}
	for _, e := range peer.Except {
		out.Except = append(out.Except, string(e))
	}
	return out
}

func (r random) rawPorts() []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for range r.IntN(3) {
		var p networkingv1.NetworkPolicyPort
		if protocol := pick(r, "", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP); protocol != "" {
			p.Protocol = &protocol
		}
		port := pick(r, intstr.FromInt32(80), intstr.FromInt32(443), intstr.FromInt32(53), intstr.FromInt32(2905), intstr.FromInt32(8080), intstr.FromString("http"), intstr.FromString("dns"), intstr.FromString("web"))
		if !r.oneIn(4) {
			p.Port = &port
			if end := port.IntVal + int32(r.IntN(400)); port.Type == intstr.Int && r.oneIn(3) {
				p.EndPort = &end
			}
		}
		out = append(out, p)
	}
	return out
}
