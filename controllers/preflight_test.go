// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"regexp"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// preflightPatience is how long a baseline may wait after what it misses has appeared.
const preflightPatience = 10 * time.Second

// newPod creates a pod that goes when the spec ends. Nothing runs it, which a selector does not see.
func newPod(namespace, name string, labels map[string]string, change ...func(*corev1.Pod)) {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "stand-in", Image: "stand-in"}}},
	}
	for _, c := range change {
		c(pod)
	}
	Expect(k8s.Create(ctx, pod)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(k8s.Delete(ctx, pod))).To(Succeed()) })
}

// namespaceNamed makes sure of a namespace whose name is given by somebody else.
func namespaceNamed(name string, labels map[string]string) {
	GinkgoHelper()
	err := k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	Expect(client.IgnoreAlreadyExists(err)).To(Succeed())
}

func onHost(pod *corev1.Pod) { pod.Spec.HostNetwork = true }

// withoutDNS takes the resolver of the tests' cluster away until the spec ends.
func withoutDNS() {
	GinkgoHelper()
	pod := &corev1.Pod{}
	Expect(k8s.Get(ctx, types.NamespacedName{Namespace: "kube-system", Name: "stand-in"}, pod)).To(Succeed())
	Expect(k8s.Delete(ctx, pod)).To(Succeed())
	DeferCleanup(func() {
		pod.ObjectMeta = metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels}
		Expect(k8s.Create(ctx, pod)).To(Succeed())
	})
}

func dnsBaseline(change ...func(*v1alpha1.NetworkBaseline)) *v1alpha1.NetworkBaseline {
	return baseline(append([]func(*v1alpha1.NetworkBaseline){func(b *v1alpha1.NetworkBaseline) {
		b.Spec.Profile = v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{}, AllowDNS: &v1alpha1.AllowDNS{}}
	}}, change...)...)
}

func ingressControllers(names ...v1alpha1.IngressController) func(*v1alpha1.NetworkBaseline) {
	return func(b *v1alpha1.NetworkBaseline) { b.Spec.Profile.AllowIngressController.Controllers = names }
}

// messageOf is the message of a condition as it is now, at the baseline's generation.
func messageOf(b *v1alpha1.NetworkBaseline, conditionType string) string {
	GinkgoHelper()
	now := get(b)
	for _, c := range now.Status.Conditions {
		if c.Type == conditionType && c.ObservedGeneration == now.Generation {
			return c.Message
		}
	}
	return ""
}

// blocked waits until the preflight keeps the baseline out of so many namespaces, for this reason, and returns what it
// says.
func blocked(b *v1alpha1.NetworkBaseline, namespaces int, reason string) string {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		now := get(b)
		g.Expect(conditionOf(now, "Ready")).To(Equal("False/PreflightFailed"))
		g.Expect(conditionOf(now, "Preflight")).To(Equal("False/" + reason))
		g.Expect(conditionOf(now, "Stalled")).To(BeEmpty(), "it mends itself")
		g.Expect(now.Status.Namespaces.Waiting).To(BeEquivalentTo(namespaces))
		g.Expect(now.Status.Problems).To(ContainElement(HaveField("Reason", reason)))
	}).Should(Succeed())
	said := messageOf(b, "Preflight")
	Expect(messageOf(b, "Ready")).To(Equal(fmt.Sprintf("nothing is written in %d namespace%s yet: %s", namespaces, map[bool]string{true: "s"}[namespaces != 1], said)))
	return said
}

var advice = regexp.MustCompile(`[Ww]rite .*?spec\.profile\.(allow\w+)\.(\w+): (\[.*\])`)

// follow does what a message says to write, as YAML, and nothing else.
func follow(b *v1alpha1.NetworkBaseline, message string) {
	GinkgoHelper()
	found := advice.FindStringSubmatch(message)
	Expect(found).NotTo(BeNil(), message)
	patch, err := yaml.YAMLToJSON(fmt.Appendf(nil, "{spec: {profile: {%s: {%s: %s}}}}", found[1], found[2], found[3]))
	Expect(err).NotTo(HaveOccurred(), message)
	Expect(k8s.Patch(ctx, get(b), client.RawPatch(types.MergePatchType, patch))).To(Succeed(), message)
}

// Guarantee 2: nothing is enforced while what must be reachable is not there.
var _ = Describe("preflight", func() {
	It("writes nothing at all into namespaces while DNS is missing, says what and where, and goes on by itself", func() {
		o := startOperator()
		withoutDNS()
		first, second := newNamespace(nil), newNamespace(nil)
		events := recordPolicies("")
		b := create(dnsBaseline())
		label(first, selectedBy, b.Name)
		label(second, selectedBy, b.Name)

		Expect(blocked(b, 2, "NotFound")).To(Equal("allowDNS: the cluster's DNS was not found: no pod matches k8s-app=kube-dns in namespace kube-system. " +
			"If it runs elsewhere, describe its pods or addresses in spec.profile.allowDNS.resolvers; if you do without it, remove allowDNS; " +
			"to enforce all the same, write spec.preflight: Warn."))
		Expect(get(b).Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, Waiting: 2}))
		Consistently(events.lines).Should(BeEmpty())
		Expect(o.requests.writes("networkpolicies")).To(BeEmpty())

		newPod("kube-system", "late", map[string]string{"k8s-app": "kube-dns"})
		Eventually(func() string { return ready(b) }, preflightPatience).Should(Equal("True/InSync"))
		Expect(conditionOf(get(b), "Preflight")).To(Equal("True/Found"))
		Expect(get(b).Status.Problems).To(BeEmpty())
		Expect(policyNames(first)).To(HaveLen(2))
		Expect(policyNames(second)).To(HaveLen(2))
	})

	It("names a near miss, and what it says to write is what helps", func() {
		startOperator()
		withoutDNS()
		newPod("kube-system", "unrelated", map[string]string{"app": "metrics"})
		newPod("kube-system", "coredns-abc", map[string]string{"k8s-app": "coredns", "pod-template-hash": "abc"})
		b := create(dnsBaseline())
		namespace := governed(b)
		said := blocked(b, 1, "NotFound")
		Expect(said).To(ContainSubstring("Near miss: pod kube-system/coredns-abc has the label k8s-app=coredns. If that is it, write spec.profile.allowDNS.resolvers: " +
			"[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: coredns}}}]."))
		follow(b, said)
		inSync(b, 1)
		Expect(specs(namespace)[b.Name+"-allow-dns"].Egress[0].To[0].PodSelector.MatchLabels).To(Equal(map[string]string{"k8s-app": "coredns"}))
	})

	It("finds the right labels in another namespace", func() {
		startOperator()
		withoutDNS()
		elsewhere := newNamespace(nil)
		newPod(elsewhere, "resolver", map[string]string{"k8s-app": "kube-dns"})
		b := create(dnsBaseline())
		governed(b)
		said := blocked(b, 1, "NotFound")
		Expect(said).To(ContainSubstring("There is one in namespace %s (pod resolver)", elsewhere))
		follow(b, said)
		inSync(b, 1)
	})

	It("does not take finished pods, nor the address of a Service that nothing answers at, for DNS", func() {
		withoutDNS()
		newPod("kube-system", "done", map[string]string{"k8s-app": "kube-dns"})
		done := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "done"}}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(done), done)).To(Succeed())
		done.Status.Phase = corev1.PodSucceeded
		Expect(k8s.Status().Update(ctx, done)).To(Succeed())
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-dns", Labels: map[string]string{"k8s-app": "kube-dns"}},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"k8s-app": "kube-dns"}, Ports: []corev1.ServicePort{{Name: "dns", Port: 53, Protocol: "UDP"}}},
		}
		Expect(k8s.Create(ctx, service)).To(Succeed())
		DeferCleanup(func() { Expect(k8s.Delete(ctx, service)).To(Succeed()) })
		startOperator()
		b := create(dnsBaseline())
		namespace := governed(b)
		blocked(b, 1, "NotFound")
		Expect(policies(namespace)).To(BeEmpty())
	})

	It("passes with resolvers by address, which it cannot look for", func() {
		startOperator()
		withoutDNS()
		b := create(dnsBaseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile.AllowDNS.Resolvers = []v1alpha1.Peer{{CIDR: "169.254.169.254/32"}}
		}))
		namespace := governed(b)
		inSync(b, 1)
		Expect(specs(namespace)[b.Name+"-allow-dns"].Egress[0].To[0].IPBlock.CIDR).To(Equal("169.254.169.254/32"))
	})

	It("takes nothing away when it fails later: what was admitted is enforced, repaired, and brought to new namespaces", func() {
		o := startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		o.stop()
		withoutDNS()
		startOperator()
		events := recordPolicies(namespace)
		fresh := governed(b)
		holdsPlain(fresh, b)
		Eventually(func() string { return conditionOf(get(b), "Preflight") }).Should(Equal("False/NotFound"))
		inSync(b, 2)
		Expect(events.lines()).To(BeEmpty())
		tamper(namespace, b.Name+"-default-deny", openEgress)
		Expect(k8s.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: b.Name + "-allow-dns"}})).To(Succeed())
		holdsPlain(namespace, b)

		By("a change of the spec, which is not admitted: the revision before it stays in force, and is repaired")
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		Eventually(func() string { return ready(b) }).Should(Equal("False/PreflightFailed"))
		Expect(messageOf(b, "Ready")).To(HavePrefix("revision " + get(b).Status.CurrentRevision + " stays in force: allowDNS: "))
		tamper(namespace, b.Name+"-default-deny", openEgress)
		holdsPlain(namespace, b)
		holdsStill(namespace, fresh)
	})

	It("only says so with preflight: Warn", func() {
		startOperator()
		withoutDNS()
		b := create(dnsBaseline(func(b *v1alpha1.NetworkBaseline) { b.Spec.Preflight = "Warn" }))
		governed(b)
		inSync(b, 1)
		Eventually(func() string { return conditionOf(get(b), "Preflight") }).Should(Equal("False/NotFound"))
		Expect(get(b).Status.Problems).To(ConsistOf(HaveField("Reason", "NotFound")))
	})

	It("recognises an ingress controller on the host network", func() {
		startOperator()
		namespaceNamed("haproxy-controller", nil)
		newPod("haproxy-controller", "on-node-1", map[string]string{"app.kubernetes.io/name": "kubernetes-ingress"}, onHost)
		b := create(baseline(ingressControllers("HAProxy")))
		namespace := governed(b)
		said := blocked(b, 1, "HostNetwork")
		Expect(said).To(Equal("allowIngressController: ingress controller HAProxy runs on the host network (pod haproxy-controller/on-node-1), where no selector matches it. " +
			"Write the addresses of its nodes (kubectl get nodes -o wide): spec.profile.allowIngressController.from: [{cidr: 192.0.2.0/24}] in place of HAProxy in controllers, say."))
		Expect(policies(namespace)).To(BeEmpty())

		follow(b, said)
		Consistently(func() string { return ready(b) }).ShouldNot(HavePrefix("True"), "HAProxy is named still")
		edit(b, func() { ingressControllers()(b) })
		inSync(b, 1)
		Expect(specs(namespace)[b.Name+"-allow-ingress-controller"].Ingress).To(Equal([]networkingv1.NetworkPolicyIngressRule{
			{From: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "192.0.2.0/24"}}}},
		}))
	})

	It("takes OpenShift's router on the host network, which its network lets the selector match", func() {
		startOperator()
		namespaceNamed("router", map[string]string{"policy-group.network.openshift.io/ingress": ""})
		newPod("router", "router-1", nil, onHost)
		b := create(baseline(ingressControllers("OpenShiftRouter")))
		governed(b)
		inSync(b, 1)
	})

	It("goes on with another preset, and stops at one that is not there", func() {
		startOperator()
		b := create(baseline(ingressControllers("Contour")))
		namespace := governed(b)
		Expect(blocked(b, 1, "NotFound")).To(Equal("allowIngressController: ingress controller Contour was not found: no pod matches app=envoy in namespace projectcontour. " +
			"If it runs elsewhere, describe its pods or addresses in spec.profile.allowIngressController.from; if you do without it, remove Contour in controllers; " +
			"to enforce all the same, write spec.preflight: Warn."))
		edit(b, func() { ingressControllers("IngressNginx")(b) })
		inSync(b, 1)
		holdsPlain(namespace, b)

		By("a change that is not admitted: every namespace has the revision before it, a new one too")
		edit(b, func() { ingressControllers("IngressNginx", "Contour")(b) })
		Eventually(func() string { return ready(b) }).Should(Equal("False/PreflightFailed"))
		holdsPlain(governed(b), b)
		holdsPlain(namespace, b)
	})

	It("lets no deny come before the allows of a baseline that it has not judged yet", func() {
		type pair struct {
			allow, deny *v1alpha1.NetworkBaseline
			namespace   string
			events      *record[*networkingv1.NetworkPolicy]
		}
		var pairs []pair
		o := startOperator()
		for range 6 {
			allow := create(baseline(func(b *v1alpha1.NetworkBaseline) {
				b.Spec.Profile = v1alpha1.Profile{AllowDNS: &v1alpha1.AllowDNS{}, AllowSameNamespace: &v1alpha1.AllowSameNamespace{}}
			}))
			pairs = append(pairs, pair{allow: allow, namespace: governed(allow)})
			inSync(allow, 1)
		}
		o.stop()
		for i := range pairs {
			p := &pairs[i]
			p.events = recordPolicies(p.namespace)
			p.deny = create(baseline(func(b *v1alpha1.NetworkBaseline) {
				b.Spec.NamespaceSelector = p.allow.Spec.NamespaceSelector
				b.Spec.Profile = v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{}}
			}))
		}
		startOperator()
		for _, p := range pairs {
			inSync(p.deny, 1)
			Eventually(func() []string { return policyNames(p.namespace) }).Should(HaveLen(4))
			first := p.events.all()[0].Object
			Expect(first.Name).To(Equal(p.deny.Name + "-default-deny"))
			Expect(first.Spec.Egress).To(ContainElements(dnsRule(), sameNamespaceSpec("Egress").Egress[0]), "what was allowed, and will be, is allowed at once")
		}
	})

	It("tells of everything that is missing at once", func() {
		startOperator()
		withoutDNS()
		b := create(baseline(ingressControllers("Contour"), func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile.AllowMonitoring = &v1alpha1.AllowMonitoring{Stacks: []v1alpha1.MonitoringStack{"Prometheus"}}
		}))
		governed(b)
		Eventually(func() string { return messageOf(b, "Preflight") }).Should(And(
			MatchRegexp(`(?m)^allowDNS: `), MatchRegexp(`(?m)^allowIngressController: ingress controller Contour`), MatchRegexp(`(?m)^allowMonitoring: monitoring stack Prometheus`)))
		Expect(get(b).Status.Problems).To(HaveLen(3))
		Eventually(func() string { return messageOf(b, "Ready") }).Should(HavePrefix("nothing is written in 1 namespace yet: allowDNS: "))
	})
})
