// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An application's life: a first sync whose second wave waits for the baseline, nothing to do afterwards, drift, and
// the end.
func TestSync(t *testing.T) {
	t.Parallel()
	s := newAppStage(t, "shop")
	manifests := folder(t, "testdata", "app")
	baseline := find(t, manifests, "NetworkBaseline")
	s.object = baseline.DeepCopy()
	workload := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "workload"}}

	release := s.hold("shop")
	result := s.start(manifests)
	s.Eventually(func(g Gomega) {
		got, err := s.app.healthOf(baseline)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(*got).To(Equal(health.HealthStatus{Status: health.HealthStatusProgressing, Message: "0 of 1 namespace in sync"}))
	}).Should(Succeed())
	s.Consistently(result).WithTimeout(steady).ShouldNot(Receive())
	s.Expect(s.missing(workload)).To(BeTrue(), "its wave is later")

	release()
	s.Eventually(result).Should(Receive(succeeded()))
	s.Expect(s.missing(workload)).To(BeFalse())
	s.Expect(said(s.now())).To(ContainElement("Ready=True/InSync"), "before the next wave")
	s.healthy(baseline, "1 of 1 namespace in sync")

	t.Log("nothing is OutOfSync, and another sync changes nothing")
	s.inSync(manifests)
	s.Eventually(func() []string { return s.app.tree(baseline) }).Should(HaveExactElements(
		HavePrefix("ControllerRevision/shop-"),
		"NetworkPolicy/shop-allow-dns", "NetworkPolicy/shop-allow-ingress-controller", "NetworkPolicy/shop-default-deny",
	), "what Argo CD shows below the baseline")
	before := s.versions()
	for range 3 {
		s.syncs(manifests)
	}
	s.Expect(s.versions()).To(Equal(before))

	t.Log("what somebody does to a generated policy is the operator's matter, and no news to Argo CD")
	s.Expect(here.client.Delete(t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop-allow-dns"}})).To(Succeed())
	s.Eventually(func() map[string]string { return s.versions() }).Should(And(HaveKey("shop-allow-dns"), Not(Equal(before))))
	s.inSync(manifests)

	t.Log("what somebody does to the baseline is Argo CD's, and the operator follows")
	s.patch(`{"spec": {"mode": "Audit"}}`)
	for _, kind := range diffs {
		s.Eventually(func() ([]string, error) { return s.app.outOfSync(manifests, kind) }).Should(ConsistOf(HavePrefix("NetworkBaseline/shop\n")), kind)
	}
	s.syncs(manifests)
	s.awaits("Ready=True/InSync")
	s.inSync(manifests)

	t.Log("pruned, the application takes everything with it, and the deny, which allows nothing, goes first")
	gone := s.deletions("shop")
	s.syncs(nil)
	s.Expect(s.missing(s.object)).To(BeTrue())
	s.Expect(s.missing(workload)).To(BeTrue())
	var names [3]string
	for i := range names {
		s.Eventually(gone).Should(Receive(&names[i]))
	}
	s.Expect(names[0]).To(Equal("shop-default-deny"))
	s.Expect(names[1:]).To(ConsistOf("shop-allow-dns", "shop-allow-ingress-controller"))
	s.Eventually(func() bool { return s.missing(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}) }).Should(BeTrue())
}

// A baseline that cannot do what it says fails the sync before the next wave; one that waits for what comes later in the
// same sync does not.
func TestSyncOfTrouble(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, spec string
		trouble    func(*stage)
		health     health.HealthStatusCode
		fails      bool
		mend       func(*stage)
	}{
		{
			name: "quota", spec: plain,
			trouble: func(s *stage) { s.quota("quota", "1") },
			health:  health.HealthStatusDegraded, fails: true,
			mend: func(s *stage) {
				s.Expect(here.client.Delete(s.t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "quota", Name: "team-quota"}})).To(Succeed())
			},
		},
		{
			name: "too-early", spec: "{profile: {defaultDeny: {}, allowIngressController: {controllers: [Contour]}}}",
			health: health.HealthStatusProgressing,
			mend: func(s *stage) {
				s.Expect(here.standIn(s.t.Context(), "projectcontour", "app=envoy")).To(Succeed())
			},
		},
		{
			name: "audited", spec: "{mode: Audit, profile: {defaultDeny: {}, allowDNS: {}}}",
			health: health.HealthStatusSuspended,
			mend:   func(s *stage) { s.patch(`{"spec": {"mode": "Enforce"}}`) },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newAppStage(t, test.name)
			s.stage = *newStage(t, test.name, test.spec)
			s.namespace(test.name)
			if test.trouble != nil {
				test.trouble(&s.stage)
			}
			workload := find(t, folder(t, "testdata", "app"), "ConfigMap")
			workload.SetNamespace(test.name)
			manifests := []*unstructured.Unstructured{s.object.DeepCopy(), workload}

			result := s.start(manifests)
			s.Eventually(func() (health.HealthStatusCode, error) { return s.healthCode() }).Should(Equal(test.health))
			if test.fails {
				s.Eventually(result).Should(Receive(HaveField("Phase", common.OperationFailed)))
				s.Expect(s.missing(workload)).To(BeTrue(), "its wave is later")
				test.mend(&s.stage)
				s.Eventually(func() (health.HealthStatusCode, error) { return s.healthCode() }).Should(Equal(health.HealthStatusHealthy))
				s.syncs(manifests)
			} else {
				s.Consistently(result).WithTimeout(steady).ShouldNot(Receive())
				s.Expect(s.missing(workload)).To(BeTrue(), "its wave is later")
				test.mend(&s.stage)
				s.Eventually(result).Should(Receive(succeeded()))
			}
			s.Expect(s.missing(workload)).To(BeFalse())
		})
	}
}

// No sample differs for ever from what it was applied as, in whichever way Argo CD compares.
func TestSamplesSettle(t *testing.T) {
	s := newAppStage(t, "samples")
	var manifests []*unstructured.Unstructured
	for _, m := range folder(t, root, "config", "samples") {
		if m.GetKind() == "NetworkBaseline" {
			manifests = append(manifests, m)
		}
	}
	s.Expect(len(manifests)).To(BeNumerically(">", 20))
	s.syncs(manifests)
	s.inSync(manifests)

	t.Log("what a manifest leaves out is nobody's: docs/gitops.md says to write it")
	s.object = find(t, manifests, "NetworkBaseline").DeepCopy()
	s.patch(`{"spec": {"mode": "Audit"}}`)
	s.awaits("Ready=Unknown/Audit")
	s.inSync(manifests)
	s.syncs(nil)
}

// The engine here goes by the example's sync options, and the example's finalizer and project are what they must be.
func TestExampleApplication(t *testing.T) {
	g := NewWithT(t)
	application := parse(t, read(t, root, "config", "argocd", "application.yaml"))
	g.Expect(application.GetFinalizers()).To(Equal([]string{"resources-finalizer.argocd.argoproj.io/background"}))
	g.Expect(application.GetAnnotations()).To(HaveKeyWithValue("argocd.argoproj.io/compare-options", "ServerSideDiff=true"))
	g.Expect(syncOptions(t)).To(ConsistOf("PrunePropagationPolicy=background", "SkipDryRunOnMissingResource=true"))
	project := parse(t, read(t, root, "config", "argocd", "project.yaml"))
	named, _, _ := unstructured.NestedString(application.Object, "spec", "project")
	g.Expect(named).To(Equal(project.GetName()))
	allowed, _, _ := unstructured.NestedSlice(project.Object, "spec", "clusterResourceWhitelist")
	g.Expect(allowed).To(Equal([]any{map[string]any{"group": "netbaseline.io", "kind": "NetworkBaseline"}}))
}
