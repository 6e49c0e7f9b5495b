// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

func auditing(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }

// audited waits until the baseline says that it would do so much, and returns it.
func audited(b *v1alpha1.NetworkBaseline, want v1alpha1.AuditCounts) *v1alpha1.NetworkBaseline {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		now := get(b)
		g.Expect(conditionOf(now, "Ready")).To(Equal("Unknown/Audit"))
		g.Expect(now.Status.Audit).To(Equal(&want))
	}).Should(Succeed())
	return get(b)
}

var _ = Describe("audit", func() {
	It("writes and removes nothing, and counts what enforcing would create", func() {
		o := startOperator()
		events := recordPolicies("")
		b := create(baseline(auditing))
		first := governed(b)
		governed(b)
		now := audited(b, v1alpha1.AuditCounts{Namespaces: 2, Create: 6})
		Expect(now.Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, Pending: 2}))
		Expect(messageOf(b, "Ready")).To(Equal("nothing of the baseline is in force; mode Enforce would create 6, change 0 and remove 0 policies in 2 namespaces"))
		Expect(conditionOf(now, "Reconciling")).To(BeEmpty(), "there is nothing to wait for")

		label(first, selectedBy, "")
		audited(b, v1alpha1.AuditCounts{Namespaces: 1, Create: 3})
		remove(b)
		Expect(events.lines()).To(BeEmpty())
		Expect(o.requests.writes("networkpolicies")).To(BeEmpty())
	})

	It("counts per create, change and removal, from what an enforced baseline left in place", func() {
		startOperator()
		b := create(baseline())
		same, changed := governed(b), governed(b)
		inSync(b, 2)
		edit(b, func() { auditing(b) })
		now := audited(b, v1alpha1.AuditCounts{})
		Expect(now.Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, InSync: 2}))
		Expect(now.Status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 6, InSync: 6}))

		events := recordPolicies("")
		tamper(changed, b.Name+"-default-deny", openEgress)
		audited(b, v1alpha1.AuditCounts{Namespaces: 1, Change: 1})
		edit(b, func() {
			b.Spec.Profile.AllowIngressController = nil
			b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{}
		})
		audited(b, v1alpha1.AuditCounts{Namespaces: 2, Create: 4, Change: 1, Remove: 2})
		Expect(events.lines()).To(Equal([]string{"MODIFIED " + b.Name + "-default-deny"}), "the intruder's")

		By("enforcing it again, which does just that")
		edit(b, func() { b.Spec.Mode = "Enforce" })
		now = inSync(b, 2)
		Expect(now.Status.Audit).To(BeNil())
		for _, namespace := range []string{same, changed} {
			holds(namespace, map[string]networkingv1.NetworkPolicySpec{
				b.Name + "-default-deny":                 denySpec(),
				b.Name + "-allow-dns":                    dnsSpec(),
				b.Name + "-allow-same-namespace-ingress": sameNamespaceSpec("Ingress"),
				b.Name + "-allow-same-namespace-egress":  sameNamespaceSpec("Egress"),
			})
		}
	})

	It("leaves what is there when it comes after Enforce: nothing is repaired, and nothing removed", func() {
		o := startOperator()
		b := create(baseline())
		tampered, deleted, deselected := governed(b), governed(b), governed(b)
		inSync(b, 3)
		edit(b, func() { auditing(b) })
		audited(b, v1alpha1.AuditCounts{})
		o.requests.forget()
		tamper(tampered, b.Name+"-allow-dns", openEgress)
		Expect(k8s.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: deleted, Name: b.Name + "-allow-dns"}})).To(Succeed())
		label(deselected, selectedBy, "")
		audited(b, v1alpha1.AuditCounts{Namespaces: 2, Create: 1, Change: 1})
		holdsStill(tampered, deleted, deselected)
		Expect(specs(tampered)[b.Name+"-allow-dns"].Egress).To(Equal([]networkingv1.NetworkPolicyEgressRule{{}}))
		Expect(policyNames(deleted)).To(HaveLen(2))
		Expect(specs(deselected)).To(Equal(plainSpecs(b.Name)))

		By("an operator that starts into it, and remembers nothing")
		o.stop()
		o = startOperator()
		audited(b, v1alpha1.AuditCounts{Namespaces: 2, Create: 1, Change: 1})
		holdsStill(tampered, deleted, deselected)
		Expect(o.requests.writes("networkpolicies")).To(BeEmpty())

		By("enforcing it again, which takes the policies from the namespace that it does not select any more")
		edit(b, func() { b.Spec.Mode = "Enforce" })
		holdsPlain(tampered, b)
		holdsPlain(deleted, b)
		holds(deselected, nothing)
		inSync(b, 2)
	})

	It("keeps the allow of another baseline, which relies on the deny that it left", func() {
		o := startOperator()
		b := create(baseline())
		namespace := governed(b)
		other, want := relyingOn(b, namespace)
		events := recordPolicies(namespace)
		edit(b, func() { auditing(b) })
		audited(b, v1alpha1.AuditCounts{})
		inSync(other, 1)
		o.stop()
		startOperator()
		audited(b, v1alpha1.AuditCounts{})
		Consistently(events.lines).Should(BeEmpty())
		Expect(specs(namespace)).To(Equal(want))
	})

	It("relies in the same way on a deny that a deleted baseline retains", func() {
		startOperator()
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) { b.Spec.DeletionPolicy = "Retain" }))
		namespace := governed(b)
		other, want := relyingOn(b, namespace)
		events := recordPolicies(namespace)
		remove(b)
		inSync(other, 1)
		Consistently(events.lines).Should(And(HaveLen(3), HaveEach(HavePrefix("MODIFIED "+b.Name))), "the owners are taken off")
		Expect(specs(namespace)).To(Equal(want))
	})

	It("counts what enforcing would add for another baseline's allow on that baseline", func() {
		startOperator()
		b := baseline(auditing)
		allow := create(baseline(func(other *v1alpha1.NetworkBaseline) {
			other.Spec.NamespaceSelector = b.Spec.NamespaceSelector
			other.Spec.Profile = v1alpha1.Profile{AllowSameNamespace: &v1alpha1.AllowSameNamespace{Directions: []v1alpha1.Direction{"Ingress"}}}
		}))
		create(b)
		namespace := governed(b)
		inSync(allow, 1)
		audited(b, v1alpha1.AuditCounts{Namespaces: 1, Create: 4})
		Expect(policies(namespace)).To(BeEmpty())
	})

	It("shows preflight findings, conflicts and what foreign policies undo", func() {
		startOperator()
		b := create(baseline(auditing, ingressControllers("Contour"), func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile.BlockMetadata = &v1alpha1.BlockMetadata{}
		}))
		namespace := newNamespace(nil)
		theirs := foreign(namespace, b.Name+"-allow-dns", nil)
		opened := foreign(namespace, "open", nil)
		edit(opened, func() {
			opened.Spec = networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Egress"}, Egress: []networkingv1.NetworkPolicyEgressRule{{}}}
		})
		label(namespace, selectedBy, b.Name)
		now := audited(b, v1alpha1.AuditCounts{Namespaces: 1, Create: 3})
		Expect(now.Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 1, Pending: 1}))
		Eventually(func(g Gomega) {
			now = get(b)
			g.Expect(conditionOf(now, "Preflight")).To(Equal("False/NotFound"))
			g.Expect(conditionOf(now, "Effective")).To(Equal("False/MetadataReopened"))
			g.Expect(now.Status.Problems).To(ConsistOf(
				HaveField("Reason", "NotFound"),
				And(HaveField("Reason", "NameTaken"), HaveField("Policy", theirs.Name)),
				And(HaveField("Reason", "MetadataReopened"), HaveField("Policy", "open")),
				And(HaveField("Reason", "OpenToEveryone"), HaveField("Policy", "open")),
			))
		}).Should(Succeed())
		untouched(theirs)
		Expect(policyNames(namespace)).To(Equal([]string{theirs.Name, "open"}))
	})

	It("becomes Enforce in the order that leaves no gap", func() {
		startOperator()
		b := create(baseline(auditing))
		namespace := governed(b)
		audited(b, v1alpha1.AuditCounts{Namespaces: 1, Create: 3})
		events := recordPolicies(namespace)
		edit(b, func() { b.Spec.Mode = "Enforce" })
		holdsPlain(namespace, b)
		inSync(b, 1)
		Expect(events.lines()).To(Equal([]string{
			"ADDED " + b.Name + "-default-deny", "ADDED " + b.Name + "-allow-dns", "ADDED " + b.Name + "-allow-ingress-controller", "MODIFIED " + b.Name + "-default-deny",
		}))
	})
})

// relyingOn creates a baseline that allows in the namespace what the deny of another denies, and waits until the
// namespace holds the policies of both, which it returns.
func relyingOn(b *v1alpha1.NetworkBaseline, namespace string) (other *v1alpha1.NetworkBaseline, want map[string]networkingv1.NetworkPolicySpec) {
	GinkgoHelper()
	other = create(baseline(func(other *v1alpha1.NetworkBaseline) {
		other.Spec.NamespaceSelector = b.Spec.NamespaceSelector
		other.Spec.Profile = v1alpha1.Profile{AllowSameNamespace: &v1alpha1.AllowSameNamespace{Directions: []v1alpha1.Direction{"Ingress"}}}
	}))
	want = plainSpecs(b.Name)
	want[other.Name+"-allow-same-namespace-ingress"] = sameNamespaceSpec("Ingress")
	holds(namespace, want)
	inSync(b, 1)
	inSync(other, 1)
	return other, want
}
