// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Each sample, as it is in the repository: the API server takes it, it becomes Ready, and nothing in it is idle. What
// its policies allow is judged in hack/conformance.
var _ = Describe("the samples", Ordered, func() {
	BeforeAll(func() {
		startOperator()
		namespaceNamed("monitoring", nil)
		newPod("monitoring", "prometheus", map[string]string{"app.kubernetes.io/name": "prometheus"})
	})
	files, err := filepath.Glob(filepath.Join("..", "config", "samples", "*.yaml"))
	if err != nil || len(files) < 2 {
		panic("no samples")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if name == "kustomization" {
			continue
		}
		It("become ready: "+name, func() {
			data, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			b := &v1alpha1.NetworkBaseline{}
			Expect(yaml.UnmarshalStrict(data, b)).To(Succeed())
			Expect(b.Spec.NamespaceSelector.MatchLabels).NotTo(BeEmpty())

			labels := map[string]string{}
			for k, v := range b.Spec.NamespaceSelector.MatchLabels {
				labels[k] = string(v)
			}
			namespaces := []string{newNamespace(labels)}
			for _, named := range namespacesNamedIn(b) {
				namespaceNamed(named, labels)
				namespaces = append(namespaces, named)
			}
			create(b)
			b = inSync(b, len(namespaces))
			Expect(b.Status.Problems).To(BeEmpty())
			Expect(conditionOf(b, "Effective")).To(HavePrefix("True/"))
			for _, namespace := range namespaces {
				Expect(policies(namespace)).NotTo(BeEmpty(), namespace)
			}
			previewed(file, b, namespaces, labels)
		})
	}
})

// namespacesNamedIn are the namespaces that the flows of a baseline name.
func namespacesNamedIn(b *v1alpha1.NetworkBaseline) []string {
	names := map[string]bool{}
	for _, flow := range b.Spec.Flows {
		for _, end := range []v1alpha1.Peer{flow.From, flow.To} {
			if end.NamespaceSelector != nil && end.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] != "" {
				names[string(end.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])] = true
			}
		}
	}
	var out []string
	for name := range names {
		out = append(out, name)
	}
	return out
}
