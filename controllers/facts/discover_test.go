// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/yaml"
)

func parse[T any](t *testing.T, documents ...string) []T {
	t.Helper()
	var out []T
	for _, d := range documents {
		var o T
		if err := yaml.UnmarshalStrict([]byte(d), &o); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		out = append(out, o)
	}
	return out
}

const (
	kubeDNS    = `{metadata: {namespace: kube-system, name: kube-dns, labels: {k8s-app: kube-dns}}, spec: {clusterIPs: [10.96.0.10], selector: {k8s-app: kube-dns}, ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}, {name: metrics, port: 9153}]}}`
	kubernetes = `{metadata: {namespace: default, name: kubernetes}, spec: {clusterIPs: [10.96.0.1], ports: [{name: https, protocol: TCP, port: 443}]}}`
)

func slice(service, name, endpoints, ports string) string {
	namespace, of, _ := strings.Cut(service, "/")
	return `{metadata: {namespace: ` + namespace + `, name: ` + name + `, labels: {kubernetes.io/service-name: ` + of + `}}, endpoints: [` + endpoints + `], ports: [` + ports + `]}`
}

// What real clusters run, in the words of status.
func TestDiscover(t *testing.T) {
	for _, tc := range []struct {
		name             string
		services, slices []string
		dns, apiServer   []string
	}{
		{name: "nothing"},
		{
			name:     "kubeadm",
			services: []string{kubeDNS, kubernetes},
			slices: []string{
				slice("kube-system/kube-dns", "kube-dns-a", "{addresses: [10.244.0.2]}", "{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}, {name: metrics, protocol: TCP, port: 9153}"),
				slice("default/kubernetes", "kubernetes", "{addresses: [192.0.2.1]}, {addresses: [192.0.2.2]}", "{name: https, protocol: TCP, port: 6443}"),
			},
			dns:       []string{"pods k8s-app=kube-dns in kube-system on UDP 53, TCP 53", "10.96.0.10 on UDP 53, TCP 53"},
			apiServer: []string{"10.96.0.1 on TCP 443", "192.0.2.1 on TCP 6443", "192.0.2.2 on TCP 6443"},
		},
		{
			name: "OpenShift, whose resolvers listen on 5353",
			services: []string{`{metadata: {namespace: openshift-dns, name: dns-default}, spec: {clusterIPs: [172.30.0.10], selector: {dns.operator.openshift.io/daemonset-dns: default}, ` +
				`ports: [{name: dns, protocol: UDP, port: 53, targetPort: dns}, {name: dns-tcp, protocol: TCP, port: 53, targetPort: dns-tcp}]}}`},
			slices: []string{slice("openshift-dns/dns-default", "dns-default-a", "{addresses: [10.128.0.5]}", "{name: dns, protocol: UDP, port: 5353}, {name: dns-tcp, protocol: TCP, port: 5353}")},
			dns: []string{"pods dns.operator.openshift.io/daemonset-dns=default in openshift-dns on UDP 53, TCP 53, UDP 5353, TCP 5353",
				"172.30.0.10 on UDP 53, TCP 53"},
		},
		{
			name:     "Gardener, whose resolvers listen on 8053, in a dual-stack cluster",
			services: []string{strings.ReplaceAll(kubeDNS, "[10.96.0.10]", "['fd00::a', 10.96.0.10]")},
			slices: []string{
				slice("kube-system/kube-dns", "b", "{addresses: ['fd00:10::2']}", "{name: dns, protocol: UDP, port: 8053}"),
				slice("kube-system/kube-dns", "a", "{addresses: [10.244.0.2]}", "{name: dns-tcp, protocol: TCP, port: 8053}, {name: metrics, protocol: TCP, port: 9153}"),
				slice("kube-system/kube-dns-shoot", "c", "{addresses: [10.244.0.3]}", "{name: dns, protocol: UDP, port: 1053}"),
			},
			dns: []string{"pods k8s-app=kube-dns in kube-system on UDP 53, TCP 53, UDP 8053, TCP 8053", "10.96.0.10 on UDP 53, TCP 53", "fd00::a on UDP 53, TCP 53"},
		},
		{
			name:     "RKE2, by its label",
			services: []string{`{metadata: {namespace: kube-system, name: rke2-coredns-rke2-coredns, labels: {k8s-app: kube-dns}}, spec: {clusterIPs: [10.43.0.10], selector: {app.kubernetes.io/instance: rke2-coredns, k8s-app: kube-dns}, ports: [{name: udp-53, protocol: UDP, port: 53}]}}`},
			dns:      []string{"pods app.kubernetes.io/instance=rke2-coredns,k8s-app=kube-dns in kube-system on UDP 53, TCP 53", "10.43.0.10 on UDP 53, TCP 53"},
		},
		{
			name:     "CoreDNS under a label of its own",
			services: []string{`{metadata: {namespace: kube-system, name: coredns, labels: {k8s-app: coredns}}, spec: {clusterIPs: [10.96.0.10], selector: {app: coredns}, ports: [{name: dns, protocol: UDP, port: 53}]}}`},
			dns:      []string{"pods app=coredns in kube-system on UDP 53, TCP 53", "10.96.0.10 on UDP 53, TCP 53"},
		},
		{
			name: "NodeLocal DNSCache",
			services: []string{kubeDNS, `{metadata: {namespace: kube-system, name: kube-dns-upstream, labels: {k8s-app: kube-dns}}, spec: {clusterIPs: [10.96.0.77], selector: {k8s-app: kube-dns}, ports: [{name: dns, protocol: UDP, port: 53}]}}`,
				`{metadata: {namespace: kube-system, name: node-local-dns}, spec: {clusterIPs: [None], selector: {k8s-app: node-local-dns}, ports: [{name: metrics, port: 9253}]}}`},
			dns: []string{"pods k8s-app=kube-dns in kube-system on UDP 53, TCP 53", "10.96.0.10 on UDP 53, TCP 53", "169.254.20.10 on UDP 53, TCP 53", "pods k8s-app=node-local-dns in kube-system on UDP 53, TCP 53"},
		},
		{
			name:     "a headless Service has no address",
			services: []string{strings.ReplaceAll(kubeDNS, "[10.96.0.10]", "[None]")},
			dns:      []string{"pods k8s-app=kube-dns in kube-system on UDP 53, TCP 53"},
		},
		{
			name: "what is no resolver: another namespace, another port, no pods behind it",
			services: []string{strings.ReplaceAll(kubeDNS, "kube-system", "openshift-dns"), strings.ReplaceAll(kubeDNS, "port: 53", "port: 54"),
				strings.ReplaceAll(kubeDNS, "selector: {k8s-app: kube-dns}", "selector: {}")},
		},
		{
			name:     "a dual-stack API server, in several slices, with different ports",
			services: []string{strings.ReplaceAll(kubernetes, "[10.96.0.1]", "[10.96.0.1, 'fd00::1']")},
			slices: []string{
				slice("default/kubernetes", "c", "{addresses: [192.0.2.3]}", "{name: https, protocol: TCP, port: 443}"),
				slice("default/kubernetes", "b", "{addresses: ['2001:db8::1']}, {addresses: [192.0.2.1]}", "{name: https, port: 6443, protocol: TCP}"),
				slice("default/kubernetes", "a", "{addresses: [192.0.2.1]}, {addresses: [192.0.2.2]}", "{name: https, port: 6443, protocol: TCP}"),
				slice("default/kubernetes", "empty", "", "{name: https, port: 6443}"),
				slice("default/other", "z", "{addresses: [192.0.2.9]}", "{name: https, port: 6443}"),
			},
			apiServer: []string{"10.96.0.1 on TCP 443", "fd00::1 on TCP 443",
				"192.0.2.1 on TCP 6443", "192.0.2.2 on TCP 6443", "2001:db8::1 on TCP 6443", "192.0.2.3 on TCP 443"},
		},
		{
			name:     "a kubernetes Service without endpoints",
			services: []string{kubernetes}, apiServer: []string{"10.96.0.1 on TCP 443"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			services, endpoints := parse[corev1.Service](t, tc.services...), parse[discoveryv1.EndpointSlice](t, tc.slices...)
			for range 2 {
				found := Discover(services, endpoints)
				if got := Describe(found.DNS, 32); !slices.Equal(got, tc.dns) {
					t.Errorf("DNS:\ngot  %q\nwant %q", got, tc.dns)
				}
				if got := Describe(found.KubeAPIServer, 32); !slices.Equal(got, tc.apiServer) {
					t.Errorf("API server:\ngot  %q\nwant %q", got, tc.apiServer)
				}
				// The order in which a cache answers means nothing.
				slices.Reverse(services)
				slices.Reverse(endpoints)
			}
		})
	}
}

func TestDescribeIsBounded(t *testing.T) {
	found := Discover(parse[corev1.Service](t, kubeDNS, kubernetes), nil)
	if got := Describe(found.DNS, 1); len(got) != 1 {
		t.Errorf("got %q, want one line", got)
	}
}
