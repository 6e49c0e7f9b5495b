// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Guarantee 7: Ready=True speaks of every selected namespace, with today's facts.
var _ = Describe("scenarios of truth", func() {
	It("A6: is Unknown at once when a namespace is new, until its policies are in place", func() {
		i := interfere()
		startOperator()
		b := create(baseline())
		first := governed(b)
		inSync(b, 1)

		second := newNamespace(nil)
		held := i.hold(writesTo(second))
		label(second, selectedBy, b.Name)
		held.hit()
		Eventually(func(g Gomega) {
			g.Expect(ready(b)).To(Equal("Unknown/Converging"))
			g.Expect(get(b).Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 2, InSync: 1, Pending: 1}))
		}).WithTimeout(statusPatience).Should(Succeed())
		neverReady(b, quietFor)
		Expect(policies(second)).To(BeEmpty())

		held.lift()
		holdsPlain(second, b)
		inSync(b, 2)
		holdsStill(first, second)
	})

	It("A6: is not Ready while a new port of the resolvers has not reached every namespace", func() {
		i := interfere()
		startOperator()
		dnsService()
		endpoints("kube-system", "kube-dns", unique("kube-dns"), 53, "10.244.0.2")
		b := create(dnsBaseline())
		reached, late := governed(b), []string{governed(b), governed(b), governed(b)}
		inSync(b, 4)
		dns := func(namespace string) func() []string {
			return func() []string { return reaches(specs(namespace)[b.Name+"-allow-dns"]) }
		}
		Eventually(dns(reached)).Should(ContainElement("pods UDP 53"))

		var held []*interferenceRule
		for _, namespace := range late {
			held = append(held, i.hold(writesTo(namespace)))
		}
		endpoints("kube-system", "kube-dns", unique("kube-dns"), 5353, "10.244.0.3")
		Eventually(dns(reached)).Should(ContainElement("pods UDP 5353"))
		Eventually(func() string { return readyAtAll(b) }).WithTimeout(statusPatience).Should(Equal("Unknown"))
		for _, rule := range held {
			neverReady(b)
			rule.lift()
		}
		for _, namespace := range late {
			Eventually(dns(namespace)).Should(ContainElement("pods UDP 5353"))
		}
		inSync(b, 4)
		holdsStill(append(late, reached)...)
	})

	// repaired tampers with policies in turn, and waits each time until the namespace is as it was.
	repaired := func(namespace string, times int, names ...string) {
		GinkgoHelper()
		want := specs(namespace)
		for n := range times {
			tamper(namespace, names[n%len(names)], openEgress)
			Eventually(func() map[string]networkingv1.NetworkPolicySpec { return specs(namespace) }).Should(Equal(want), "repair %d", n+1)
		}
	}
	counted := func(b *v1alpha1.NetworkBaseline, want int) {
		GinkgoHelper()
		total := func() int64 { return get(b).Status.Repairs.Total }
		Eventually(total).WithTimeout(statusPatience).Should(BeEquivalentTo(want), "repairs of %s", b.Name)
		Consistently(total).Should(BeEquivalentTo(want))
	}

	It("A7: counts every repair in a namespace of several baselines", func() {
		startOperator()
		var baselines []*v1alpha1.NetworkBaseline
		var names []string
		for range 4 {
			b := baseline(profile(v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{}}))
			if len(baselines) > 0 {
				alongside(baselines[0])(b)
			}
			baselines = append(baselines, create(b))
			names = append(names, b.Name+"-default-deny")
		}
		namespace := governed(baselines[0])
		for _, b := range baselines {
			inSync(b, 1)
		}
		repaired(namespace, 20, names...)
		for _, b := range baselines {
			counted(b, 5)
		}
		holdsStill(namespace)
	})

	It("A7: counts every repair in a namespace with foreign policies", func() {
		startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		for n := range 3 {
			theirPolicy(namespace, fmt.Sprintf("theirs-%d", n), fmt.Sprintf("{podSelector: {matchLabels: {app: a%d}}, policyTypes: [Ingress, Egress]}", n))
		}
		repaired(namespace, 20, b.Name+"-default-deny", b.Name+"-allow-ingress-controller")
		counted(b, 20)
		holdsStill(namespace)
	})
})

// Guarantee 9: lost facts keep the last known good, item by item.
var _ = Describe("scenarios of discovery", func() {
	var (
		b          *v1alpha1.NetworkBaseline
		namespaces []string
	)
	dns := func() []string { return reaches(specs(namespaces[0])[b.Name+"-allow-dns"]) }
	start := func() {
		GinkgoHelper()
		startOperator()
		b = create(dnsBaseline())
		namespaces = []string{governed(b), governed(b)}
		inSync(b, 2)
	}

	DescribeTable("A8: keeps a port of the resolvers", func(lose func(of string)) {
		dnsService()
		slice := endpoints("kube-system", "kube-dns", unique("kube-dns"), 5353, "10.244.0.2")
		start()
		Eventually(dns).Should(ContainElements("pods UDP 53", "pods UDP 5353"))
		inSync(b, 2)
		events := recordPolicies("")
		lose(slice.Name)
		Consistently(events.lines, quietFor).Should(BeEmpty())
		Expect(dns()).To(ContainElements("pods UDP 53", "pods TCP 53", "pods UDP 5353", "pods TCP 5353"))
		holdsStill(namespaces...)
		inSync(b, 2)
	},
		Entry("A8: when an EndpointSlice loses its ports", func(name string) {
			slice := sliceNamed(name)
			edit(slice, func() { slice.Ports = nil })
		}),
		Entry("A8: when an EndpointSlice is deleted and its Service stays", func(name string) {
			Expect(k8s.Delete(ctx, sliceNamed(name))).To(Succeed())
		}),
	)

	It("A8: keeps the address of NodeLocal DNSCache while its Service is replaced", func() {
		dnsService()
		upstream := service("kube-dns-upstream", map[string]string{"k8s-app": "kube-dns"})
		start()
		Eventually(dns).Should(ContainElements("169.254.20.10/32 TCP 53", "169.254.20.10/32 UDP 53"))
		inSync(b, 2)
		events := recordPolicies("")
		Expect(k8s.Delete(ctx, upstream)).To(Succeed())
		Consistently(events.lines, quietFor).Should(BeEmpty())
		Expect(dns()).To(ContainElements("169.254.20.10/32 TCP 53", "169.254.20.10/32 UDP 53"))

		service(upstream.Name, map[string]string{"k8s-app": "kube-dns"})
		Consistently(events.lines).Should(BeEmpty())
		inSync(b, 2)
	})
})
