// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admission "k8s.io/api/admission/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// One write that is refused or changed disables nothing else.
var _ = Describe("scenarios of writes", func() {
	It("B1: removes an intruder's rule from an allow while a create is refused", func() {
		startOperator()
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) { b.Spec.Profile.BlockMetadata = &v1alpha1.BlockMetadata{} }))
		namespace := governed(b)
		inSync(b, 1)
		quota := noMorePolicies(namespace)
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		eventually(b, "Ready", "False/WriteRefused")

		tamper(namespace, b.Name+"-allow-dns", openEgress)
		Eventually(func() networkingv1.NetworkPolicySpec { return specs(namespace)[b.Name+"-allow-dns"] }).Should(Equal(dnsSpec()))
		Consistently(func() bool { return reachable(namespace, nil, metadataAddress) }).Should(BeFalse())
		Expect(condition(b, "Ready")).To(Equal("False/WriteRefused"), "the create is still refused")

		Expect(k8s.Delete(ctx, quota)).To(Succeed())
		Eventually(func() []string { return policyNames(namespace) }).WithTimeout(backoffPatience).Should(HaveLen(5))
		inSync(b, 1)
		Expect(specs(namespace)[b.Name+"-default-deny"]).To(Equal(denySpec()))
		holdsStill(namespace)
	})

	It("B1: removes an intruder's rule from another baseline's deny while a create is refused", func() {
		startOperator()
		b := create(baseline())
		second := create(baseline(alongside(b), profile(v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{}, BlockMetadata: &v1alpha1.BlockMetadata{}})))
		namespace := governed(b)
		inSync(b, 1)
		inSync(second, 1)
		quota := noMorePolicies(namespace)
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		eventually(b, "Ready", "False/WriteRefused")

		tamper(namespace, second.Name+"-default-deny", openEgress)
		Eventually(func() bool { return reachable(namespace, nil, metadataAddress) }).Should(BeFalse())
		Consistently(func() bool { return reachable(namespace, nil, metadataAddress) }).Should(BeFalse())
		Expect(condition(b, "Ready")).To(Equal("False/WriteRefused"), "the create is still refused")

		Expect(k8s.Delete(ctx, quota)).To(Succeed())
		Eventually(func() []string { return policyNames(namespace) }).WithTimeout(backoffPatience).Should(HaveLen(6))
		inSync(b, 1)
		inSync(second, 1)
		for _, deny := range []string{b.Name + "-default-deny", second.Name + "-default-deny"} {
			Expect(specs(namespace)[deny]).To(Equal(denySpec()))
		}
		holdsStill(namespace)
	})

	DescribeTable("B2: treats an answer that differs from what was sent as a failure, with backoff", func(patch, field string) {
		o := startOperator()
		b := create(baseline())
		namespace := newNamespace(nil)
		other := governed(b)
		inSync(b, 1)
		hook := mutating(namespace, patch)
		o.requests.forget()
		label(namespace, selectedBy, b.Name)
		writes := func() int { return o.writesIn(namespace) }
		Eventually(writes).Should(BeNumerically(">", 0))
		Consistently(writes, 10*time.Second).Should(BeNumerically("<", 40), "three policies, and retries with backoff")
		Eventually(func() []v1alpha1.Problem { return problemsOf(b, "WriteAltered") }).Should(ContainElement(And(
			HaveField("Namespace", namespace), HaveField("Policy", HavePrefix(b.Name)), HaveField("Message", ContainSubstring(field)),
		)))
		eventually(b, "Ready", "False/WriteAltered")
		neverReady(b)
		Expect(get(b).Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, InSync: 1, Failed: 1}))
		tamper(other, b.Name+"-default-deny", openEgress)
		holdsPlain(other, b)

		hook.remove()
		Eventually(func() map[string]networkingv1.NetworkPolicySpec { return specs(namespace) }).WithTimeout(backoffPatience).Should(Equal(plainSpecs(b.Name)))
		inSync(b, 2)
		for name, p := range policies(namespace) {
			Expect(p.Labels).To(Equal(plainMetas(b)[name].Labels), name)
		}
		holdsStill(namespace)

		By("a webhook that adds what is no business of ours, which is no failure")
		hook = mutating(namespace, `[{"op": "add", "path": "/metadata/labels/team", "value": "shop"}]`)
		tamper(namespace, b.Name+"-default-deny", openEgress)
		holdsPlain(namespace, b)
		inSync(b, 2)
		Expect(policies(namespace)[b.Name+"-default-deny"].Labels).To(HaveKeyWithValue("team", "shop"))
		Expect(problemsOf(b, "WriteAltered")).To(BeEmpty())
		holdsStill(namespace)
		hook.remove()
	},
		Entry("B2: a label", `[{"op": "add", "path": "/metadata/labels/app.kubernetes.io~1managed-by", "value": "somebody"}]`, "app.kubernetes.io/managed-by"),
		Entry("B2: the label by which a policy is known", `[{"op": "add", "path": "/metadata/labels/netbaseline.io~1component", "value": "somebody"}]`, "netbaseline.io/component"),
		Entry("B2: the spec", `[{"op": "add", "path": "/spec/podSelector", "value": {"matchLabels": {"injected": "yes"}}}]`, "podSelector"),
		Entry("B2: the owner", `[{"op": "remove", "path": "/metadata/ownerReferences"}]`, "ownerReferences"),
	)

	It("B2: keeps to a budget of writes in a namespace, whoever fights there, and delays no other", func() {
		const burst, perSecond, slack, length = 200, 10, 40, 20 * time.Second
		o := startOperator()
		b := create(baseline())
		fought, other := governed(b), governed(b)
		inSync(b, 2)
		deny := b.Name + "-default-deny"

		fight, end := context.WithCancel(ctx)
		ended := make(chan struct{})
		began := time.Now()
		o.requests.forget()
		go func() {
			defer close(ended)
			for fight.Err() == nil {
				p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: fought, Name: deny}}
				_ = k8s.Patch(fight, p, client.RawPatch(types.MergePatchType, []byte(`{"spec": {"egress": [{}]}}`)), intruder)
			}
		}()
		DeferCleanup(func() {
			end()
			<-ended
		})
		Consistently(func(g Gomega) {
			budget := burst + slack + int(time.Since(began).Seconds()*perSecond)
			g.Expect(o.writesIn(fought)).To(BeNumerically("<=", budget), "after %s", time.Since(began))
		}, length).Should(Succeed())
		Eventually(func() []v1alpha1.Problem { return problemsOf(b, "WriteBudgetExceeded") }).Should(ContainElement(HaveField("Namespace", fought)))
		tamper(other, deny, openEgress)
		Eventually(func() map[string]networkingv1.NetworkPolicySpec { return specs(other) }).WithTimeout(statusPatience).Should(Equal(plainSpecs(b.Name)))

		end()
		<-ended
		holdsPlain(fought, b)
		inSync(b, 2)
		holdsStill(fought, other)
	})

	const says = "the folder of this namespace allows no such policy"
	alreadyExists := Entry("B3: 409, already exists", int32(http.StatusConflict), metav1.StatusReasonAlreadyExists)
	refusals := []TableEntry{
		Entry("B3: 409", int32(http.StatusConflict), metav1.StatusReasonConflict),
		Entry("B3: 404", int32(http.StatusNotFound), metav1.StatusReasonNotFound),
	}
	refusing := func(code int32, reason metav1.StatusReason, operation admission.Operation) func(*admission.AdmissionRequest) *metav1.Status {
		return func(r *admission.AdmissionRequest) *metav1.Status {
			if r.Operation != operation {
				return nil
			}
			return &metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: says}
		}
	}
	// isRefused waits until the refusal is reported in the webhook's words, and checks that it is retried with backoff.
	isRefused := func(o *operator, b *v1alpha1.NetworkBaseline, namespace, name string) {
		GinkgoHelper()
		Eventually(func() []v1alpha1.Problem { return problemsOf(b, "WriteRefused") }).Should(ContainElement(And(
			HaveField("Namespace", namespace), HaveField("Policy", name), HaveField("Message", ContainSubstring(says)),
		)))
		eventually(b, "Ready", "False/WriteRefused")
		Eventually(func() []string { return eventsOf(b) }).Should(ContainElement(And(HavePrefix("Warning WriteRefused"), ContainSubstring(says))))
		o.requests.forget()
		writes := func() int { return o.writesIn(namespace) }
		Eventually(writes).Should(BeNumerically(">", 0), "it is retried")
		Consistently(writes, statusPatience).Should(BeNumerically("<", 20), "with backoff")
	}

	DescribeTable("B3: reports a create that a webhook refuses in the words of the webhook, and retries it", func(code int32, reason metav1.StatusReason) {
		o := startOperator()
		b := create(baseline())
		namespace := newNamespace(nil)
		hook := validating(namespace, refusing(code, reason, admission.Create))
		label(namespace, selectedBy, b.Name)
		isRefused(o, b, namespace, b.Name+"-default-deny")
		Expect(policies(namespace)).To(BeEmpty())
		hook.remove()
		Eventually(func() map[string]networkingv1.NetworkPolicySpec { return specs(namespace) }).WithTimeout(backoffPatience).Should(Equal(plainSpecs(b.Name)))
		inSync(b, 1)
		holdsStill(namespace)
	}, refusals, alreadyExists)

	DescribeTable("B3: reports an update that a webhook refuses in the words of the webhook, and retries it", func(code int32, reason metav1.StatusReason) {
		o := startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		hook := validating(namespace, refusing(code, reason, admission.Update))
		tamper(namespace, b.Name+"-allow-dns", openEgress)
		isRefused(o, b, namespace, b.Name+"-allow-dns")
		hook.remove()
		Eventually(func() map[string]networkingv1.NetworkPolicySpec { return specs(namespace) }).WithTimeout(backoffPatience).Should(Equal(plainSpecs(b.Name)))
		inSync(b, 1)
		holdsStill(namespace)
	}, refusals)

	DescribeTable("B3: reports a delete that a webhook refuses in the words of the webhook, and retries it", func(code int32, reason metav1.StatusReason) {
		o := startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		hook := validating(namespace, refusing(code, reason, admission.Delete))
		edit(b, func() { b.Spec.Profile.AllowIngressController = nil })
		isRefused(o, b, namespace, b.Name+"-allow-ingress-controller")
		hook.remove()
		Eventually(func() []string { return policyNames(namespace) }).WithTimeout(backoffPatience).Should(Equal([]string{b.Name + "-allow-dns", b.Name + "-default-deny"}))
		inSync(b, 1)
		holdsStill(namespace)
	}, refusals)

	It("B4: opens nothing to other pods when one of two changed policies with a podSelector is refused", func() {
		i := interfere()
		startOperator()
		pods := func(app string) *v1alpha1.LabelSelector {
			return &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": v1alpha1.LabelValue(app)}}
		}
		b := create(baseline(profile(v1alpha1.Profile{
			DefaultDeny:            &v1alpha1.DefaultDeny{},
			AllowIngressController: &v1alpha1.AllowIngressController{From: []v1alpha1.Peer{{CIDR: "192.0.2.0/25"}}, PodSelector: pods("web")},
			AllowMonitoring:        &v1alpha1.AllowMonitoring{From: []v1alpha1.Peer{{CIDR: "192.0.2.128/25"}}, PodSelector: pods("db")},
		})))
		namespace := governed(b)
		inSync(b, 1)
		monitoring := b.Name + "-allow-monitoring"
		rule := i.refuse(func(r *http.Request) bool {
			return writesTo(namespace)(r) && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+monitoring)
		}, http.StatusForbidden, metav1.StatusReasonForbidden, "the scenario refuses this policy")
		events := recordPolicies(namespace)
		edit(b, func() {
			b.Spec.Profile.AllowIngressController.Ports = []v1alpha1.Port{{Port: intstr.FromInt32(8080)}}
			b.Spec.Profile.AllowMonitoring.Ports = []v1alpha1.Port{{Port: intstr.FromInt32(9090)}}
		})
		rule.hit()
		eventually(b, "Ready", "False/WriteRefused")
		denies := func(g Gomega) {
			for _, h := range events.all() {
				if h.Object.Name == b.Name+"-default-deny" {
					g.Expect(h.Object.Spec).To(Equal(denySpec()), "a pod that no allow selects is denied before, after and in between")
				}
			}
		}
		Consistently(denies).Should(Succeed())
		Expect(specs(namespace)[b.Name+"-default-deny"]).To(Equal(denySpec()))
		Eventually(func() []networkingv1.NetworkPolicyPort {
			return specs(namespace)[b.Name+"-allow-ingress-controller"].Ingress[0].Ports
		}).Should(HaveLen(1), "a refused write delays no other")

		rule.lift()
		Eventually(func() string { return ready(b) }).WithTimeout(backoffPatience).Should(Equal("True/InSync"))
		Expect(specs(namespace)[monitoring].Ingress[0].Ports).To(HaveLen(1))
		Eventually(denies).Should(Succeed())
		holdsStill(namespace)
	})

	It("B5: lets a foreign policy with the name of an exemption keep nothing away, and opens nothing to other pods", func() {
		const agent = "169.254.170.23"
		startOperator()
		b := create(baseline(profile(v1alpha1.Profile{
			DefaultDeny: &v1alpha1.DefaultDeny{Directions: []v1alpha1.Direction{"Egress"}},
			BlockMetadata: &v1alpha1.BlockMetadata{Exemptions: []v1alpha1.MetadataExemption{{
				PodSelector: v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": "agent"}},
				CIDR:        agent + "/32", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(80)}},
			}}},
		})))
		elsewhere, namespace := governed(b), newNamespace(nil)
		inSync(b, 1)
		want := specs(elsewhere)
		name := ""
		for n := range want {
			if strings.Contains(n, "-block-metadata-exempt-") {
				name = n
			}
		}
		Expect(name).NotTo(BeEmpty())
		theirs := foreign(namespace, name, nil)
		label(namespace, selectedBy, b.Name)

		want[name+"-2"], want[name] = want[name], theirs.Spec
		holds(namespace, want)
		Expect(reachable(namespace, map[string]string{"app": "agent"}, agent)).To(BeTrue())
		Consistently(func() bool { return reachable(namespace, map[string]string{"app": "other"}, agent) }).Should(BeFalse())
		inSync(b, 2)
		Expect(condition(b, "Effective")).To(Equal("True/Effective"))
		Eventually(func() []v1alpha1.Problem { return problemsOf(b, "NameTaken") }).Should(ConsistOf(And(HaveField("Namespace", namespace), HaveField("Message", ContainSubstring(name)))))
		untouched(theirs)
		holdsStill(namespace)

		By("repairing the policy under its other name, and removing it with the baseline")
		tamper(namespace, name+"-2", openEgress)
		holds(namespace, want)
		deletePolicy(namespace, name+"-2")
		holds(namespace, want)
		holdsStill(namespace)
		remove(b)
		holds(namespace, map[string]networkingv1.NetworkPolicySpec{name: theirs.Spec})
		untouched(theirs)
	})

	It("B5: creates every policy where the name of the deny is taken, and the name after it", func() {
		startOperator()
		b := create(baseline())
		namespace := newNamespace(nil)
		deny := b.Name + "-default-deny"
		theirs := []*networkingv1.NetworkPolicy{foreign(namespace, deny, nil), foreign(namespace, deny+"-2", nil)}
		label(namespace, selectedBy, b.Name)
		want := plainSpecs(b.Name)
		want[deny], want[deny+"-2"], want[deny+"-3"] = theirs[0].Spec, theirs[1].Spec, denySpec()
		holds(namespace, want)
		inSync(b, 1)
		Eventually(func() []v1alpha1.Problem { return problemsOf(b, "NameTaken") }).Should(ContainElement(And(HaveField("Namespace", namespace), HaveField("Message", ContainSubstring(deny)))))
		holdsStill(namespace)
		for _, p := range theirs {
			untouched(p)
		}
	})

	It("B5: lets another policy take the place of one that is held in deletion, and carries nothing to other pods", func() {
		startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		name := b.Name + "-allow-dns"
		held := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		edit(held, func() { held.Finalizers = []string{"example.com/hold"} })
		DeferCleanup(func() { edit(held, func() { held.Finalizers = nil }) })
		holdsStill(namespace)
		Expect(k8s.Delete(ctx, held)).To(Succeed())

		want := plainSpecs(b.Name)
		want[name+"-2"] = dnsSpec()
		holds(namespace, want)
		Eventually(func() []v1alpha1.Problem { return problemsOf(b, "PolicyTerminating") }).Should(ConsistOf(And(HaveField("Namespace", namespace), HaveField("Policy", name))))
		holdsStill(namespace)

		By("its finalizer goes")
		edit(held, func() { held.Finalizers = nil })
		Eventually(func() []networkingv1.NetworkPolicySpec {
			var now []networkingv1.NetworkPolicySpec
			for n, spec := range specs(namespace) {
				if strings.HasPrefix(n, name) {
					now = append(now, spec)
				}
			}
			return now
		}).Should(Equal([]networkingv1.NetworkPolicySpec{dnsSpec()}), "one of them is left")
		inSync(b, 1)
		Eventually(func() []v1alpha1.Problem { return problemsOf(b, "PolicyTerminating") }).Should(BeEmpty())
		holdsStill(namespace)
	})
})
