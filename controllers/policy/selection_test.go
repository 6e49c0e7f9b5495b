// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

func TestSelect(t *testing.T) {
	protection := Protection{"kube-system", "gke-*", "openshift-*"}
	production := map[string]string{"environment": "production", "tier": "front"}
	for _, tc := range []struct {
		name, spec, namespace string
		labels                map[string]string
		want                  Selection
	}{
		{"empty selects everything", `namespaceSelector: {}`, "shop", nil, Selected},
		{"empty does not select protected namespaces", `namespaceSelector: {}`, "kube-system", nil, Protected},
		{"nor those that a pattern protects", `namespaceSelector: {}`, "gke-managed-cim", nil, Protected},
		{"a pattern is no prefix", `namespaceSelector: {}`, "gke", nil, Selected},
		{"a name is no pattern", `namespaceSelector: {}`, "kube-system-backup", nil, Selected},
		{"a pattern is anchored", `namespaceSelector: {}`, "my-gke-app", nil, Selected},

		{"matchLabels", `namespaceSelector: {matchLabels: {environment: production}}`, "shop", production, Selected},
		{"matchLabels all of them", `namespaceSelector: {matchLabels: {environment: production, tier: back}}`, "shop", production, NotSelected},
		{"matchLabels without the label", `namespaceSelector: {matchLabels: {environment: production}}`, "shop", nil, NotSelected},
		{"matchLabels with an empty value", `namespaceSelector: {matchLabels: {environment: ""}}`, "shop", nil, NotSelected},
		{"In", `namespaceSelector: {matchExpressions: [{key: environment, operator: In, values: [staging, production]}]}`, "shop", production, Selected},
		{"In without the label", `namespaceSelector: {matchExpressions: [{key: environment, operator: In, values: [staging]}]}`, "shop", nil, NotSelected},
		{"NotIn", `namespaceSelector: {matchExpressions: [{key: environment, operator: NotIn, values: [production]}]}`, "shop", production, NotSelected},
		{"NotIn without the label", `namespaceSelector: {matchExpressions: [{key: environment, operator: NotIn, values: [production]}]}`, "shop", nil, Selected},
		{"Exists", `namespaceSelector: {matchExpressions: [{key: tier, operator: Exists}]}`, "shop", production, Selected},
		{"DoesNotExist", `namespaceSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}`, "shop", production, NotSelected},
		{"labels and expressions both", `namespaceSelector: {matchLabels: {environment: production}, matchExpressions: [{key: tier, operator: DoesNotExist}]}`, "shop", production, NotSelected},

		{"excluded", `{namespaceSelector: {}, excludedNamespaces: [legacy, shop]}`, "shop", production, NotSelected},
		{"excluded are names", `{namespaceSelector: {}, excludedNamespaces: ["sho*"]}`, "shop", production, Selected},
		{"excluded and protected", `{namespaceSelector: {}, excludedNamespaces: [kube-system]}`, "kube-system", nil, NotSelected},

		{"protected, selected and named", `{namespaceSelector: {}, includedProtectedNamespaces: [kube-system]}`, "kube-system", nil, Selected},
		{"protected by a pattern, selected and named", `{namespaceSelector: {}, includedProtectedNamespaces: [gke-managed-cim]}`, "gke-managed-cim", nil, Selected},
		{"protected and named, not selected", `{namespaceSelector: {matchLabels: {environment: production}}, includedProtectedNamespaces: [kube-system]}`, "kube-system", nil, NotSelected},
		{"another is named", `{namespaceSelector: {}, includedProtectedNamespaces: [gke-managed-cim]}`, "kube-system", nil, Protected},
		{"named and excluded", `{namespaceSelector: {}, includedProtectedNamespaces: [kube-system], excludedNamespaces: [kube-system]}`, "kube-system", nil, NotSelected},
		{"protected and not selected", `namespaceSelector: {matchLabels: {environment: production}}`, "kube-system", nil, NotSelected},
		{"to be named selects nothing", `{namespaceSelector: {matchLabels: {environment: production}}, includedProtectedNamespaces: [shop]}`, "shop", nil, NotSelected},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var spec v1alpha1.NetworkBaselineSpec
			if err := yaml.UnmarshalStrict([]byte(tc.spec), &spec); err != nil {
				t.Fatal(err)
			}
			r, err := NewRevision("r", &spec)
			if err != nil {
				t.Fatal(err)
			}
			b := &Baseline{Excluded: spec.ExcludedNamespaces}
			if got := b.Selects(r, tc.namespace, tc.labels, protection); got != tc.want {
				t.Errorf("Select(%s, %v) = %v, want %v", tc.namespace, tc.labels, got, tc.want)
			}
		})
	}
}

// The schema refuses these; should it ever not, nothing may be selected.
func TestInvalidSelectorSelectsNothing(t *testing.T) {
	for _, requirement := range []v1alpha1.LabelSelectorRequirement{
		{Key: "environment", Operator: metav1.LabelSelectorOpIn},
		{Key: "environment", Operator: metav1.LabelSelectorOpExists, Values: []v1alpha1.LabelValue{"production"}},
		{Key: "environment", Operator: "Like", Values: []v1alpha1.LabelValue{"prod"}},
		{Key: "not a key", Operator: metav1.LabelSelectorOpExists},
		{Key: "environment", Operator: metav1.LabelSelectorOpIn, Values: []v1alpha1.LabelValue{"not a value"}},
	} {
		spec := v1alpha1.NetworkBaselineSpec{NamespaceSelector: v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{requirement}}}
		r, err := NewRevision("r", &spec)
		if err == nil || !strings.HasPrefix(err.Error(), "spec.namespaceSelector: ") {
			t.Errorf("%+v: error %v, want one that names the field", requirement, err)
		}
		if got := (&Baseline{}).Selects(r, "shop", map[string]string{"environment": "production"}, nil); got != NotSelected {
			t.Errorf("%+v: selects %v", requirement, got)
		}
	}
}

func TestDefaultProtection(t *testing.T) {
	if err := DefaultProtection.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"kube-system", "kube-public", "kube-node-lease", "calico-system", "calico-apiserver", "tigera-operator", "kube-flannel",
		"cilium", "cilium-secrets", "kube-ovn", "ovn-kubernetes", "openshift", "openshift-dns", "gke-system", "gmp-system",
		"cattle-system", "app-routing-system",
	} {
		if !DefaultProtection.Protects(name) {
			t.Errorf("%s is not protected", name)
		}
	}
	// Where people's own things run, or may.
	for _, name := range []string{"default", "kube", "kubernetes-dashboard", "ingress-nginx", "monitoring", "shop", "my-openshift-app", "openshiftly"} {
		if DefaultProtection.Protects(name) {
			t.Errorf("%s is protected", name)
		}
	}
}

func TestProtectionValidate(t *testing.T) {
	for _, tc := range []struct {
		protection Protection
		wrong      string // part of the error; none when empty
	}{
		{nil, ""},
		{Protection{"kube-system", "gke-*", "team-[a-c]", "?"}, ""},
		{Protection{"kube-system", "gke-["}, `"gke-["`},
		{Protection{"a-[]"}, `"a-[]"`},
	} {
		err := tc.protection.Validate()
		if tc.wrong == "" && err != nil || tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)) {
			t.Errorf("%q: error %v, want %q", tc.protection, err, tc.wrong)
		}
	}
	// A pattern that nobody validated protects nothing, and its neighbours still do.
	p := Protection{"gke-[", "kube-system"}
	if p.Protects("gke-[") || !p.Protects("kube-system") || slices.ContainsFunc([]string{"shop", ""}, p.Protects) {
		t.Error("a malformed pattern changes what the others protect")
	}
}
