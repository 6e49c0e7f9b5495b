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

	// nameTaken is what is told where a foreign policy has the name of a generated one.
	nameTaken := func(p *networkingv1.NetworkPolicy) v1alpha1.Problem {
		return v1alpha1.Problem{Namespace: p.Namespace, Policy: p.Name, Reason: "NameTaken",
			Message: "netbaseline did not create this policy, whose name it would use: the generated one is called " + p.Name + "-2 here"}
	}

	It("leaves foreign policies with names of ours alone, gives ours other names, and says so", func() {
		startOperator()
		create(b)
		elsewhere := governed(b)
		namespace := newNamespace(nil)
		dns, deny := foreign(namespace, b.Name+"-allow-dns", nil), foreign(namespace, b.Name+"-default-deny", nil)
		label(namespace, selectedBy, b.Name)
		want := map[string]networkingv1.NetworkPolicySpec{
			dns.Name: dns.Spec, deny.Name: deny.Spec, dns.Name + "-2": plainSpecs(b.Name)[dns.Name], deny.Name + "-2": denySpec(),
			b.Name + "-allow-ingress-controller": nginxSpec(),
		}
		holds(namespace, want)
		holdsPlain(elsewhere, b)
		now := inSync(b, 2)
		Expect(now.Status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 6, InSync: 6}))
		Expect(now.Status.Problems).To(Equal([]v1alpha1.Problem{nameTaken(dns), nameTaken(deny)}))
		holdsStill(namespace)
		untouched(dns)
		untouched(deny)

		tamper(namespace, deny.Name+"-2", openEgress)
		holds(namespace, want)

		// A name that was given stays: taking it back would be two writes for nothing.
		Expect(k8s.Delete(ctx, dns)).To(Succeed())
		Expect(k8s.Delete(ctx, deny)).To(Succeed())
		delete(want, dns.Name)
		delete(want, deny.Name)
		Eventually(func() []v1alpha1.Problem { return get(b).Status.Problems }).Should(BeEmpty())
		holds(namespace, want)
		holdsStill(namespace)
		Expect(get(b).Status.Repairs.Total).To(BeEquivalentTo(1), "only the tampering")
		remove(b)
		Expect(policies(namespace)).To(BeEmpty())
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

	It("finds a foreign policy in the place of ours when it starts, and takes another name", func() {
		o := startOperator()
		create(b)
		namespace := governed(b)
		inSync(b, 1)
		o.stop()
		name := b.Name + "-allow-dns"
		Expect(k8s.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})).To(Succeed())
		theirs := foreign(namespace, name, nil)
		startOperator()
		want := plainSpecs(b.Name)
		want[name+"-2"], want[name] = want[name], theirs.Spec
		holds(namespace, want)
		inSync(b, 1)
		holdsStill(namespace)
		untouched(theirs)
	})

	It("puts another policy in the place of one that somebody's finalizer holds in deletion, and repairs both", func() {
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
		want := plainSpecs(b.Name)
		want[name+"-2"] = want[name]
		holds(namespace, want)
		Eventually(func() []v1alpha1.Problem { return get(b).Status.Problems }).Should(Equal([]v1alpha1.Problem{{Namespace: namespace, Policy: name, Reason: "PolicyTerminating",
			Message: "the policy is being deleted and held by finalizers [example.com/hold]: remove them"}}))
		inSync(b, 1)
		tamper(namespace, name, openEgress)
		holds(namespace, want)
		holdsStill(namespace)

		// It cannot keep its baseline: what is held is made to select no pod.
		remove(b)
		Expect(policyNames(namespace)).To(Equal([]string{name}))
		Expect(specs(namespace)[name].PodSelector.MatchExpressions).To(HaveLen(2))
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
