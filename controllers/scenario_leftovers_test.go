// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// What a baseline leaves behind, in mode Audit or with deletionPolicy Retain, and several baselines in one namespace.
var _ = Describe("scenarios of leftovers", func() {
	blocking := profile(v1alpha1.Profile{BlockMetadata: &v1alpha1.BlockMetadata{}})
	retaining := func(b *v1alpha1.NetworkBaseline) { b.Spec.DeletionPolicy = "Retain" }
	web, other := map[string]string{"app": "web"}, map[string]string{"app": "other"}
	webPods := &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": "web"}}

	DescribeTable("D1: renders a metadata block beside one that nobody maintains", func(leave func(*v1alpha1.NetworkBaseline)) {
		startOperator()
		b := create(baseline(blocking, retaining))
		namespace := governed(b)
		inSync(b, 1)
		block := specs(namespace)
		Expect(block).To(HaveLen(1))
		leave(b)
		Expect(specs(namespace)).To(Equal(block))

		second := create(baseline(alongside(b), blocking))
		inSync(second, 1)
		block[second.Name+"-block-metadata"] = block[b.Name+"-block-metadata"]
		holds(namespace, block)
		Expect(reachable(namespace, nil, metadataAddress)).To(BeFalse())
		Expect(reachable(namespace, nil, publicAddress)).To(BeTrue())
		eventually(second, "Effective", "True/Effective")
		holdsStill(namespace)

		By("the old block going")
		deletePolicy(namespace, b.Name+"-block-metadata")
		Consistently(func() bool { return reachable(namespace, nil, metadataAddress) }).Should(BeFalse())
	},
		Entry("D1: in mode Audit", func(b *v1alpha1.NetworkBaseline) {
			edit(b, func() { auditing(b) })
			eventually(b, "Ready", "Unknown/Audit")
		}),
		Entry("D1: retained", remove),
	)

	It("D2: judges the policies of a baseline in mode Audit for their effect", func() {
		startOperator()
		b := create(baseline(everywhere))
		namespace := governed(b)
		inSync(b, 1)
		edit(b, func() { auditing(b) })
		eventually(b, "Ready", "Unknown/Audit")

		second := create(baseline(alongside(b), blocking))
		inSync(second, 1)
		Expect(reachable(namespace, nil, metadataAddress)).To(BeTrue(), "the flow is left as it is")
		eventually(second, "Effective", "False/MetadataReopened")
		Expect(problemsOf(second, "MetadataReopened")).To(ContainElement(And(HaveField("Namespace", namespace), HaveField("Policy", everywhereFlow(b)))))
		holdsStill(namespace)

		deletePolicy(namespace, everywhereFlow(b))
		eventually(second, "Effective", "True/Effective")
		holdsStill(namespace)
	})

	// effectIsTrue waits until Effective says of the metadata address what the live policies say.
	effectIsTrue := func(b *v1alpha1.NetworkBaseline, namespace, holder string) {
		GinkgoHelper()
		isTrue := func(g Gomega) {
			if !reachable(namespace, nil, metadataAddress) {
				g.Expect(condition(b, "Effective")).To(Equal("True/Effective"))
				return
			}
			g.Expect(condition(b, "Effective")).To(Equal("False/MetadataReopened"))
			g.Expect(problemsOf(b, "MetadataReopened")).To(ContainElement(And(HaveField("Namespace", namespace), HaveField("Policy", holder))))
		}
		Eventually(isTrue).Should(Succeed())
		Consistently(isTrue).Should(Succeed())
	}

	It("D2: judges a policy for its effect that a finalizer holds in deletion", func() {
		startOperator()
		b := create(baseline(everywhere))
		namespace := governed(b)
		inSync(b, 1)
		held := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: everywhereFlow(b)}}
		edit(held, func() { held.Finalizers = []string{"example.com/hold"} })
		DeferCleanup(func() { edit(held, func() { held.Finalizers = nil }) })
		edit(b, func() { b.Spec.Flows = nil })
		Eventually(func() *metav1.Time { return new(policies(namespace)[held.Name]).DeletionTimestamp }).ShouldNot(BeNil())

		second := create(baseline(alongside(b), blocking))
		Eventually(func() string { return condition(second, "Effective") }).ShouldNot(BeEmpty())
		effectIsTrue(second, namespace, held.Name)
		holdsStill(namespace)

		edit(held, func() { held.Finalizers = nil })
		eventually(second, "Effective", "True/Effective")
		inSync(b, 1)
		inSync(second, 1)
		holdsStill(namespace)
	})

	It("D2: judges a policy for its effect that is to be retained, while the write that releases it is refused", func() {
		i := interfere()
		startOperator()
		b := create(baseline(everywhere, retaining))
		namespace := governed(b)
		inSync(b, 1)
		rule := i.refuse(func(r *http.Request) bool { return r.Method == http.MethodPut && writesTo(namespace)(r) },
			http.StatusForbidden, metav1.StatusReasonForbidden, "the scenario refuses to release a policy")
		Expect(k8s.Delete(ctx, b)).To(Succeed())
		rule.hit()

		second := create(baseline(alongside(b), blocking))
		Eventually(func() string { return condition(second, "Effective") }).ShouldNot(BeEmpty())
		effectIsTrue(second, namespace, everywhereFlow(b))

		rule.lift()
		Eventually(func() bool {
			return apierrors.IsNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(b), &v1alpha1.NetworkBaseline{}))
		}).WithTimeout(backoffPatience).Should(BeTrue(), "released, the baseline goes")
		effectIsTrue(second, namespace, everywhereFlow(b))
		holdsStill(namespace)
	})

	It("D3: holds the deletion with Retain of a baseline that consists of cuts in another's policies, until it is Delete", func() {
		prometheus()
		startOperator()
		denies, platform := cutting(retaining)
		// Should the spec fail, the baseline has to go all the same.
		DeferCleanup(func() { edit(platform, func() { platform.Spec.DeletionPolicy = "Delete" }) })
		namespace := governed(denies)
		inSync(denies, 1)
		inSync(platform, 1)
		Expect(reachable(namespace, nil, metadataAddress)).To(BeFalse())
		events := recordPolicies(namespace)

		Expect(k8s.Delete(ctx, platform)).To(Succeed())
		Consistently(events.lines, quietFor).Should(BeEmpty(), "the cuts stay")
		Expect(hasFinalizer(platform)).To(BeTrue())
		Eventually(func() string {
			return meta.FindStatusCondition(get(platform).Status.Conditions, "Ready").Message
		}).Should(ContainSubstring("deletionPolicy"))
		Expect(readyAtAll(platform)).NotTo(Equal("True"))

		By("repairing them meanwhile")
		want := specs(namespace)
		deletePolicy(namespace, everywhereFlow(denies))
		holds(namespace, want)
		holdsStill(namespace)

		By("following deletionPolicy Delete")
		edit(platform, func() { platform.Spec.DeletionPolicy = "Delete" })
		gone(platform)
		Eventually(func() bool { return reachable(namespace, nil, metadataAddress) }).Should(BeTrue())
		inSync(denies, 1)
		holdsStill(namespace)
	})

	It("D4: limits the ranges of a block with a podSelector to its pods, beside a block for all pods", func() {
		const additional = "10.1.2.3"
		startOperator()
		b := create(baseline(profile(v1alpha1.Profile{BlockMetadata: &v1alpha1.BlockMetadata{PodSelector: webPods, AdditionalCIDRs: []v1alpha1.CIDR{"10.0.0.0/8"}}})))
		all := create(baseline(alongside(b), blocking))
		namespace := governed(b)
		inSync(b, 1)
		inSync(all, 1)
		verdicts := func() map[string]bool {
			return map[string]bool{
				"web to the additional range":   reachable(namespace, web, additional),
				"other to the additional range": reachable(namespace, other, additional),
				"web to metadata":               reachable(namespace, web, metadataAddress),
				"other to metadata":             reachable(namespace, other, metadataAddress),
				"web to elsewhere":              reachable(namespace, web, publicAddress),
				"other to elsewhere":            reachable(namespace, other, publicAddress),
			}
		}
		want := map[string]bool{
			"web to the additional range": false, "other to the additional range": true, "web to metadata": false, "other to metadata": false,
			"web to elsewhere": true, "other to elsewhere": true,
		}
		Eventually(verdicts).Should(Equal(want))
		for _, baselineOf := range []*v1alpha1.NetworkBaseline{b, all} {
			inSync(baselineOf, 1)
			eventually(baselineOf, "Effective", "True/Effective")
		}
		holdsStill(namespace)
		Expect(verdicts()).To(Equal(want))
	})

	It("D4: cuts only what the pods of a block get out of a flow for all pods", func() {
		startOperator()
		denies := create(baseline(everywhere))
		block := create(baseline(alongside(denies), profile(v1alpha1.Profile{BlockMetadata: &v1alpha1.BlockMetadata{PodSelector: webPods}})))
		namespace := governed(denies)
		inSync(denies, 1)
		inSync(block, 1)
		verdicts := func() map[string]bool {
			return map[string]bool{
				"web to metadata":    reachable(namespace, web, metadataAddress),
				"other to metadata":  reachable(namespace, other, metadataAddress),
				"web to elsewhere":   reachable(namespace, web, publicAddress),
				"other to elsewhere": reachable(namespace, other, publicAddress),
			}
		}
		want := map[string]bool{"web to metadata": false, "other to metadata": true, "web to elsewhere": true, "other to elsewhere": true}
		Eventually(verdicts).Should(Equal(want))
		inSync(denies, 1)
		inSync(block, 1)
		eventually(block, "Effective", "True/Effective")
		holdsStill(namespace)

		By("repairing each of them")
		all := specs(namespace)
		for name := range all {
			tamper(namespace, name, openEgress)
			holds(namespace, all)
		}
		Expect(verdicts()).To(Equal(want))
		holdsStill(namespace)

		By("the block going")
		remove(block)
		Eventually(verdicts).Should(HaveKeyWithValue("web to metadata", true))
		inSync(denies, 1)
		holdsStill(namespace)
	})

	It("D5: does not report a foreign policy that equals an exemption", func() {
		startOperator()
		b := create(baseline(profile(v1alpha1.Profile{
			DefaultDeny: &v1alpha1.DefaultDeny{Directions: []v1alpha1.Direction{"Egress"}},
			BlockMetadata: &v1alpha1.BlockMetadata{
				Exemptions: []v1alpha1.MetadataExemption{{PodSelector: *webPods, CIDR: "169.254.170.23/32", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(80)}}}},
			},
		})))
		namespace := governed(b)
		inSync(b, 1)
		const rest = "policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.170.23/32}}], ports: [{protocol: TCP, port: 80}]}]}"
		equal := theirPolicy(namespace, "equal", "{podSelector: {matchLabels: {app: web}}, "+rest)
		wider := theirPolicy(namespace, "wider", "{podSelector: {}, "+rest)
		// The one that opens it to more pods shows that both were judged.
		Eventually(func() map[string]string { return undone(b, namespace) }).Should(HaveKey(wider.Name))
		Consistently(func() map[string]string { return undone(b, namespace) }).Should(And(HaveKey(wider.Name), Not(HaveKey(equal.Name))))
		Expect(k8s.Delete(ctx, wider)).To(Succeed())
		eventually(b, "Effective", "True/Effective")
		Consistently(func() map[string]string { return undone(b, namespace) }).Should(BeEmpty())
		holdsStill(namespace)
	})

	It("D6: reports how many policies stay in force, unrepaired, after mode Enforce becomes Audit", func() {
		o := startOperator()
		b := create(baseline())
		first, second := governed(b), governed(b)
		inSync(b, 2)
		edit(b, func() { auditing(b) })
		eventually(b, "Ready", "Unknown/Audit")
		inForce := And(ContainSubstring("6 policies"), ContainSubstring("in force"), Not(ContainSubstring("nothing is enforced")))
		Eventually(func() string { return messageOf(b, "Ready") }).Should(inForce)
		tamper(first, b.Name+"-allow-dns", openEgress)
		holdsStill(first, second)

		By("an operator that starts into it")
		o.stop()
		startOperator()
		eventually(b, "Ready", "Unknown/Audit")
		Eventually(func() string { return messageOf(b, "Ready") }).Should(inForce)
		holdsStill(first, second)
	})

	It("D6: keeps the cuts that a baseline in mode Audit had in the policies of another", func() {
		prometheus()
		o := startOperator()
		denies, platform := cutting()
		namespace := governed(denies)
		inSync(denies, 1)
		inSync(platform, 1)
		want := specs(namespace)
		Expect(reachable(namespace, nil, metadataAddress)).To(BeFalse())
		events := recordPolicies(namespace)
		edit(platform, func() { auditing(platform) })
		eventually(platform, "Ready", "Unknown/Audit")
		Consistently(events.lines, quietFor).Should(BeEmpty())

		By("an operator that starts into it, and repairs the policy of the other")
		o.stop()
		startOperator()
		inSync(denies, 1)
		deletePolicy(namespace, everywhereFlow(denies))
		holds(namespace, want)
		holdsStill(namespace)
	})
})
