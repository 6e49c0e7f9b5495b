// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// state is what one event of a watch showed: whoever acts on it sees no more and no less.
type state struct {
	Type watch.EventType
	Name string
	Spec networkingv1.NetworkPolicySpec
}

func states(r *record[*networkingv1.NetworkPolicy]) []state {
	var out []state
	for _, h := range r.all() {
		out = append(out, state{h.Type, h.Object.Name, h.Object.Spec})
	}
	return out
}

// Guarantee 1: the deny comes first and goes last, and carries the rules of the others meanwhile. What that means for
// connections, over all kinds of change, is proven in package policy; here is that the API server saw it in this
// order, and nothing else.
var _ = Describe("the order of writes", func() {
	var (
		b                        *v1alpha1.NetworkBaseline
		deny, dns, ingress, base string
	)

	BeforeEach(func() {
		b = baseline()
		base = b.Name
		deny, dns, ingress = base+"-default-deny", base+"-allow-dns", base+"-allow-ingress-controller"
	})

	arrival := func() []state {
		return []state{
			{watch.Added, deny, carryingSpec()},
			{watch.Added, dns, dnsSpec()},
			{watch.Added, ingress, nginxSpec()},
			{watch.Modified, deny, denySpec()},
		}
	}
	removal := func() []state {
		return []state{
			{watch.Deleted, deny, denySpec()},
			{watch.Deleted, dns, dnsSpec()},
			{watch.Deleted, ingress, nginxSpec()},
		}
	}
	follows := func(r *record[*networkingv1.NetworkPolicy], want []state) {
		GinkgoHelper()
		Eventually(func() int { return len(r.all()) }).Should(BeNumerically(">=", len(want)))
		Consistently(func() int { return len(r.all()) }).Should(Equal(len(want)), "%v", r.lines())
		Expect(states(r)).To(Equal(want))
	}

	It("brings the deny first, with all rules, and strips it last; in a deselected namespace the deny goes first", func() {
		startOperator()
		create(b)
		namespace := newNamespace(nil)
		r := recordPolicies(namespace)
		label(namespace, selectedBy, base)
		follows(r, arrival())
		label(namespace, selectedBy, "")
		follows(r, append(arrival(), removal()...))
	})

	It("keeps it when the namespace exists before the baseline, and when the baseline is deleted", func() {
		namespace := newNamespace(map[string]string{selectedBy: base})
		startOperator()
		r := recordPolicies(namespace)
		create(b)
		follows(r, arrival())
		remove(b)
		follows(r, append(arrival(), removal()...))
	})

	It("keeps it when the operator starts into namespaces that wait for it, and into a removal", func() {
		create(b)
		namespace := governed(b)
		r := recordPolicies(namespace)
		first := startOperator()
		follows(r, arrival())
		first.stop()
		label(namespace, selectedBy, "")
		startOperator()
		follows(r, append(arrival(), removal()...))
	})

	It("adds and removes an allow beside a deny that is there by one write", func() {
		startOperator()
		create(b)
		namespace := governed(b)
		holdsPlain(namespace, b)
		r := recordPolicies(namespace)
		same := func() *v1alpha1.AllowSameNamespace {
			return &v1alpha1.AllowSameNamespace{Directions: []v1alpha1.Direction{"Ingress"}}
		}
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = same() })
		added := []state{{watch.Added, base + "-allow-same-namespace-ingress", sameNamespaceSpec("Ingress")}}
		follows(r, added)
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = nil })
		follows(r, append(added, state{watch.Deleted, base + "-allow-same-namespace-ingress", sameNamespaceSpec("Ingress")}))
	})

	It("takes the deny away first when only the deny leaves the profile", func() {
		startOperator()
		create(b)
		namespace := governed(b)
		holdsPlain(namespace, b)
		r := recordPolicies(namespace)
		// Without a deny the two allows would isolate, so they go with it.
		edit(b, func() { b.Spec.Profile.DefaultDeny = nil })
		follows(r, removal())
	})
})
