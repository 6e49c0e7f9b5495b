// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"
)

// The example for Flux is a Kustomization of Flux' own types, and its expressions, which Flux' own evaluator runs, say of
// each status what they are meant to.
func TestFlux(t *testing.T) {
	g := NewWithT(t)
	var example kustomizev1.Kustomization
	g.Expect(yaml.UnmarshalStrict(read(t, root, "config", "flux", "kustomization-networkbaselines.yaml"), &example)).To(Succeed())
	g.Expect(example.Spec.Wait).To(BeTrue())
	g.Expect(example.Spec.HealthCheckExprs).To(HaveLen(1))
	expressions := example.Spec.HealthCheckExprs[0]
	g.Expect(expressions.APIVersion + "/" + expressions.Kind).To(Equal("netbaseline.io/v1alpha1/NetworkBaseline"))
	evaluator, err := cel.NewStatusEvaluator(&expressions.HealthCheckExpressions)
	g.Expect(err).NotTo(HaveOccurred())
	for _, test := range scenarios {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := evaluator.Evaluate(t.Context(), recorded(t, test.name))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got.Status).To(Equal(test.flux))
		})
	}
}
