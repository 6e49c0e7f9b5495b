// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

var nothing = map[string]networkingv1.NetworkPolicySpec{}

var _ = Describe("convergence of namespaces", func() {
	It("follows namespaces that appear, gain the label, lose it, and are excluded", func() {
		startOperator()
		appeared := newNamespace(nil)
		b := baseline()
		existing := newNamespace(map[string]string{selectedBy: b.Name})
		other := newNamespace(map[string]string{selectedBy: "somebody-else"})
		create(b)
		holdsPlain(existing, b)

		By("a namespace that appears with the label, and one that gains it")
		late := governed(b)
		label(appeared, selectedBy, b.Name)
		holdsPlain(late, b)
		holdsPlain(appeared, b)
		inSync(b, 3)

		By("one that loses it, and one that is excluded")
		label(late, selectedBy, "")
		edit(b, func() { b.Spec.ExcludedNamespaces = []v1alpha1.NamespaceName{v1alpha1.NamespaceName(existing)} })
		holds(late, nothing)
		holds(existing, nothing)
		inSync(b, 1)

		By("one that is not excluded any more")
		edit(b, func() { b.Spec.ExcludedNamespaces = nil })
		holdsPlain(existing, b)
		Expect(policies(other)).To(BeEmpty())
	})

	It("follows the selector", func() {
		startOperator()
		b := create(baseline())
		first := governed(b)
		second := newNamespace(map[string]string{selectedBy: b.Name + "-second"})
		holdsPlain(first, b)
		edit(b, func() {
			b.Spec.NamespaceSelector = v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{
				{Key: selectedBy, Operator: "In", Values: []v1alpha1.LabelValue{v1alpha1.LabelValue(b.Name + "-second")}},
			}}
		})
		holdsPlain(second, b)
		holds(first, nothing)
		inSync(b, 1)
	})

	It("governs every namespace with {}, but no protected one", func() {
		startOperator()
		namespace := newNamespace(nil)
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.NamespaceSelector = v1alpha1.LabelSelector{}
			b.Spec.Profile = v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{Directions: []v1alpha1.Direction{"Ingress"}}}
		}))
		ingressDeny := map[string]networkingv1.NetworkPolicySpec{b.Name + "-default-deny": {PolicyTypes: []networkingv1.PolicyType{"Ingress"}}}
		holds(namespace, ingressDeny)
		holds("default", ingressDeny)
		// Not Ready: namespaces that other specs left may refuse writes, and are selected too.
		Eventually(func() int32 { return get(b).Status.Namespaces.Protected }).Should(BeNumerically(">=", 3))
		for _, protected := range []string{"kube-system", "kube-public", "kube-node-lease"} {
			Expect(policies(protected)).To(BeEmpty(), protected)
		}
		remove(b)
		holds(namespace, nothing)
		holds("default", nothing)
	})

	It("governs a protected namespace that is selected and named, and leaves it when it is not named any more", func() {
		startOperator()
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.NamespaceSelector = v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{
				{Key: "kubernetes.io/metadata.name", Operator: "In", Values: []v1alpha1.LabelValue{"kube-system", "kube-public"}},
			}}
			// The second is named but not selected.
			b.Spec.IncludedProtectedNamespaces = []v1alpha1.NamespaceName{"kube-public", "kube-node-lease"}
		}))
		holdsPlain("kube-public", b)
		Expect(inSync(b, 1).Status.Namespaces.Protected).To(BeEquivalentTo(1))
		Expect(policies("kube-system")).To(BeEmpty())
		Expect(policies("kube-node-lease")).To(BeEmpty())
		edit(b, func() { b.Spec.IncludedProtectedNamespaces = nil })
		holds("kube-public", nothing)
		Eventually(func() v1alpha1.NamespaceCounts { return get(b).Status.Namespaces }).Should(Equal(v1alpha1.NamespaceCounts{Protected: 2}))
	})
})

var _ = Describe("convergence of baselines", func() {
	var (
		b         *v1alpha1.NetworkBaseline
		namespace string
	)
	BeforeEach(func() {
		startOperator()
		b = create(baseline())
		namespace = governed(b)
		holdsPlain(namespace, b)
	})

	It("adds, changes and removes components", func() {
		want := plainSpecs(b.Name)
		edit(b, func() {
			b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{}
			b.Spec.Profile.AllowMonitoring = &v1alpha1.AllowMonitoring{From: []v1alpha1.Peer{{CIDR: "10.0.0.0/8"}}}
		})
		want[b.Name+"-allow-same-namespace-ingress"] = sameNamespaceSpec("Ingress")
		want[b.Name+"-allow-same-namespace-egress"] = sameNamespaceSpec("Egress")
		scrape := networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{"Ingress"},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}}}},
		}
		want[b.Name+"-allow-monitoring"] = scrape
		holds(namespace, want)
		before := policies(namespace)

		edit(b, func() {
			b.Spec.Profile.AllowMonitoring.From[0].Except = []v1alpha1.CIDR{"10.1.0.0/16"}
			b.Spec.Profile.AllowSameNamespace.Directions = []v1alpha1.Direction{"Egress"}
		})
		scrape.Ingress[0].From[0].IPBlock.Except = []string{"10.1.0.0/16"}
		delete(want, b.Name+"-allow-same-namespace-ingress")
		holds(namespace, want)
		for name, p := range policies(namespace) {
			Expect(p.UID).To(Equal(before[name].UID), "%s is changed in place", name)
		}

		edit(b, func() { b.Spec.Profile = v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{}} })
		holds(namespace, map[string]networkingv1.NetworkPolicySpec{b.Name + "-default-deny": denySpec()})
		holdsStill(namespace)
		Expect(inSync(b, 1).Status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 1, InSync: 1}))
	})

	It("adds the policies of several baselines up, and lets the deny of one make the allow of another", func() {
		shared := newNamespace(nil)
		// Alone it allows nothing, because nothing is denied.
		allows := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile = v1alpha1.Profile{AllowDNS: &v1alpha1.AllowDNS{}}
			b.Spec.NamespaceSelector = v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": v1alpha1.LabelValue(shared)}}
		}))
		inSync(allows, 1)
		Expect(policies(shared)).To(BeEmpty())

		label(shared, selectedBy, b.Name)
		want := plainSpecs(b.Name)
		want[allows.Name+"-allow-dns"] = dnsSpec()
		holds(shared, want)
		Eventually(func() v1alpha1.PolicyCounts { return get(allows).Status.Policies }).Should(Equal(v1alpha1.PolicyCounts{Desired: 1, InSync: 1}))
		Expect(inSync(b, 2).Status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 6, InSync: 6}))

		edit(b, func() { b.Spec.Profile.DefaultDeny.Directions = []v1alpha1.Direction{"Ingress"} })
		holds(shared, map[string]networkingv1.NetworkPolicySpec{
			b.Name + "-default-deny":             {PolicyTypes: []networkingv1.PolicyType{"Ingress"}},
			b.Name + "-allow-ingress-controller": nginxSpec(),
		})
		remove(b)
		holds(shared, nothing)
		inSync(allows, 1)
	})
})
