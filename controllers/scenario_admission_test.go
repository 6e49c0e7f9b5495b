// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Guarantee 2: a preflight admits a revision. What was admitted stays in force, whatever fails or restarts later.
var _ = Describe("scenarios of admission", func() {
	cutEverywhere := func(b *v1alpha1.NetworkBaseline, namespaces []string) map[string]map[string]networkingv1.NetworkPolicySpec {
		GinkgoHelper()
		out := map[string]map[string]networkingv1.NetworkPolicySpec{}
		for _, namespace := range namespaces {
			Expect(policyNames(namespace)).To(Equal([]string{b.Name + "-default-deny", everywhereFlow(b)}))
			Expect(reachable(namespace, nil, publicAddress)).To(BeTrue())
			Expect(reachable(namespace, nil, metadataAddress)).To(BeFalse())
			out[namespace] = specs(namespace)
		}
		return out
	}

	It("A1: keeps the cuts of a baseline that renders nothing itself, when its preflight fails after a restart", func() {
		remove := prometheus()
		o := startOperator()
		denies, platform := cutting()
		namespaces := []string{governed(denies), governed(denies)}
		inSync(denies, 2)
		inSync(platform, 2)
		want := cutEverywhere(denies, namespaces)
		o.stop()
		remove()
		events := recordPolicies("")

		o = startOperator()
		eventually(platform, "Preflight", "False/NotFound")
		Consistently(events.lines, quietFor).Should(BeEmpty(), "the cuts of platform stay")
		Expect(o.requests.writes("networkpolicies")).To(BeEmpty())

		By("repairing them")
		for _, namespace := range namespaces {
			tamper(namespace, everywhereFlow(denies), func(p *networkingv1.NetworkPolicy) { p.Spec.Egress[0].To[0].IPBlock.Except = nil })
			holds(namespace, want[namespace])
			deletePolicy(namespace, everywhereFlow(denies))
			holds(namespace, want[namespace])
		}
		holdsStill(namespaces...)
		Expect(condition(platform, "Preflight")).To(Equal("False/NotFound"))
	})

	DescribeTable("A1: writes nothing at a start at which a list is slow", func(slow string) {
		prometheus()
		i := interfere()
		o := startOperator()
		denies, platform := cutting()
		var namespaces []string
		for range 10 {
			namespaces = append(namespaces, governed(denies))
		}
		inSync(denies, len(namespaces))
		inSync(platform, len(namespaces))
		want := cutEverywhere(denies, namespaces)
		o.stop()
		events := recordPolicies("")

		held := i.hold(reads(slow))
		o = startOperator()
		held.hit()
		Consistently(events.lines, quietFor).Should(BeEmpty(), "while the list is slow")
		held.lift()
		Consistently(events.lines, quietFor).Should(BeEmpty(), "after the list")
		Expect(o.requests.writes("networkpolicies")).To(BeEmpty())
		Expect(cutEverywhere(denies, namespaces)).To(Equal(want))
		inSync(denies, len(namespaces))
		inSync(platform, len(namespaces))
	},
		Entry("A1: of pods", "pods"),
		Entry("A1: of CustomResourceDefinitions", "customresourcedefinitions"),
	)

	It("A2: restores the only policy of a baseline whose preflight fails later", func() {
		remove := prometheus()
		o := startOperator()
		b := create(baseline(profile(v1alpha1.Profile{
			BlockMetadata:   &v1alpha1.BlockMetadata{},
			AllowMonitoring: &v1alpha1.AllowMonitoring{Stacks: []v1alpha1.MonitoringStack{"Prometheus"}},
		})))
		namespace := governed(b)
		inSync(b, 1)
		want := specs(namespace)
		Expect(want).To(And(HaveLen(1), HaveKey(b.Name+"-block-metadata")))
		o.stop()
		remove()
		startOperator()
		eventually(b, "Preflight", "False/NotFound")

		deletePolicy(namespace, b.Name+"-block-metadata")
		holds(namespace, want)
		holdsStill(namespace)
		repairs(b, 1, v1alpha1.Repair{Namespace: namespace, Policy: b.Name + "-block-metadata", Action: "Deleted"})
		Expect(condition(b, "Preflight")).To(Equal("False/NotFound"), "the preflight still fails")
	})

	It("A2: restores what was deleted while the operator was down and the preflight fails", func() {
		o := startOperator()
		b := create(dnsBaseline())
		some, all := governed(b), governed(b)
		inSync(b, 2)
		want := specs(some)
		o.stop()
		withoutDNS()
		deletePolicy(some, b.Name+"-allow-dns")
		deleteAll(all)
		startOperator()
		eventually(b, "Preflight", "False/NotFound")
		holds(some, want)
		holds(all, want)
		holdsStill(some, all)
		Expect(condition(b, "Preflight")).To(Equal("False/NotFound"), "the preflight still fails")
	})

	It("A2: keeps the admitted revision in force and repairs it while a new one fails its preflight, across a restart", func() {
		o := startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		events := recordPolicies(namespace)
		edit(b, func() {
			b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{}
			ingressControllers("Contour")(b)
		})
		eventually(b, "Preflight", "False/NotFound")
		Consistently(events.lines, quietFor).Should(BeEmpty(), "the new revision is not admitted")
		eventually(b, "Ready", "False/PreflightFailed")

		By("repairing, before and after a restart")
		tamper(namespace, b.Name+"-default-deny", openEgress)
		holdsPlain(namespace, b)
		deletePolicy(namespace, b.Name+"-allow-dns")
		holdsPlain(namespace, b)
		o.stop()
		deleteAll(namespace)
		startOperator()
		holdsPlain(namespace, b)
		holdsStill(namespace)
		Expect(condition(b, "Preflight")).To(Equal("False/NotFound"))

		By("going on when what it misses appears")
		namespaceNamed("projectcontour", nil)
		newPod("projectcontour", unique("envoy"), map[string]string{"app": "envoy"})
		inSync(b, 1)
		Expect(policyNames(namespace)).To(HaveLen(5))
		holdsStill(namespace)
	})

	It("A2: names in status the revision that is in force and the one that is not admitted, and keeps both across a restart", func() {
		o := startOperator()
		b := create(baseline())
		governed(b)
		inSync(b, 1)
		admitted := rolledOut(b)
		edit(b, func() { ingressControllers("Contour")(b) })
		eventually(b, "Preflight", "False/NotFound")
		updated := get(b).Status.UpdateRevision
		Expect(updated).NotTo(Or(BeEmpty(), Equal(admitted)))
		unchanged := func(g Gomega) {
			now := get(b).Status
			g.Expect([]string{now.CurrentRevision, now.UpdateRevision}).To(Equal([]string{admitted, updated}))
			g.Expect(now.Rollout).To(BeNil(), "it begins with the admission")
			g.Expect(revisionNames()).To(ContainElements(admitted, updated))
		}
		Consistently(unchanged).Should(Succeed())
		o.stop()
		startOperator()
		Consistently(unchanged, quietFor).Should(Succeed())

		By("a spec that is as it was before, which is admitted already")
		edit(b, func() { ingressControllers("IngressNginx")(b) })
		inSync(b, 1)
		Expect(rolledOut(b)).To(Equal(admitted))

		By("a field that acts at once, which makes no revision")
		edit(b, func() { b.Spec.ExcludedNamespaces = []v1alpha1.NamespaceName{"elsewhere"} })
		inSync(b, 1)
		Expect(rolledOut(b)).To(Equal(admitted))
	})

	It("A2: applies the fields that act at once, while a new revision fails its preflight", func() {
		startOperator()
		b := create(baseline())
		first, second := governed(b), governed(b)
		inSync(b, 2)
		edit(b, func() { ingressControllers("Contour")(b) })
		eventually(b, "Preflight", "False/NotFound")
		Consistently(func() map[string]networkingv1.NetworkPolicySpec { return specs(first) }).Should(Equal(plainSpecs(b.Name)))
		edit(b, func() { b.Spec.ExcludedNamespaces = []v1alpha1.NamespaceName{v1alpha1.NamespaceName(first)} })
		holds(first, nothing)
		Expect(specs(second)).To(Equal(plainSpecs(b.Name)))
		edit(b, func() { b.Spec.Preflight = "Warn" })
		Eventually(func() []networkingv1.NetworkPolicyIngressRule {
			return specs(second)[b.Name+"-allow-ingress-controller"].Ingress
		}).ShouldNot(Equal([]networkingv1.NetworkPolicyIngressRule{nginxRule()}), "Warn proceeds with the new revision")
		holdsStill(first, second)
	})

	It("A3: lets no deny into a namespace before another baseline that selects it is admitted, and names that baseline", func() {
		startOperator()
		deny := create(baseline(profile(v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{}})))
		enforced := governed(deny)
		inSync(deny, 1)
		bare := map[string]networkingv1.NetworkPolicySpec{deny.Name + "-default-deny": denySpec()}
		Expect(specs(enforced)).To(Equal(bare))
		allow := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.NamespaceSelector = v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"also": v1alpha1.LabelValue(b.Name)}}
			b.Spec.Profile = v1alpha1.Profile{
				AllowDNS:               &v1alpha1.AllowDNS{},
				AllowIngressController: &v1alpha1.AllowIngressController{Controllers: []v1alpha1.IngressController{"Contour"}},
			}
		}))
		eventually(allow, "Preflight", "False/NotFound")

		fresh := newNamespace(map[string]string{selectedBy: deny.Name, "also": allow.Name})
		eventually(allow, "Ready", "False/PreflightFailed")
		Eventually(func(g Gomega) {
			now := get(deny)
			g.Expect(now.Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, InSync: 1, Waiting: 1}))
			g.Expect(conditionOf(now, "Ready")).To(Equal("Unknown/WaitingForBaseline"))
		}).Should(Succeed())
		Expect(messageOf(deny, "Ready")).To(ContainSubstring(allow.Name))
		Consistently(func() []string { return policyNames(fresh) }, quietFor).Should(BeEmpty())

		By("never taking away what is enforced already")
		label(enforced, "also", allow.Name)
		Eventually(func() int32 { return get(allow).Status.Namespaces.Selected }).Should(BeEquivalentTo(2))
		tamper(enforced, deny.Name+"-default-deny", openEgress)
		holds(enforced, bare)
		deletePolicy(enforced, deny.Name+"-default-deny")
		holds(enforced, bare)
		holdsStill(enforced)
		Expect(policies(fresh)).To(BeEmpty())

		By("going on when the other baseline is admitted")
		events := recordPolicies(fresh)
		namespaceNamed("projectcontour", nil)
		newPod("projectcontour", unique("envoy"), map[string]string{"app": "envoy"})
		inSync(allow, 2)
		inSync(deny, 2)
		Expect(policyNames(fresh)).To(ConsistOf(allow.Name+"-allow-dns", allow.Name+"-allow-ingress-controller", deny.Name+"-default-deny"))
		first := events.all()[0].Object
		Expect(first.Name).To(Equal(deny.Name + "-default-deny"))
		Expect(first.Spec.Egress).To(ContainElement(dnsRule()), "it carries the allows of the other baseline")
		holdsStill(enforced, fresh)
	})

	It("A4: admits a revision first where the namespace holds only a metadata block", func() {
		startOperator()
		b := create(baseline(profile(v1alpha1.Profile{BlockMetadata: &v1alpha1.BlockMetadata{}})))
		namespace := governed(b)
		inSync(b, 1)
		withoutDNS()
		events := recordPolicies(namespace)
		edit(b, func() {
			b.Spec.Profile.DefaultDeny = &v1alpha1.DefaultDeny{}
			b.Spec.Profile.AllowDNS = &v1alpha1.AllowDNS{}
		})
		eventually(b, "Preflight", "False/NotFound")
		Consistently(events.lines, quietFor).Should(BeEmpty(), "the deny is not admitted")
		Expect(condition(b, "Ready")).To(Equal("False/PreflightFailed"))
		Expect(policyNames(namespace)).To(Equal([]string{b.Name + "-block-metadata"}))
		Expect(reachable(namespace, nil, metadataAddress)).To(BeFalse())

		newPod("kube-system", unique("late"), map[string]string{"k8s-app": "kube-dns"})
		inSync(b, 1)
		Expect(policyNames(namespace)).To(Equal([]string{b.Name + "-allow-dns", b.Name + "-default-deny"}))
		holdsStill(namespace)
	})

	failures := []TableEntry{
		Entry("A5: forbidden", int32(http.StatusForbidden), metav1.StatusReasonForbidden, `pods is forbidden: User "`+operatorName+`" cannot list resource "pods"`),
		Entry("A5: timed out", int32(http.StatusGatewayTimeout), metav1.StatusReasonTimeout, "the pods were not listed in time"),
	}

	DescribeTable("A5: writes the status of a baseline whose preflight cannot be made", func(code int32, reason metav1.StatusReason, message string) {
		i := interfere()
		rule := i.refuse(reads("pods"), code, reason, message)
		startOperator()
		b := create(baseline())
		namespace := governed(b)
		unchecked := func() {
			GinkgoHelper()
			eventually(b, "Preflight", "Unknown/CheckFailed")
			Expect(messageOf(b, "Preflight")).To(ContainSubstring(message))
			Expect(condition(b, "Ready")).NotTo(Or(BeEmpty(), HavePrefix("True")))
			Expect(get(b).Status.Namespaces.Selected).To(BeEquivalentTo(1))
		}
		unchecked()
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		unchecked()
		Expect(policies(namespace)).To(BeEmpty())

		rule.lift()
		inSync(b, 1)
		Expect(condition(b, "Preflight")).To(Equal("True/Found"))
		Expect(policyNames(namespace)).To(HaveLen(5))
		holdsStill(namespace)
	}, failures)

	DescribeTable("A5: writes the status of an admitted baseline whose preflight cannot be made after a restart", func(code int32, reason metav1.StatusReason, message string) {
		i := interfere()
		o := startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		o.stop()
		rule := i.refuse(reads("pods"), code, reason, message)
		startOperator()
		second := governed(b)
		eventually(b, "Preflight", "Unknown/CheckFailed")
		Expect(messageOf(b, "Preflight")).To(ContainSubstring(message))
		Eventually(func() int32 { return get(b).Status.Namespaces.Selected }).Should(BeEquivalentTo(2))
		tamper(namespace, b.Name+"-default-deny", openEgress)
		holdsPlain(namespace, b)
		Consistently(func(g Gomega) {
			if readyAtAll(b) == "True" {
				g.Expect(policyNames(second)).To(HaveLen(3), "Ready although a namespace holds nothing")
			}
		}, quietFor).Should(Succeed())

		By("following an edit, which is not admitted")
		events := recordPolicies(namespace)
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		eventually(b, "Preflight", "Unknown/CheckFailed")
		neverReady(b)
		Expect(events.lines()).To(BeEmpty(), "the admitted revision stays in force")

		rule.lift()
		inSync(b, 2)
		for _, ns := range []string{namespace, second} {
			Expect(policyNames(ns)).To(HaveLen(5), fmt.Sprintf("namespace %s", ns))
		}
		holdsStill(namespace, second)
	}, failures)
})
