// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"net/netip"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestEvaluators holds both evaluators to the documentation of the API where one of them, as it comes, does not follow
// it, and where a test that always says yes, or always no, would pass unnoticed.
func TestEvaluators(t *testing.T) {
	here := map[string]string{"kubernetes.io/metadata.name": "here"}
	there := map[string]string{"kubernetes.io/metadata.name": "there", "empty": ""}
	pod := &Endpoint{Name: "pod", Namespace: "here", NamespaceLabels: here, Labels: map[string]string{"app": "web"}, Address: netip.MustParseAddr("10.0.0.1"), Named: map[string]Port{"http": {"TCP", 8080}}}
	plain := &Endpoint{Name: "plain", Namespace: "here", NamespaceLabels: here, Address: netip.MustParseAddr("10.0.0.2")}
	far := &Endpoint{Name: "far", Namespace: "there", NamespaceLabels: there, Labels: map[string]string{"app": "db"}, Address: netip.MustParseAddr("10.0.1.1"), Named: map[string]Port{"http": {"TCP", 80}}}
	outside := &Endpoint{Name: "outside", Address: netip.MustParseAddr("8.8.4.4")}
	outside6 := &Endpoint{Name: "outside6", Address: netip.MustParseAddr("2001:db8::1")}
	const in, out = networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	for _, tc := range []struct {
		name, policy string
		direction    networkingv1.PolicyType
		pod, peer    *Endpoint
		port         string
		want         bool
	}{
		{"no policy of this direction", `{podSelector: {}, policyTypes: [Ingress]}`, out, pod, outside, "443", true},
		{"no rules", `{podSelector: {}, policyTypes: [Ingress, Egress]}`, out, pod, outside, "443", false},
		{"an empty list of rules", `{podSelector: {}, policyTypes: [Egress], egress: []}`, out, pod, outside, "443", false},
		{"an empty rule", `{podSelector: {}, policyTypes: [Egress], egress: [{}]}`, out, pod, outside, "443", true},
		{"another pod", `{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress]}`, out, pod, outside, "443", true},
		{"NotIn, without the label", `{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}, policyTypes: [Egress]}`, out, plain, outside, "443", false},
		{"NotIn, with the value", `{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}, policyTypes: [Egress]}`, out, pod, outside, "443", true},
		{"NotIn of a peer, without the label", `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}]}]}`, in, pod, plain, "80", true},
		{"NotIn of a peer, with the value", `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}]}]}`, in, plain, pod, "80", false},
		{"an empty value, with the label", `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {empty: ""}}}]}]}`, in, pod, far, "80", true},
		{"an empty value, without the label", `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {empty: ""}}}]}]}`, in, pod, plain, "80", false},
		{"protocol defaults to TCP", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53}]}]}`, out, pod, outside, "UDP/53", false},
		{"a range of ports", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 50, endPort: 60, protocol: UDP}]}]}`, out, pod, outside, "UDP/60", true},
		{"the end of a range", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 50, endPort: 60, protocol: UDP}]}]}`, out, pod, outside, "UDP/61", false},
		{"a named port in", `{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: http}]}]}`, in, pod, outside, "8080", true},
		{"a named port out is that of the peer", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}`, out, pod, far, "8080", false},
		{"and matches there", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}`, out, pod, far, "80", true},
		{"outside no port has a name", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}`, out, pod, outside, "80", false},
		{"a pod selector alone is this namespace", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}`, out, pod, far, "80", false},
		{"an ipBlock matches a pod", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.1.0/24}}]}]}`, out, pod, far, "80", true},
		{"except", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 8.0.0.0/8, except: [8.8.4.0/24]}}]}]}`, out, pod, outside, "80", false},
		{"families are apart", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "::/0"}}]}]}`, out, pod, outside, "80", false},
		{"IPv6", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "::/0"}}]}]}`, out, pod, outside6, "80", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "here", Name: "policy"}}
			if err := yaml.UnmarshalStrict([]byte(tc.policy), &p.Spec); err != nil {
				t.Fatal(err)
			}
			for _, e := range Evaluators {
				if got := e.Load([]*networkingv1.NetworkPolicy{p})(Question{tc.direction, tc.pod, tc.peer, mustPort(tc.port)}); got != tc.want {
					t.Errorf("%s: allowed %v, want %v", e.Name, got, tc.want)
				}
			}
		})
	}
}
