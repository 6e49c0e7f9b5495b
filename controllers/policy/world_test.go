// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

const governedNamespace = "shop"

var namespaces = map[string]map[string]string{
	"shop":          {"kubernetes.io/metadata.name": "shop", "environment": "production"},
	"blog":          {"kubernetes.io/metadata.name": "blog", "environment": "production"},
	"kube-system":   {"kubernetes.io/metadata.name": "kube-system"},
	"ingress-nginx": {"kubernetes.io/metadata.name": "ingress-nginx"},
	"monitoring":    {"kubernetes.io/metadata.name": "monitoring"},
}

// governed are the pods of the governed namespace. Selectors of the tests choose one, several, all or none of them.
var governed = []endpoint{
	{"web", governedNamespace, map[string]string{"app": "web", "tier": "front"}, netip.MustParseAddr("10.244.0.1"), map[string]socket{"http": {"TCP", 8080}}},
	{"db", governedNamespace, map[string]string{"app": "db", "tier": "back"}, netip.MustParseAddr("10.244.0.2"), map[string]socket{"http": {"TCP", 80}}},
	{"plain", governedNamespace, nil, netip.MustParseAddr("10.244.0.3"), nil},
}

// peers are the other ends.
var peers = []endpoint{
	governed[0], governed[1],
	{"dns", "kube-system", map[string]string{"k8s-app": "kube-dns"}, netip.MustParseAddr("10.244.1.1"), nil},
	{"ingress-nginx", "ingress-nginx", map[string]string{"app.kubernetes.io/name": "ingress-nginx"}, netip.MustParseAddr("10.244.1.2"), nil},
	{"prometheus", "monitoring", map[string]string{"app.kubernetes.io/name": "prometheus"}, netip.MustParseAddr("10.244.1.3"), nil},
	// Whoever may create pods may give them these labels, in their own namespace.
	{"impostor", "blog", map[string]string{"app.kubernetes.io/name": "ingress-nginx", "k8s-app": "kube-dns"}, netip.MustParseAddr("10.244.2.1"), nil},
	{"internet", "", nil, netip.MustParseAddr("8.8.8.8"), nil},
	{"internet6", "", nil, netip.MustParseAddr("2001:db8::1"), nil},
	{"google-lb", "", nil, netip.MustParseAddr("130.211.0.9"), nil},
	{"office", "", nil, netip.MustParseAddr("10.1.2.3"), nil},
	{"metadata", "", nil, netip.MustParseAddr("169.254.169.254"), nil},
	{"metadata6", "", nil, netip.MustParseAddr("fd00:ec2::254"), nil},
	{"alibaba-metadata", "", nil, netip.MustParseAddr("100.100.100.200"), nil},
	{"pod-identity", "", nil, netip.MustParseAddr("169.254.170.23"), nil},
	{"nodelocal-dns", "", nil, netip.MustParseAddr("169.254.20.10"), nil},
}

var sockets = []socket{
	{corev1.ProtocolUDP, 53}, {corev1.ProtocolTCP, 53}, {corev1.ProtocolTCP, 80}, {corev1.ProtocolTCP, 443},
	{corev1.ProtocolTCP, 8080}, {corev1.ProtocolUDP, 5353},
}

func (s socket) String() string { return fmt.Sprintf("%s/%d", s.protocol, s.port) }

func flowNamed(pod, direction, peer, at string) int {
	index := func(all []endpoint, name string) int {
		return slices.IndexFunc(all, func(e endpoint) bool { return e.name == name })
	}
	port := slices.IndexFunc(sockets, func(s socket) bool { return s.String() == at })
	i, j := index(governed, pod), index(peers, peer)
	if i < 0 || j < 0 || port < 0 {
		panic("no such flow: " + pod + " " + peer + " " + at)
	}
	return flow(i, networkingv1.PolicyType(direction), j, port)
}

func flowName(i int) string {
	port, i := i%len(sockets), i/len(sockets)
	peer, i := i%len(peers), i/len(peers)
	d, pod := i%2, i/2
	return fmt.Sprintf("%s of pod %s, peer %s, %s", []string{"Ingress", "Egress"}[d], governed[pod].name, peers[peer].name, sockets[port])
}

// worldSize is the number of flows.
func worldSize() int { return len(governed) * 2 * len(peers) * len(sockets) }

func TestWorldFits(t *testing.T) {
	if worldSize() > flowWords*64 {
		t.Fatalf("%d flows do not fit into %d words: raise flowWords", worldSize(), flowWords)
	}
}

func parseSpec(t *testing.T, text string) *networkingv1.NetworkPolicySpec {
	t.Helper()
	var spec networkingv1.NetworkPolicySpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &spec
}
