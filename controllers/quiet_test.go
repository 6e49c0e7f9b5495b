// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/kubernetes"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// quietFor is how long nothing must happen: longer than every delay of the operator but its rarest.
const quietFor = 2 * time.Second

// Guarantee 6: without drift there are no writes and no reads but watches.
var _ = Describe("quiet", func() {
	var (
		o          *operator
		b          *v1alpha1.NetworkBaseline
		namespaces []string
	)
	BeforeEach(func() {
		o = startOperator()
		b = create(baseline())
		namespaces = nil
		for range 20 {
			namespaces = append(namespaces, governed(b))
		}
		for _, namespace := range namespaces {
			holdsPlain(namespace, b)
		}
		inSync(b, len(namespaces))
	})

	It("sends no request once all is in sync, as the API server counts them", func() {
		clientset, err := kubernetes.NewForConfig(cluster.Config)
		Expect(err).NotTo(HaveOccurred())
		served := func() map[string]string {
			GinkgoHelper()
			data, err := clientset.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
			Expect(err).NotTo(HaveOccurred())
			return requestsServed(string(data))
		}
		before := versions(namespaces...)
		o.requests.forget()
		// Eventually, because the garbage collector may still be at what the spec before this one left to it.
		Eventually(func(g Gomega) {
			now := served()
			g.Expect(now).NotTo(BeEmpty())
			g.Consistently(served, quietFor).Should(Equal(now))
		}).Should(Succeed())
		Expect(o.requests.all()).To(BeEmpty())
		Expect(versions(namespaces...)).To(Equal(before))
	})

	It("writes nothing when it starts again", func() {
		status := get(b)
		seen, baselines := recordPolicies(""), recordBaseline(b)
		o.stop()
		o = startOperator()
		Consistently(func() []string {
			return append(o.requests.writes("networkpolicies"), o.requests.writes("networkbaselines")...)
		}, quietFor).Should(BeEmpty())
		Expect(baselines.lines()).To(BeEmpty())
		for _, h := range seen.all() {
			Expect(namespaces).NotTo(ContainElement(h.Object.Namespace), "%s %s", h.Type, h.Object.Name)
		}
		Expect(get(b)).To(Equal(status))
		// It is awake all the same.
		holdsPlain(governed(b), b)
		inSync(b, len(namespaces)+1)
	})

	It("sleeps through changes that mean nothing to it", func() {
		o.requests.forget()
		label(namespaces[0], "example.com/team", "shop")
		edit(b, func() { b.Labels = map[string]string{"example.com/team": "shop"} })
		foreign(namespaces[1], "theirs", nil)
		Consistently(func() []string { return o.requests.all() }, quietFor).Should(BeEmpty())
	})
})

var _ = Describe("the cost of convergence", func() {
	It("is one write for each policy and one for each namespace, and a status about once a second", func() {
		const n = 100
		b := create(baseline())
		var namespaces []string
		for range n {
			namespaces = append(namespaces, governed(b))
		}
		statuses := recordBaseline(b)
		began := time.Now()
		o := startOperator()
		inSync(b, n)
		seconds := int(time.Since(began).Seconds())
		for _, namespace := range namespaces {
			Expect(specs(namespace)).To(Equal(plainSpecs(b.Name)))
		}
		Expect(o.requests.writes("networkpolicies")).To(HaveLen(n*3 + n))
		// One is the finalizer, one the status at the start, one that at the end.
		Expect(len(statuses.all())).To(BeNumerically("<=", seconds+3), "%d s", seconds)
		remove(b)
	})
})

var requestLine = regexp.MustCompile(`(?m)^apiserver_request_total\{(.*)\} (\S+)$`)

// requestsServed are the API server's counters of requests for what the operator reads and writes. Watches are counted
// when they end, which says nothing.
func requestsServed(metrics string) map[string]string {
	out := map[string]string{}
	for _, m := range requestLine.FindAllStringSubmatch(metrics, -1) {
		for _, resource := range []string{"networkpolicies", "networkbaselines", "namespaces", "pods", "events"} {
			if strings.Contains(m[1], `resource="`+resource+`"`) && !strings.Contains(m[1], `verb="WATCH"`) {
				out[m[1]] = m[2]
			}
		}
	}
	return out
}
