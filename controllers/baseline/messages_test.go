// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// What a message says to write is YAML that means what was meant.
func TestYAMLSelector(t *testing.T) {
	for _, tc := range []struct {
		in   v1alpha1.LabelSelector
		want string
	}{
		{v1alpha1.LabelSelector{}, "{}"},
		{v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"k8s-app": "coredns"}}, "{matchLabels: {k8s-app: coredns}}"},
		{v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"a": "true", "b": "", "c": "1.5", "d": "no", "e": "v1"}}, `{matchLabels: {a: "true", b: "", c: "1.5", d: "no", e: v1}}`},
		{v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{
			{Key: "gateway.envoyproxy.io/owning-gateway-name", Operator: "Exists"}, {Key: "tier", Operator: "In", Values: []v1alpha1.LabelValue{"front", "null"}},
		}}, `{matchExpressions: [{key: gateway.envoyproxy.io/owning-gateway-name, operator: Exists}, {key: tier, operator: In, values: [front, "null"]}]}`},
	} {
		got := yamlSelector(&tc.in)
		if got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
		var back v1alpha1.LabelSelector
		if err := yaml.UnmarshalStrict([]byte(got), &back); err != nil || !reflect.DeepEqual(back, tc.in) {
			t.Errorf("%s reads as %+v, %v", got, back, err)
		}
	}
}

func TestSimilar(t *testing.T) {
	wanted := &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"k8s-app": "kube-dns"}}
	for _, tc := range []struct {
		name   string
		labels map[string]string
		want   string
	}{
		{"coredns", map[string]string{"k8s-app": "coredns", "pod-template-hash": "abc"}, "k8s-app=coredns"},
		{"another key", map[string]string{"app": "node-local-dns"}, "app=node-local-dns"},
		{"a word that is in everything", map[string]string{"app": "kube-proxy"}, ""},
		{"something else", map[string]string{"app": "metrics"}, ""},
		{"no labels", nil, ""},
	} {
		key, value, pod := similar([]metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "pod", Labels: tc.labels}}}, wanted)
		if got := strings.Trim(key+"="+value, "="); got != tc.want || (pod != "") != (tc.want != "") {
			t.Errorf("%s: got %q (pod %q), want %q", tc.name, got, pod, tc.want)
		}
	}
}

func TestLeftAlone(t *testing.T) {
	for _, tc := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"kube-system"}, "; protected and left alone: kube-system (to govern one, name it in spec.includedProtectedNamespaces)"},
		{[]string{"d", "b", "a", "c", "e"}, "; protected and left alone: a, b, c and 2 more (to govern one, name it in spec.includedProtectedNamespaces)"},
	} {
		if got := leftAlone(tc.names); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestRemedy(t *testing.T) {
	for _, tc := range []struct{ reason, message, want string }{
		{"WriteRefused", `creating: networkpolicies.networking.k8s.io "a" is forbidden: exceeded quota: team`, "raise the quota"},
		{"WriteRefused", `creating: admission webhook "check.example.com" denied the request: no`, "let whoever refuses admit"},
		{"WriteRefused", `creating: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`, "let whoever refuses admit"},
		{"WriteRefused", `creating: networkpolicies is forbidden: User "system:x" cannot create resource "networkpolicies" in API group`, "give the operator that right"},
		{"WriteRefused", `creating: Operation cannot be fulfilled on resourcequotas "team": the object has been modified`, ""},
		{"WriteRefused", `creating: etcdserver: request timed out`, ""},
		{"WriteAltered", `the API server stored another spec.egress than was written: a mutating admission webhook changes it`, "exempt the generated policies"},
		{"WriteBudgetExceeded", `writes are limited to 10 a second`, "find out who changes them"},
	} {
		got := remedy(v1alpha1.Problem{Reason: tc.reason, Message: tc.message})
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q in it", tc.message, got, tc.want)
		}
	}
}
