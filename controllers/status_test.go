// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"os/exec"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// kubectl returns the fields of each line that kubectl prints.
func kubectl(args ...string) [][]string {
	GinkgoHelper()
	out, err := exec.CommandContext(ctx, localcluster.Binary("kubectl"), append(args, "--kubeconfig", cluster.Kubeconfig)...).CombinedOutput() //nolint:gosec // our own binary
	Expect(err).NotTo(HaveOccurred(), string(out))
	var lines [][]string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

var _ = Describe("status", func() {
	It("is never Ready=False during a normal start, and Reconciling until it is Ready", func() {
		startOperator()
		b := baseline()
		for range 30 {
			newNamespace(map[string]string{selectedBy: b.Name})
		}
		create(b)
		Expect(b.Status.ObservedGeneration).To(BeEquivalentTo(-1), "kstatus waits for us")
		statuses := recordBaseline(b)
		inSync(b, 30)
		for _, h := range statuses.all() {
			status := h.Object.Status
			switch {
			case status.ObservedGeneration == -1: // the finalizer came
				Expect(status.Conditions).To(BeEmpty())
			case status.Namespaces.InSync < 30:
				Expect(conditionOf(h.Object, "Ready")).To(Equal("Unknown/Converging"))
				Expect(conditionOf(h.Object, "Reconciling")).To(Equal("True/Converging"))
			default:
				Expect(conditionOf(h.Object, "Ready")).To(Equal("True/InSync"))
				Expect(conditionOf(h.Object, "Reconciling")).To(BeEmpty())
			}
			Expect(conditionOf(h.Object, "Stalled")).To(BeEmpty())
			n := status.Namespaces
			Expect(n.InSync + n.Pending + n.Failed + n.Waiting).To(Equal(n.Selected))
		}
	})

	It("is Ready without namespaces, and says so", func() {
		startOperator()
		b := create(baseline())
		Eventually(func() string { return ready(b) }).Should(Equal("True/NoNamespacesSelected"))
		Expect(get(b).Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{}))
		Expect(kubectl("get", "nbl", b.Name)[1][:5]).To(Equal([]string{b.Name, "Enforce", "0", "0", "True"}), "zero is shown, not left out")
	})

	It("follows the spec: a status of an older generation is never taken for one of this", func() {
		startOperator()
		b := create(baseline())
		governed(b)
		inSync(b, 1)
		statuses := recordBaseline(b)
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		Eventually(func() v1alpha1.PolicyCounts { return get(b).Status.Policies }).Should(Equal(v1alpha1.PolicyCounts{Desired: 5, InSync: 5}))
		for _, h := range statuses.all() {
			if h.Object.Status.ObservedGeneration == h.Object.Generation && conditionOf(h.Object, "Ready") == "True/InSync" {
				Expect(h.Object.Status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 5, InSync: 5}))
			}
		}
	})

	It("shows in kubectl's columns", func() {
		startOperator()
		b := create(baseline())
		governed(b)
		inSync(b, 1)
		// Effective is a matter of other policies; whether it is known yet is none of this spec.
		lines := kubectl("get", "nbl", b.Name)
		Expect(lines[0]).To(Equal([]string{"NAME", "MODE", "SELECTED", "INSYNC", "READY", "EFFECTIVE", "AGE"}))
		Expect(lines[1][:5]).To(Equal([]string{b.Name, "Enforce", "1", "1", "True"}))
		lines = kubectl("get", "networkbaselines", b.Name, "-o", "wide")
		Expect(lines[0]).To(Equal([]string{"NAME", "MODE", "SELECTED", "INSYNC", "READY", "EFFECTIVE", "POLICIES", "REPAIRS", "REASON", "MESSAGE", "AGE"}))
		Expect(strings.Join(lines[1], " ")).To(ContainSubstring(" 3 0 InSync 1 of 1 "))
	})
})

// Guarantees 7 and 8.
var _ = Describe("a refused write", func() {
	It("is told in the API server's words, delays no other namespace, opens no gap, and heals when it is accepted", func() {
		startOperator()
		b := baseline()
		refusing, other := newNamespace(nil), newNamespace(map[string]string{selectedBy: b.Name})
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: refusing, Name: "one-policy"}}
		quota.Spec.Hard = corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("1")}
		Expect(k8s.Create(ctx, quota)).To(Succeed())
		// The quota controller does not run here; admission goes by the status alone.
		quota.Status.Hard = quota.Spec.Hard
		quota.Status.Used = corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("0")}
		Expect(k8s.Status().Update(ctx, quota)).To(Succeed())

		create(b)
		label(refusing, selectedBy, b.Name)
		Eventually(func(g Gomega) {
			g.Expect(ready(b)).To(Equal("False/WriteRefused"))
			status := get(b).Status
			g.Expect(status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, InSync: 1, Failed: 1}))
			g.Expect(status.Policies).To(Equal(v1alpha1.PolicyCounts{Desired: 6, InSync: 3}))
			g.Expect(status.Problems).To(ConsistOf(
				v1alpha1.Problem{Namespace: refusing, Policy: b.Name + "-allow-dns", Reason: "WriteRefused",
					Message: `creating: networkpolicies.networking.k8s.io "` + b.Name + `-allow-dns" is forbidden: exceeded quota: one-policy, requested: count/networkpolicies.networking.k8s.io=1, used: count/networkpolicies.networking.k8s.io=1, limited: count/networkpolicies.networking.k8s.io=1`},
				HaveField("Policy", b.Name+"-allow-ingress-controller"),
			))
		}).Should(Succeed())
		Expect(specs(refusing)).To(Equal(map[string]networkingv1.NetworkPolicySpec{b.Name + "-default-deny": carryingSpec()}))
		Expect(eventsOf(b)).To(ContainElement(HavePrefix("Warning WriteRefused Write " + b.Name + "-allow-dns: NetworkPolicy " + refusing + "/" + b.Name + "-allow-dns: creating: ")))

		By("healing elsewhere meanwhile")
		tamper(other, b.Name+"-default-deny", openEgress)
		holdsPlain(other, b)

		Expect(k8s.Delete(ctx, quota)).To(Succeed())
		holdsPlain(refusing, b)
		inSync(b, 2)
		Expect(get(b).Status.Problems).To(BeEmpty())
	})

	It("is asked again less and less often", func() {
		o := startOperator()
		b := baseline()
		namespace := newNamespace(map[string]string{selectedBy: b.Name})
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"}}
		quota.Spec.Hard = corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("0")}
		Expect(k8s.Create(ctx, quota)).To(Succeed())
		quota.Status.Hard, quota.Status.Used = quota.Spec.Hard, quota.Spec.Hard
		Expect(k8s.Status().Update(ctx, quota)).To(Succeed())
		create(b)
		Eventually(func() string { return ready(b) }).Should(Equal("False/WriteRefused"))
		o.requests.forget()
		statuses := recordBaseline(b)
		// From 0.1 s on it doubles.
		Consistently(func() int { return len(o.requests.writes("networkpolicies")) }, 1500*time.Millisecond).Should(BeNumerically("<", 6))
		Expect(len(statuses.all())).To(BeNumerically("<=", 2), "the status does not change with every try")
		Expect(k8s.DeleteAllOf(ctx, &corev1.ResourceQuota{}, client.InNamespace(namespace))).To(Succeed())
		holdsPlain(namespace, b)
	})
})
