// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// foreign creates a policy of somebody else, with these labels.
func foreign(namespace, name string, labels map[string]string) *networkingv1.NetworkPolicy {
	GinkgoHelper()
	p := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "theirs"}},
			PolicyTypes: []networkingv1.PolicyType{"Ingress"},
		},
	}
	Expect(k8s.Create(ctx, p)).To(Succeed())
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
	return p
}

// untouched says that a policy is to the byte what it was.
func untouched(p *networkingv1.NetworkPolicy) {
	GinkgoHelper()
	Expect(policies(p.Namespace)[p.Name]).To(Equal(*p))
}

// Guarantee 4: the operator changes and deletes nothing that is not its own.
var _ = Describe("ownership", func() {
	var b *v1alpha1.NetworkBaseline
	BeforeEach(func() { b = baseline() })

	const conflict = "a NetworkPolicy of this name exists that netbaseline did not create, and is left alone: rename or delete it"

	It("leaves a foreign policy with the name of an allow alone, lets the deny carry its rules, says so, and mends itself", func() {
		startOperator()
		create(b)
		elsewhere := governed(b)
		namespace := newNamespace(nil)
		theirs := foreign(namespace, b.Name+"-allow-dns", nil)
		label(namespace, selectedBy, b.Name)

		denyWithDNS := denySpec()
		denyWithDNS.Egress = []networkingv1.NetworkPolicyEgressRule{dnsRule()}
		holds(namespace, map[string]networkingv1.NetworkPolicySpec{
			b.Name + "-default-deny":             denyWithDNS,
			b.Name + "-allow-dns":                theirs.Spec,
			b.Name + "-allow-ingress-controller": nginxSpec(),
		})
		holdsPlain(elsewhere, b)
		Eventually(func(g Gomega) {
			g.Expect(ready(b)).To(Equal("False/NameConflict"))
			status := get(b).Status
			g.Expect(status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, InSync: 1, Conflicted: 1}))
			g.Expect(status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 6, InSync: 5}))
			g.Expect(status.Problems).To(Equal([]v1alpha1.Problem{{Namespace: namespace, Policy: theirs.Name, Reason: "NameConflict", Message: conflict}}))
		}).Should(Succeed())
		holdsStill(namespace)
		untouched(theirs)

		Expect(k8s.Delete(ctx, theirs)).To(Succeed())
		holdsPlain(namespace, b)
		now := inSync(b, 2)
		Expect(now.Status.Problems).To(BeEmpty())
		Expect(now.Status.Repairs.Total).To(BeZero(), "a conflict that went is no repair")
	})

	It("creates no allow where the name of the deny is taken, because it would deny all other traffic", func() {
		startOperator()
		create(b)
		namespace := newNamespace(nil)
		theirs := foreign(namespace, b.Name+"-default-deny", nil)
		label(namespace, selectedBy, b.Name)
		Eventually(func(g Gomega) {
			g.Expect(ready(b)).To(Equal("False/NameConflict"))
			status := get(b).Status
			g.Expect(status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 3}))
			withheld := "not created, because without the default deny, whose name is taken, it would deny all other traffic"
			g.Expect(status.Problems).To(Equal([]v1alpha1.Problem{
				{Namespace: namespace, Policy: b.Name + "-allow-dns", Reason: "NameConflict", Message: withheld},
				{Namespace: namespace, Policy: b.Name + "-allow-ingress-controller", Reason: "NameConflict", Message: withheld},
				{Namespace: namespace, Policy: b.Name + "-default-deny", Reason: "NameConflict", Message: conflict},
			}))
		}).Should(Succeed())
		Expect(policyNames(namespace)).To(Equal([]string{theirs.Name}))
		holdsStill(namespace)
		untouched(theirs)

		tamper(namespace, theirs.Name, func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector = metav1.LabelSelector{} })
		Consistently(func() []string { return policyNames(namespace) }).Should(Equal([]string{theirs.Name}))
		Expect(k8s.Delete(ctx, theirs)).To(Succeed())
		holdsPlain(namespace, b)
		inSync(b, 1)
	})

	It("never writes foreign policies of a governed namespace, whatever becomes of it", func() {
		o := startOperator()
		create(b)
		namespace := newNamespace(nil)
		theirs := []*networkingv1.NetworkPolicy{
			foreign(namespace, "theirs", nil),
			// Copied from one of ours with its labels, by hand or by a tool.
			foreign(namespace, "copied", plainMeta(b, "default-deny", "").Labels),
			foreign(namespace, b.Name+"-default-deny-copy", plainMeta(b, "default-deny", "").Labels),
		}
		plain := plainSpecs(b.Name)
		for _, p := range theirs {
			plain[p.Name] = p.Spec
		}
		label(namespace, selectedBy, b.Name)
		holds(namespace, plain)
		tamper(namespace, "theirs", openIngress)
		o.stop()
		o = startOperator()
		inSync(b, 1)
		label(namespace, selectedBy, "")
		Eventually(func() []string { return policyNames(namespace) }).Should(HaveLen(len(theirs)))
		label(namespace, selectedBy, b.Name)
		Eventually(func() []string { return policyNames(namespace) }).Should(HaveLen(len(theirs) + 3))
		remove(b)
		Eventually(func() []string { return policyNames(namespace) }).Should(HaveLen(len(theirs)))
		holdsStill(namespace)
		untouched(theirs[1])
		untouched(theirs[2])
		Expect(policies(namespace)["theirs"].ManagedFields).To(ContainElement(HaveField("Manager", "intruder")))
		for _, write := range o.requests.writes("networkpolicies") {
			Expect(write).To(MatchRegexp("networkpolicies$|/" + b.Name + "-(default-deny|allow-dns|allow-ingress-controller)$"))
		}
	})

	It("takes a policy with a name and labels of ours over, in place", func() {
		namespace := newNamespace(nil)
		ours := foreign(namespace, b.Name+"-default-deny", plainMeta(b, "default-deny", "").Labels)
		startOperator()
		create(b)
		label(namespace, selectedBy, b.Name)
		holdsPlain(namespace, b)
		p := policies(namespace)[ours.Name]
		Expect(p.UID).To(Equal(ours.UID))
		Expect(p.OwnerReferences).To(Equal(plainMetas(b)[ours.Name].OwnerReferences))
		inSync(b, 1)
	})

	It("removes what carries our owner under a name that is not wanted any more", func() {
		startOperator()
		create(b)
		namespace := governed(b)
		holdsPlain(namespace, b)
		left := &networkingv1.NetworkPolicy{ObjectMeta: plainMeta(b, "allow-monitoring", ""), Spec: nginxSpec()}
		left.Namespace, left.Name = namespace, b.Name+"-allow-monitoring"
		Expect(k8s.Create(ctx, left)).To(Succeed())
		holdsPlain(namespace, b)
		holdsStill(namespace)
	})

	It("finds a foreign policy in the place of ours when it starts, and keeps what it allowed", func() {
		o := startOperator()
		create(b)
		namespace := governed(b)
		inSync(b, 1)
		o.stop()
		name := b.Name + "-allow-dns"
		Expect(k8s.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})).To(Succeed())
		theirs := foreign(namespace, name, nil)
		startOperator()
		Eventually(func() networkingv1.NetworkPolicySpec { return specs(namespace)[b.Name+"-default-deny"] }).
			Should(HaveField("Egress", Equal([]networkingv1.NetworkPolicyEgressRule{dnsRule()})))
		Eventually(func() string { return ready(b) }).Should(Equal("False/NameConflict"))
		holdsStill(namespace)
		untouched(theirs)
	})

	It("waits for a policy of ours that somebody's finalizer holds in deletion, while the deny carries its rules", func() {
		startOperator()
		create(b)
		namespace := governed(b)
		inSync(b, 1)
		name := b.Name + "-allow-dns"
		held := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		edit(held, func() { held.Finalizers = []string{"example.com/hold"} })
		DeferCleanup(func() { edit(held, func() { held.Finalizers = nil }) })
		holdsStill(namespace)
		Expect(k8s.Delete(ctx, held)).To(Succeed())

		Eventually(func() networkingv1.NetworkPolicySpec { return specs(namespace)[b.Name+"-default-deny"] }).
			Should(HaveField("Egress", Equal([]networkingv1.NetworkPolicyEgressRule{dnsRule()})))
		Eventually(func(g Gomega) {
			g.Expect(ready(b)).To(Equal("False/PolicyTerminating"))
			g.Expect(get(b).Status.Problems).To(Equal([]v1alpha1.Problem{{Namespace: namespace, Policy: name, Reason: "PolicyTerminating",
				Message: "the policy is being deleted and held by finalizers [example.com/hold]: remove them, and it is created again"}}))
		}).Should(Succeed())
		edit(held, func() { held.Finalizers = nil })
		holdsPlain(namespace, b)
		inSync(b, 1)
	})

	It("goes on repairing while somebody's finalizer holds what it deleted itself", func() {
		startOperator()
		b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{Directions: []v1alpha1.Direction{"Ingress"}}
		create(b)
		namespace := governed(b)
		inSync(b, 1)
		held := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: b.Name + "-allow-same-namespace-ingress"}}
		edit(held, func() { held.Finalizers = []string{"example.com/hold"} })
		DeferCleanup(func() { edit(held, func() { held.Finalizers = nil }) })
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = nil })
		Eventually(func() *metav1.Time { return new(policies(namespace)[held.Name]).DeletionTimestamp }).ShouldNot(BeNil())
		tamper(namespace, b.Name+"-default-deny", openEgress)
		// It once waited a quarter of a minute for the delete to come back.
		Eventually(func() networkingv1.NetworkPolicySpec { return specs(namespace)[b.Name+"-default-deny"] }).
			WithTimeout(5 * time.Second).Should(HaveField("Egress", BeEmpty()))
	})
})
