// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"maps"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// kubectl wait --for=condition=Ready returns when the baseline is ready, and not before; after an edit neither.
func TestKubectlWait(t *testing.T) {
	t.Parallel()
	s := newStage(t, "waited", plain)
	s.holdable("waited")
	wait := func(timeout string) (string, error) {
		return here.kubectl(t.Context(), "wait", "--for=condition=Ready", "networkbaseline/waited", "--timeout="+timeout)
	}
	release := s.hold("waited")
	s.create()
	for _, change := range []func(){func() {}, func() {
		release = s.hold("waited")
		s.patch(`{"spec": {"profile": {"allowSameNamespace": {}}}}`)
	}} {
		change()
		out, err := wait("2s")
		s.Expect(err).To(HaveOccurred(), out)
		s.Expect(out).To(ContainSubstring("timed out"))
		release()
		out, err = wait("30s")
		s.Expect(err).NotTo(HaveOccurred(), out)
		s.Expect(out).To(Equal("networkbaseline.netbaseline.io/waited condition met\n"))
		s.Expect(said(s.now())).To(ContainElement("Ready=True/InSync"))
	}
}

// In mode Audit there is something to wait for too: docs/gitops.md says what.
func TestKubectlWaitForAudit(t *testing.T) {
	s := newStage(t, "waited-audit", "{mode: Audit, profile: {defaultDeny: {}}}")
	s.create()
	out, err := here.kubectl(t.Context(), "wait", `--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Audit`, "networkbaseline/waited-audit", "--timeout=30s")
	s.Expect(err).NotTo(HaveOccurred(), out)
	s.Expect(said(s.now())).To(ContainElement("Ready=Unknown/Audit"))
}

// kubectl explain has a word for every field.
func TestKubectlExplain(t *testing.T) {
	g := NewWithT(t)
	g.Eventually(func() (string, error) {
		return here.kubectl(t.Context(), "explain", "networkbaseline.spec", "--recursive")
	}).Should(And(
		MatchRegexp(`(?m)^  namespaceSelector\t<Object> -required-$`),
		MatchRegexp(`(?m)^  mode\t<string>$`),
		MatchRegexp(`(?m)^  enum: Enforce, Audit$`),
		MatchRegexp(`(?m)^    allowDNS\t<Object>$`),
		MatchRegexp(`(?m)^  flows\t<\[\]Object>$`),
		Not(ContainSubstring("no description")),
	))
	for field, description := range map[string]string{
		"spec.mode":                  "mode is Enforce, or Audit: say in status what would change, write nothing and remove nothing",
		"spec.profile.allowDNS":      "DNS",
		"spec.flows.ports.endPort":   "endPort",
		"status.conditions":          "conditions are Ready, Effective, Preflight, Reconciling and Stalled",
		"status.namespaces.selected": "governed by the baseline",
	} {
		out, err := here.kubectl(t.Context(), "explain", "networkbaseline."+field)
		g.Expect(err).NotTo(HaveOccurred(), out)
		_, text, _ := strings.Cut(out, "DESCRIPTION:")
		// Whatever the width of the lines.
		g.Expect(strings.Join(strings.Fields(text), " ")).To(ContainSubstring(description), field)
	}
}

// What kubectl explain, the editors and the generated documentation say comes from the descriptions in the CRD.
func TestEveryFieldIsDescribed(t *testing.T) {
	g := NewWithT(t)
	var crd apiextensionsv1.CustomResourceDefinition
	g.Expect(yaml.UnmarshalStrict(read(t, root, "config", "crd", "bases", "netbaseline.io_networkbaselines.yaml"), &crd)).To(Succeed())
	g.Expect(crd.Spec.Versions).To(HaveLen(1))
	schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	count := 0
	var silent []string
	walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
		count++
		if field.Description == "" && path != "metadata" {
			silent = append(silent, path)
		}
	})
	g.Expect(silent).To(BeEmpty(), "fields without a description")
	g.Expect(count).To(BeNumerically(">", 100))
}

// walk visits every field below a schema, in order.
func walk(path string, schema *apiextensionsv1.JSONSchemaProps, visit func(string, *apiextensionsv1.JSONSchemaProps)) {
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(path+"[]", schema.Items.Schema, visit)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		walk(path+"{}", schema.AdditionalProperties.Schema, visit)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		field := schema.Properties[name]
		inner := name
		if path != "" {
			inner = path + "." + name
		}
		visit(inner, &field)
		walk(inner, &field, visit)
	}
}
