// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
)

// families are the operator's own metrics as a scrape gets them.
func families() []*dto.MetricFamily {
	GinkgoHelper()
	all, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	var ours []*dto.MetricFamily
	for _, f := range all {
		if strings.HasPrefix(f.GetName(), "netbaseline_") {
			ours = append(ours, f)
		}
	}
	return ours
}

// series are those of the metric that have a label's value, by their other values, joined; every one of them when
// the label is "".
func series(metric, label, value string) map[string]float64 {
	GinkgoHelper()
	out := map[string]float64{}
	for _, f := range families() {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			matches, others := label == "", []string{}
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					matches = true
				} else {
					others = append(others, l.GetValue())
				}
			}
			if matches {
				out[strings.Join(others, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// of are the series of a baseline.
func of(b *v1alpha1.NetworkBaseline, metric string) map[string]float64 {
	GinkgoHelper()
	return series(metric, "baseline", b.Name)
}

// observed is how many observations a histogram has, and their sum in seconds.
func observed(metric string) (count int, seconds float64) {
	GinkgoHelper()
	for _, f := range families() {
		if f.GetName() == metric {
			h := f.GetMetric()[0].GetHistogram()
			return int(h.GetSampleCount()), h.GetSampleSum()
		}
	}
	Fail("no metric " + metric)
	return 0, 0
}

// latency observes what a histogram gets from now on.
func latency(metric string) func() (count int, seconds float64) {
	GinkgoHelper()
	countBefore, secondsBefore := observed(metric)
	return func() (int, float64) {
		GinkgoHelper()
		count, seconds := observed(metric)
		return count - countBefore, seconds - secondsBefore
	}
}

const (
	convergence = "netbaseline_convergence_latency_seconds"
	repairTime  = "netbaseline_repair_latency_seconds"
)

var _ = Describe("metrics", func() {
	It("tell of a baseline's life, and go with it", func() {
		startOperator(func(o *controllers.Options) { o.Version = "1.2.3" })
		b := create(baseline())
		v := newVictim(b)
		inSync(b, 1)
		tamper(v.namespace, v.deny, openEgress)
		repairs(b, 1, v1alpha1.Repair{Namespace: v.namespace, Policy: v.deny, Action: "Changed", Manager: "intruder"})
		theirPolicy(v.namespace, "theirs", "{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}")
		Eventually(func() map[string]float64 { return of(b, "netbaseline_effect_findings") }).Should(Equal(map[string]float64{
			"OpenToEveryone": 1, "MetadataReopened": 0, "MetadataBlockWithheld": 0,
		}))

		Expect(of(b, "netbaseline_repairs_total")).To(Equal(map[string]float64{"Changed default-deny": 1}))
		Expect(of(b, "netbaseline_namespaces")).To(Equal(map[string]float64{"inSync": 1, "pending": 0, "failed": 0, "waiting": 0, "protected": 0}))
		Expect(of(b, "netbaseline_policies")).To(Equal(map[string]float64{"desired": 3, "inSync": 3}))
		Expect(of(b, "netbaseline_baseline_info")).To(Equal(map[string]float64{"Enforce": 1}))
		Expect(of(b, "netbaseline_baseline_condition")).To(Equal(map[string]float64{
			"Ready True": 1, "Ready False": 0, "Ready Unknown": 0,
			"Effective True": 0, "Effective False": 1, "Effective Unknown": 0,
			"Preflight True": 1, "Preflight False": 0, "Preflight Unknown": 0,
			"Reconciling True": 0, "Reconciling False": 0, "Reconciling Unknown": 0,
			"Stalled True": 0, "Stalled False": 0, "Stalled Unknown": 0,
		}))
		Expect(series("netbaseline_build_info", "version", "1.2.3")).To(HaveLen(1))

		edit(b, func() { b.Spec.Mode = v1alpha1.ModeAudit })
		Eventually(func() map[string]float64 { return of(b, "netbaseline_baseline_info") }).Should(Equal(map[string]float64{"Audit": 1}))
		Eventually(func() map[string]float64 { return of(b, "netbaseline_baseline_condition") }).Should(HaveKeyWithValue("Ready Unknown", 1.0))

		remove(b)
		left := func() (names []string) {
			for _, f := range families() {
				if len(of(b, f.GetName())) > 0 {
					names = append(names, f.GetName())
				}
			}
			return names
		}
		Eventually(left).Should(BeEmpty())
		Consistently(left).Should(BeEmpty())
	})

	It("go also with a baseline whose finalizer somebody took off", func() {
		startOperator()
		b := create(baseline())
		v := newVictim(b)
		conditions := func() map[string]float64 { return of(b, "netbaseline_baseline_condition") }
		Eventually(conditions).Should(HaveKeyWithValue("Ready True", 1.0))
		// The operator's own finalizer stays as long as somebody else's holds a policy.
		tamper(v.namespace, v.dns, func(p *networkingv1.NetworkPolicy) { p.Finalizers = []string{"example.com/hold"} })
		Expect(k8s.Delete(ctx, b)).To(Succeed())
		Eventually(conditions).Should(HaveKeyWithValue("Ready Unknown", 1.0))
		edit(b, func() { b.Finalizers = nil })
		gone(b)
		Eventually(conditions).Should(BeEmpty())
		Consistently(conditions).Should(BeEmpty())
		tamper(v.namespace, v.dns, func(p *networkingv1.NetworkPolicy) { p.Finalizers = nil })
	})

	It("time convergence once for each namespace, and repairs once for each", func() {
		startOperator()
		b := create(baseline())
		converged, repaired := latency(convergence), latency(repairTime)
		count := func(of func() (int, float64)) func() int {
			return func() int { n, _ := of(); return n }
		}
		var victims []*victim
		for range 3 {
			victims = append(victims, newVictim(b))
		}
		Eventually(count(converged)).Should(Equal(3))
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		Eventually(count(converged)).Should(Equal(6))
		label(victims[2].namespace, selectedBy, "")
		Eventually(count(converged)).Should(Equal(7))
		Expect(policyNames(victims[2].namespace)).To(BeEmpty())
		Consistently(count(repaired)).Should(BeZero())

		tamper(victims[0].namespace, victims[0].deny, openEgress)
		Eventually(count(repaired)).Should(Equal(1))
		victims[1].delete(victims[1].dns)
		Eventually(count(repaired)).Should(Equal(2))
		label(victims[0].namespace, "team", "shop")
		Consistently(count(repaired)).Should(Equal(2))
		Expect(count(converged)()).To(Equal(7))
		_, seconds := repaired()
		Expect(seconds).To(And(BeNumerically(">", 0), BeNumerically("<", 20)), "seconds, not another unit")
	})

	It("count refused writes by reason, and the time until they are accepted", func() {
		startOperator()
		b := create(baseline())
		namespace := newNamespace(nil)
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "one-policy"}}
		quota.Spec.Hard = corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("1")}
		Expect(k8s.Create(ctx, quota)).To(Succeed())
		// The quota controller does not run here; admission goes by the status alone.
		quota.Status.Hard = quota.Spec.Hard
		quota.Status.Used = corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("0")}
		Expect(k8s.Status().Update(ctx, quota)).To(Succeed())

		converged := latency(convergence)
		label(namespace, selectedBy, b.Name)
		Eventually(func() map[string]float64 { return of(b, "netbaseline_policy_writes_refused_total") }).Should(
			HaveKeyWithValue("Quota", BeNumerically(">=", 4)), "tried again")
		Expect(of(b, "netbaseline_policy_writes_refused_total")).To(HaveLen(1))
		Expect(series("netbaseline_policy_writes_total", "result", "refused")["create"]).To(BeNumerically(">=", 4))
		Expect(k8s.Delete(ctx, quota)).To(Succeed())
		holdsPlain(namespace, b)
		Eventually(func(g Gomega) {
			count, seconds := converged()
			g.Expect(count).To(Equal(1))
			// Two refused policies each time, so that a second attempt came after 100 ms.
			g.Expect(seconds).To(BeNumerically(">=", 0.1))
		}).Should(Succeed())
	})

	It("are named and described as Prometheus asks", func() {
		startOperator()
		b := create(baseline())
		v := newVictim(b)
		inSync(b, 1)
		tamper(v.namespace, v.deny, openEgress)
		Eventually(func() map[string]float64 { return of(b, "netbaseline_repairs_total") }).ShouldNot(BeEmpty())
		problems, err := promlint.NewWithMetricFamilies(families()).Lint()
		Expect(err).NotTo(HaveOccurred())
		Expect(problems).To(BeEmpty())
	})
})

var _ = Describe("Events in a fight", func() {
	It("are one object, however often it is repeated, and leave room for those of others", func() {
		startOperator()
		b := create(baseline())
		v, other := newVictim(b), newVictim(b)
		inSync(b, 2)
		const rounds = 100
		for round := range rounds {
			tamper(v.namespace, v.deny, openEgress)
			Eventually(func() []networkingv1.NetworkPolicyEgressRule { return specs(v.namespace)[v.deny].Egress }).Should(BeEmpty(), "round %d", round)
		}
		Eventually(func() int64 { return get(b).Status.Repairs.Total }).Should(BeEquivalentTo(rounds))
		other.delete(other.dns)

		about := func() map[string]eventsv1.Event {
			var list eventsv1.EventList
			Expect(k8s.List(ctx, &list)).To(Succeed())
			out := map[string]eventsv1.Event{}
			for i := range list.Items {
				if e := list.Items[i]; e.Regarding.UID == b.UID {
					out[e.Name] = e
				}
			}
			return out
		}
		Eventually(func() []string { return eventsOf(b) }).Should(ConsistOf(
			ContainSubstring("Repaired UndoChanged "+v.deny),
			ContainSubstring("Repaired UndoDeleted "+other.dns),
		))
		Consistently(about).Should(HaveLen(2))
		Expect(about()).To(ContainElement(HaveField("Series", Not(BeNil()))), "it says that it is a series")
	})
})
