// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const (
	benchNamespaces  = 5000
	benchConnections = 10000
)

// benchSpecs are what a baseline with a default deny, DNS, metadata, an ingress controller, monitoring and the own
// namespace generates.
var benchSpecs = []string{
	"{podSelector: {}, policyTypes: [Ingress, Egress]}",
	"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]}",
	"{podSelector: {matchLabels: {exempt: 'true'}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.170.23/32}}], ports: [{port: 80}]}, {to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16, 100.100.100.200/32, 168.63.129.16/32]}}], ports: [{port: 443}]}]}",
	"{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}, podSelector: {matchLabels: {app.kubernetes.io/name: ingress-nginx}}}]}]}",
	"{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}, podSelector: {matchExpressions: [{key: app.kubernetes.io/name, operator: In, values: [prometheus, vmagent]}]}}], ports: [{port: metrics}]}]}",
	"{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{to: [{podSelector: {}}]}]}",
}

func benchPolicies(b *testing.B) []*networkingv1.NetworkPolicy {
	b.Helper()
	var out []*networkingv1.NetworkPolicy
	for i := range benchNamespaces {
		for n, text := range benchSpecs {
			p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns-%d", i), Name: fmt.Sprintf("policy-%d", n)}}
			if i > 0 {
				out[n].Spec.DeepCopyInto(&p.Spec)
			} else if err := yaml.UnmarshalStrict([]byte(text), &p.Spec); err != nil {
				b.Fatal(err)
			}
			out = append(out, p)
		}
	}
	return out
}

func benchConnectionList() []*Connection {
	r := rand.New(rand.NewPCG(1, 2))
	pod := func() *Pod {
		namespace := fmt.Sprintf("ns-%d", r.IntN(benchNamespaces))
		return &Pod{
			Namespace: namespace, NamespaceLabels: NamespaceLabels(namespace, nil), Name: fmt.Sprintf("pod-%d", r.IntN(100)),
			Labels:    map[string]string{"app": "web", "pod-template-hash": "5d8c7b9f6"},
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), byte(r.IntN(256)), 1})},
			Ports:     []NamedPort{{"metrics", corev1.ProtocolTCP, 9090}},
		}
	}
	var out []*Connection
	for i := range benchConnections {
		c := &Connection{Source: Endpoint{Pod: pod()}, Destination: Endpoint{Pod: pod()}, Protocol: corev1.ProtocolTCP, Port: 8080}
		switch i % 4 {
		case 0: // within a namespace
			c.Destination.Pod.Namespace, c.Destination.Pod.NamespaceLabels = c.Source.Pod.Namespace, c.Source.Pod.NamespaceLabels
		case 1: // to an address
			c.Destination = Endpoint{Address: netip.AddrFrom4([4]byte{8, 8, byte(r.IntN(256)), 1})}
		}
		out = append(out, c)
	}
	return out
}

// BenchmarkCompileAndJudge is one operation of 10,000 connections over the 30,000 policies of 5,000 namespaces.
func BenchmarkCompileAndJudge(b *testing.B) {
	all, connections := benchPolicies(b), benchConnectionList()
	b.ReportAllocs()
	for b.Loop() {
		s, err := Compile(all, ByAddress)
		if err != nil {
			b.Fatal(err)
		}
		judgeAll(b, s, connections)
	}
}

// BenchmarkJudge is the same with the policies compiled before.
func BenchmarkJudge(b *testing.B) {
	s, err := Compile(benchPolicies(b), ByAddress)
	if err != nil {
		b.Fatal(err)
	}
	connections := benchConnectionList()
	b.ReportAllocs()
	for b.Loop() {
		judgeAll(b, s, connections)
	}
}

func judgeAll(b *testing.B, s *Set, connections []*Connection) {
	b.Helper()
	outcomes := map[Outcome]int{}
	for _, c := range connections {
		outcomes[s.Judge(c).Outcome]++
	}
	if outcomes[Allowed] == 0 || outcomes[Denied] == 0 {
		b.Fatalf("the benchmark is to have both: %v", outcomes)
	}
}
