// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package facts knows what the cluster runs: its resolvers and its API server. Discover is pure; Tracker follows the
// cache and keeps the last known good.
package facts

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// Namespaces are those whose Services and EndpointSlices are read.
var Namespaces = []string{apiServerNamespace, "kube-system", "openshift-dns"}

const (
	apiServerNamespace = "default"
	apiServerService   = "kubernetes"
	dnsPort            = 53
	// nodeLocalDNS is where NodeLocal DNSCache listens on every node, beside the ClusterIP of kube-dns
	// (kubernetes/kubernetes cluster/addons/dns/nodelocaldns/nodelocaldns.yaml).
	nodeLocalDNS = "169.254.20.10"
)

// Discover reads the facts out of the Services and EndpointSlices of Namespaces, in any order.
func Discover(services []corev1.Service, slicesOf []discoveryv1.EndpointSlice) policy.Facts {
	sorted := slices.SortedFunc(slices.Values(services), func(a, b corev1.Service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var out policy.Facts
	var clusterIPs []v1alpha1.Peer
	nodeLocal := false
	for i := range sorted {
		service := &sorted[i]
		switch {
		case service.Namespace == apiServerNamespace && service.Name == apiServerService:
			out.KubeAPIServer = apiServer(service, slicesOf)
		case isNodeLocal(service):
			nodeLocal = true
		case isDNS(service):
			out.DNS = append(out.DNS, policy.Allowance{Peers: []v1alpha1.Peer{podsIn(service.Namespace, service.Spec.Selector)}, Ports: podPorts(service, slicesOf)})
			clusterIPs = append(clusterIPs, addresses(service.Spec.ClusterIPs)...)
		}
	}
	if len(out.DNS) == 0 {
		return out
	}
	// A ClusterIP is what AWS filters, before it is translated; and NodeLocal DNSCache binds it on the node.
	if len(clusterIPs) > 0 {
		out.DNS = append(out.DNS, policy.Allowance{Peers: clusterIPs, Ports: bothProtocols(dnsPort)})
	}
	if nodeLocal {
		out.DNS = append(out.DNS,
			policy.Allowance{Peers: addresses([]string{nodeLocalDNS}), Ports: bothProtocols(dnsPort)},
			// Cilium's local redirect policy leads to the cache's pods instead (cilium/cilium-cli#995).
			policy.Allowance{Peers: []v1alpha1.Peer{podsIn("kube-system", map[string]string{"k8s-app": "node-local-dns"})}, Ports: bothProtocols(dnsPort)})
	}
	return out
}

// isDNS recognises a cluster's DNS Service: one that selects pods, serves port 53, and has the label that kubeadm,
// CoreDNS, RKE2, k3s and the clouds give it, or is OpenShift's (openshift/cluster-dns-operator: dns-default).
func isDNS(s *corev1.Service) bool {
	if len(s.Spec.Selector) == 0 || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == dnsPort }) {
		return false
	}
	if s.Namespace == "openshift-dns" {
		return s.Name == "dns-default"
	}
	return s.Namespace == "kube-system" && (s.Labels["k8s-app"] == "kube-dns" || s.Labels["k8s-app"] == "coredns" || s.Name == "kube-dns")
}

// isNodeLocal recognises the Services that come with NodeLocal DNSCache.
func isNodeLocal(s *corev1.Service) bool {
	return s.Namespace == "kube-system" && (s.Name == "kube-dns-upstream" || s.Name == "node-local-dns")
}

// podsIn are the pods of a namespace with these labels: the selector of a Service, say.
func podsIn(namespace string, selector map[string]string) v1alpha1.Peer {
	pods := &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{}}
	for k, v := range selector {
		pods.MatchLabels[k] = v1alpha1.LabelValue(v)
	}
	return v1alpha1.Peer{
		NamespaceSelector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{corev1.LabelMetadataName: v1alpha1.LabelValue(namespace)}},
		PodSelector:       pods,
	}
}

// podPorts are 53 and the ports on which the pods serve the Service's port 53, over UDP and TCP: a policy sees the
// pod's port. OpenShift's resolvers listen on 5353, Gardener's on 8053.
func podPorts(s *corev1.Service, all []discoveryv1.EndpointSlice) []v1alpha1.Port {
	names := map[string]bool{}
	for _, p := range s.Spec.Ports {
		if p.Port == dnsPort {
			names[p.Name] = true
		}
	}
	numbers := []int32{dnsPort}
	for _, slice := range slicesFor(s, all) {
		for _, p := range slice.Ports {
			if p.Port != nil && p.Name != nil && names[*p.Name] {
				numbers = append(numbers, *p.Port)
			}
		}
	}
	slices.Sort(numbers)
	var ports []v1alpha1.Port
	for _, n := range slices.Compact(numbers) {
		ports = append(ports, bothProtocols(n)...)
	}
	return ports
}

// apiServer is how pods reach the API server: its ClusterIPs on the Service's port, and its endpoints on theirs.
func apiServer(s *corev1.Service, all []discoveryv1.EndpointSlice) []policy.Allowance {
	var out, endpoints []policy.Allowance
	if peers := addresses(s.Spec.ClusterIPs); len(peers) > 0 && len(s.Spec.Ports) > 0 {
		var ports []v1alpha1.Port
		for _, p := range s.Spec.Ports {
			ports = append(ports, v1alpha1.Port{Protocol: p.Protocol, Port: intstr.FromInt32(p.Port)})
		}
		out = append(out, policy.Allowance{Peers: peers, Ports: ports})
	}
	for _, slice := range slicesFor(s, all) {
		var found []string
		for _, endpoint := range slice.Endpoints {
			found = append(found, endpoint.Addresses...)
		}
		var ports []v1alpha1.Port
		for _, p := range slice.Ports {
			if p.Port != nil {
				ports = append(ports, v1alpha1.Port{Protocol: protocolOf(p.Protocol), Port: intstr.FromInt32(*p.Port)})
			}
		}
		if peers := addresses(found); len(peers) > 0 && len(ports) > 0 {
			endpoints = add(endpoints, policy.Allowance{Peers: peers, Ports: ports})
		}
	}
	return append(out, endpoints...)
}

// add adds an allowance, to the one with the same ports if there is one.
func add(all []policy.Allowance, a policy.Allowance) []policy.Allowance {
	for i := range all {
		if reflect.DeepEqual(all[i].Ports, a.Ports) {
			all[i].Peers = mergePeers(all[i].Peers, a.Peers)
			return all
		}
	}
	return append(all, a)
}

// slicesFor are the EndpointSlices of a Service, by name.
func slicesFor(s *corev1.Service, all []discoveryv1.EndpointSlice) []discoveryv1.EndpointSlice {
	var out []discoveryv1.EndpointSlice
	for _, slice := range all {
		if slice.Namespace == s.Namespace && slice.Labels[discoveryv1.LabelServiceName] == s.Name {
			out = append(out, slice)
		}
	}
	slices.SortFunc(out, func(a, b discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// addresses are single addresses as peers, each once, in order. What is no address, the "None" of a headless Service
// say, is left out.
func addresses(ips []string) []v1alpha1.Peer {
	var parsed []netip.Addr
	for _, ip := range ips {
		if addr, err := netip.ParseAddr(ip); err == nil {
			parsed = append(parsed, addr.Unmap())
		}
	}
	slices.SortFunc(parsed, netip.Addr.Compare)
	var peers []v1alpha1.Peer
	for _, addr := range slices.Compact(parsed) {
		peers = append(peers, v1alpha1.Peer{CIDR: v1alpha1.CIDR(netip.PrefixFrom(addr, addr.BitLen()).String())})
	}
	return peers
}

// mergePeers are the peers by address of both, each once, in order.
func mergePeers(a, b []v1alpha1.Peer) []v1alpha1.Peer {
	var ips []string
	for _, p := range slices.Concat(a, b) {
		if prefix, err := netip.ParsePrefix(string(p.CIDR)); err == nil {
			ips = append(ips, prefix.Addr().String())
		}
	}
	return addresses(ips)
}

func bothProtocols(port int32) []v1alpha1.Port {
	return []v1alpha1.Port{
		{Protocol: corev1.ProtocolUDP, Port: intstr.FromInt32(port)},
		{Protocol: corev1.ProtocolTCP, Port: intstr.FromInt32(port)},
	}
}

func protocolOf(p *corev1.Protocol) corev1.Protocol {
	if p == nil {
		return corev1.ProtocolTCP
	}
	return *p
}
