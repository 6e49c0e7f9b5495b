// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const revisioned = `
namespaceSelector: {matchLabels: {environment: production}, matchExpressions: [{key: legacy, operator: DoesNotExist}]}
includedProtectedNamespaces: [kube-system]
profile: {defaultDeny: {directions: [Egress]}, allowDNS: {ports: [{port: 5353}]}}
flows: [{name: web-to-db, from: {podSelector: {matchLabels: {app: web}}}, to: {podSelector: {}}, ports: [{port: http}]}]
`

func specOf(t *testing.T, text string) *v1alpha1.NetworkBaselineSpec {
	t.Helper()
	var spec v1alpha1.NetworkBaselineSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return &spec
}

func TestRevisionRoundTrip(t *testing.T) {
	spec := specOf(t, revisioned+"mode: Audit\nexcludedNamespaces: [legacy]\ndeletionPolicy: Retain\npreflight: Warn\n")
	name, data, err := EncodeRevision("production", "u", spec)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^production-[0-9a-f]{10}$`).MatchString(name) {
		t.Errorf("named %s", name)
	}
	r, err := DecodeRevision(name, data)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := compact(r.Spec), compact(specOf(t, revisioned)); got != want || r.Name != name {
		t.Errorf("%s reads as\n%s\nwant\n%s", r.Name, got, want)
	}
	b := Baseline{}
	for labels, want := range map[string]Selection{"production": Selected, "staging": NotSelected} {
		if got := b.Selects(r, "shop", map[string]string{"environment": labels}, nil); got != want {
			t.Errorf("what was decoded selects %s: %v, want %v", labels, got, want)
		}
	}
	// Whoever decodes and encodes again, an operator of a later version for example, finds the same revision.
	if again, _, err := EncodeRevision("production", "u", &r.Spec); err != nil || again != name {
		t.Errorf("encoded again it is %s (%v), want %s", again, err, name)
	}
}

// Equal revisioned fields have equal names, whatever the live fields are; everything else has another.
func TestRevisionNames(t *testing.T) {
	nameOf := func(baseline, uid, text string) string {
		name, _, err := EncodeRevision(baseline, types.UID(uid), specOf(t, text))
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	want := nameOf("a", "1", revisioned)
	for _, live := range []string{"", "mode: Audit", "mode: Enforce", "excludedNamespaces: [x]", "deletionPolicy: Retain", "preflight: Warn"} {
		if got := nameOf("a", "1", revisioned+live); got != want {
			t.Errorf("%q makes it %s: it acts at once, and is no part of the revision", live, got)
		}
	}
	seen := map[string]string{want: "itself"}
	for what, got := range map[string]string{
		"another baseline": nameOf("b", "1", revisioned), "another of the same name": nameOf("a", "2", revisioned),
		"the selector":   nameOf("a", "1", strings.Replace(revisioned, "production", "staging", 1)),
		"the included":   nameOf("a", "1", strings.Replace(revisioned, "kube-system", "kube-public", 1)),
		"the profile":    nameOf("a", "1", strings.Replace(revisioned, "5353", "53", 1)),
		"the flows":      nameOf("a", "1", strings.Replace(revisioned, "http", "https", 1)),
		"no flow at all": nameOf("a", "1", strings.Split(revisioned, "flows:")[0]),
	} {
		if other, taken := seen[got]; taken {
			t.Errorf("%s: the same name as %s: %s", what, other, got)
		}
		seen[got] = what
	}
}

func TestRevisionErrors(t *testing.T) {
	if _, err := DecodeRevision("a-1", []byte("{")); err == nil || !strings.Contains(err.Error(), "a-1") {
		t.Errorf("what is no JSON: %v", err)
	}
	_, err := NewRevision("a-1", specOf(t, `namespaceSelector: {matchExpressions: [{key: a, operator: Like}]}`))
	if err == nil || !strings.HasPrefix(err.Error(), "spec.namespaceSelector: ") {
		t.Errorf("a selector that does not compile: %v", err)
	}
}
