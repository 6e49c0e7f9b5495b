// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const intruder = client.FieldOwner("intruder")

// tamper changes a policy by one update, as another field manager.
func tamper(namespace, name string, change func(*networkingv1.NetworkPolicy)) {
	GinkgoHelper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	edit(p, func() { change(p) }, intruder)
}

func openEgress(p *networkingv1.NetworkPolicy) {
	p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
}

func openIngress(p *networkingv1.NetworkPolicy) {
	p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
}

func narrow(p *networkingv1.NetworkPolicy) {
	p.Spec.PodSelector.MatchLabels = map[string]string{"app": "none"}
}

func cutTypes(p *networkingv1.NetworkPolicy) {
	p.Spec.PolicyTypes = []networkingv1.PolicyType{"Ingress"}
}

func strip(p *networkingv1.NetworkPolicy) { p.Labels = nil }

func disown(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil }

// victim is a namespace that holds the policies of the plain profile, as they were before the harm.
type victim struct {
	b         *v1alpha1.NetworkBaseline
	namespace string
	deny, dns string
	before    map[string]networkingv1.NetworkPolicy
}

func newVictim(b *v1alpha1.NetworkBaseline) *victim {
	GinkgoHelper()
	v := &victim{b: b, namespace: governed(b), deny: b.Name + "-default-deny", dns: b.Name + "-allow-dns"}
	holdsPlain(v.namespace, b)
	v.before = policies(v.namespace)
	return v
}

func (v *victim) delete(name string) {
	GinkgoHelper()
	Expect(k8s.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: v.namespace, Name: name}})).To(Succeed())
}

// healed waits until all is as it is written down here, and returns the policies that are other objects than before.
func (v *victim) healed(harm string) (replaced []string) {
	GinkgoHelper()
	metas := plainMetas(v.b)
	Eventually(func(g Gomega) {
		now := policies(v.namespace)
		g.Expect(slices.Sorted(maps.Keys(now))).To(Equal(slices.Sorted(maps.Keys(metas))))
		for name, p := range now {
			g.Expect(p.Spec).To(Equal(plainSpecs(v.b.Name)[name]), name)
			g.Expect(p.Labels).To(Equal(metas[name].Labels), name)
			g.Expect(p.Annotations).To(Equal(metas[name].Annotations), name)
			g.Expect(p.OwnerReferences).To(Equal(metas[name].OwnerReferences), name)
		}
	}).Should(Succeed(), harm)
	for name, p := range policies(v.namespace) {
		if p.UID != v.before[name].UID {
			replaced = append(replaced, name)
		}
	}
	slices.Sort(replaced)
	return replaced
}

// harm is something that somebody does to policies.
type harm struct {
	name string
	do   func(*victim)
	// replaced are the policies that have to be created again; all others keep their UID.
	replaced func(*victim) []string
}

func edits(name string, changes ...func(*networkingv1.NetworkPolicy)) harm {
	return harm{name, func(v *victim) {
		GinkgoHelper()
		tamper(v.namespace, v.deny, func(p *networkingv1.NetworkPolicy) {
			for _, change := range changes {
				change(p)
			}
		})
	}, func(*victim) []string { return nil }}
}

var harms = []harm{
	edits("egress: [{}] added", openEgress),
	edits("ingress: [{}] added", openIngress),
	edits("podSelector narrowed", narrow),
	edits("policyTypes cut", cutTypes),
	edits("all labels removed", strip),
	edits("the owner erased", disown),
	edits("the description rewritten", func(p *networkingv1.NetworkPolicy) { p.Annotations["netbaseline.io/description"] = "Harmless." }),
	edits("all of these in one write", openEgress, openIngress, narrow, strip, disown),
	{"a to removed", func(v *victim) {
		tamper(v.namespace, v.dns, func(p *networkingv1.NetworkPolicy) { p.Spec.Egress[0].To = nil })
	}, func(*victim) []string { return nil }},
	{"labels removed, then deleted", func(v *victim) {
		tamper(v.namespace, v.deny, strip)
		v.delete(v.deny)
	}, func(v *victim) []string { return []string{v.deny} }},
	{"deleted", func(v *victim) { v.delete(v.deny) }, func(v *victim) []string { return []string{v.deny} }},
	{"all of the namespace's policies deleted at once", func(v *victim) {
		Expect(k8s.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace(v.namespace))).To(Succeed())
	}, func(v *victim) []string { return slices.Sorted(maps.Keys(v.before)) }},
}

// Guarantee 3: whatever is done to a managed policy is put right by one write, in place where the policy still
// exists, and nothing is written afterwards.
var _ = Describe("repair", func() {
	Context("while the operator runs", Ordered, ContinueOnFailure, func() {
		var (
			o *operator
			b *v1alpha1.NetworkBaseline
		)
		BeforeAll(func() {
			o = startOperator()
			b = create(baseline())
		})

		for _, h := range harms {
			It("heals: "+h.name, func() {
				v := newVictim(b)
				h.do(v)
				Expect(v.healed(h.name)).To(Equal(h.replaced(v)))
				holdsStill(v.namespace)
			})
		}

		It("heals: every trace of us erased, even from managedFields", func() {
			v := newVictim(b)
			tamper(v.namespace, v.deny, func(p *networkingv1.NetworkPolicy) {
				openEgress(p)
				strip(p)
				disown(p)
				p.Annotations, p.ManagedFields = nil, []metav1.ManagedFieldsEntry{{}}
			})
			Expect(v.healed("erased")).To(BeEmpty())
			holdsStill(v.namespace)
		})

		It("undoes egress: [{}] that came by a forced server-side apply of another manager", func() {
			v := newVictim(b)
			o.requests.forget()
			Expect(k8s.Apply(ctx, client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
				"metadata": map[string]any{"namespace": v.namespace, "name": v.deny},
				"spec":     map[string]any{"policyTypes": []any{"Ingress", "Egress"}, "egress": []any{map[string]any{}}},
			}}), intruder, client.ForceOwnership)).To(Succeed())
			Expect(v.healed("applied")).To(BeEmpty())
			holdsStill(v.namespace)
			Expect(o.requests.writes("networkpolicies")).To(Equal([]string{
				"PUT /apis/networking.k8s.io/v1/namespaces/" + v.namespace + "/networkpolicies/" + v.deny,
			}))
		})

		It("writes once each time, however often", func() {
			v := newVictim(b)
			for range 5 {
				o.requests.forget()
				tamper(v.namespace, v.deny, openEgress)
				Expect(v.healed("again")).To(BeEmpty())
				Expect(o.requests.writes("networkpolicies")).To(HaveLen(1))
			}
		})

		It("heals what is tampered with while it heals", func() {
			v := newVictim(b)
			for i := range 20 {
				body := fmt.Sprintf(`{"spec": {"podSelector": {"matchLabels": {"try": "%d"}}}}`, i)
				p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: v.namespace, Name: v.deny}}
				Expect(k8s.Patch(ctx, p, client.RawPatch(types.MergePatchType, []byte(body)), intruder)).To(Succeed())
			}
			Expect(v.healed("hammered")).To(BeEmpty())
			holdsStill(v.namespace)
		})

		It("leaves a label and an annotation of somebody else, and writes nothing for them", func() {
			v := newVictim(b)
			tamper(v.namespace, v.deny, annotate)
			holdsStill(v.namespace)
			tamper(v.namespace, v.deny, openEgress)
			Eventually(func() networkingv1.NetworkPolicySpec { return specs(v.namespace)[v.deny] }).Should(Equal(denySpec()))
			annotated(policies(v.namespace)[v.deny])
		})
	})

	It("heals, when it starts, whatever was done while it was down", func() {
		first := startOperator()
		b := create(baseline())
		victims := map[string]*victim{}
		for _, h := range harms {
			victims[h.name] = newVictim(b)
		}
		harmless := newVictim(b)
		// The status must tell of it before the stop: by that it later knows a repair from a first rollout.
		inSync(b, len(harms)+1)
		first.stop()
		for _, h := range harms {
			h.do(victims[h.name])
		}
		tamper(harmless.namespace, harmless.deny, annotate)
		untouched := versions(harmless.namespace)

		startOperator()
		var namespaces []string
		for _, h := range harms {
			Expect(victims[h.name].healed(h.name)).To(Equal(h.replaced(victims[h.name])), h.name)
			namespaces = append(namespaces, victims[h.name].namespace)
		}
		holdsStill(namespaces...)
		Expect(versions(harmless.namespace)).To(Equal(untouched))
		annotated(policies(harmless.namespace)[harmless.deny])
		// All policies of one namespace are gone: that is no repair but a rollout, as far as anyone can tell.
		Eventually(func() int64 { return get(b).Status.Repairs.Total }).Should(BeNumerically(">=", len(harms)-1))
		Expect(eventsOf(b)).To(ContainElement(ContainSubstring(`was changed by field manager "intruder"`)))
	})

	It("tells what was changed, and by whom", func() {
		startOperator()
		b := create(baseline())
		v := newVictim(b)
		tamper(v.namespace, v.deny, openEgress)
		repairs(b, 1, v1alpha1.Repair{Namespace: v.namespace, Policy: v.deny, Action: "Changed", Manager: "intruder"})
		v.delete(v.dns)
		repairs(b, 2, v1alpha1.Repair{Namespace: v.namespace, Policy: v.dns, Action: "Deleted"})
		Eventually(func() []string { return eventsOf(b) }).Should(ConsistOf(
			"Warning Repaired UndoChanged "+v.deny+": NetworkPolicy "+v.namespace+"/"+v.deny+` was changed by field manager "intruder"; put it right`,
			"Warning Repaired UndoDeleted "+v.dns+": NetworkPolicy "+v.namespace+"/"+v.dns+" was deleted by somebody; created it again",
		))
	})

	It("does not count what it was asked to change", func() {
		startOperator()
		b := create(baseline())
		v := newVictim(b)
		edit(b, func() { b.Spec.Profile.AllowSameNamespace = &v1alpha1.AllowSameNamespace{} })
		Eventually(func() []string { return policyNames(v.namespace) }).Should(HaveLen(5))
		edit(b, func() { b.Spec.Profile.AllowDNS = nil })
		Eventually(func() []string { return policyNames(v.namespace) }).Should(HaveLen(4))
		Expect(inSync(b, 1).Status.Repairs).To(Equal(v1alpha1.Repairs{}))
		Expect(eventsOf(b)).To(BeEmpty())
	})
})

func annotate(p *networkingv1.NetworkPolicy) {
	p.Labels["team"], p.Annotations["example.com/note"] = "shop", "ours"
}

func annotated(p networkingv1.NetworkPolicy) {
	GinkgoHelper()
	Expect(p.Labels).To(HaveKeyWithValue("team", "shop"))
	Expect(p.Annotations).To(HaveKeyWithValue("example.com/note", "ours"))
}

// repairs waits until the status counts so many repairs, the last of them this one at any time.
func repairs(b *v1alpha1.NetworkBaseline, total int64, last v1alpha1.Repair) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		now := get(b).Status.Repairs
		g.Expect(now.Total).To(Equal(total))
		g.Expect(now.Last).NotTo(BeNil())
		g.Expect(now.Last.Time.IsZero()).To(BeFalse())
		now.Last.Time = metav1.Time{}
		g.Expect(*now.Last).To(Equal(last))
	}).Should(Succeed())
}

// eventsOf are the Events about a baseline, as "<type> <reason> <action> <policy>: <note>".
func eventsOf(b *v1alpha1.NetworkBaseline) []string {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(k8s.List(ctx, &list)).To(Succeed())
	var out []string
	for _, e := range list.Items {
		if e.Regarding.UID != b.UID {
			continue
		}
		related := ""
		if e.Related != nil {
			related = e.Related.Name
		}
		out = append(out, e.Type+" "+e.Reason+" "+e.Action+" "+related+": "+e.Note)
	}
	return out
}
