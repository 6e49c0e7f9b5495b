// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// selectedBy is the label with which a namespace of these tests names the baseline that selects it.
const selectedBy = "selected-by"

var serial atomic.Int64

// unique returns a name that no other spec uses.
func unique(prefix string) string { return fmt.Sprintf("%s-%d", prefix, serial.Add(1)) }

// newNamespace creates a namespace with these labels. It stays when the spec ends: deleting it costs more than all the
// rest, and no other spec's baseline selects it.
func newNamespace(labels map[string]string) string {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: labels}}
	Expect(k8s.Create(ctx, ns)).To(Succeed())
	return ns.Name
}

// governed creates a namespace that the baseline selects.
func governed(b *v1alpha1.NetworkBaseline) string {
	GinkgoHelper()
	return newNamespace(map[string]string{selectedBy: b.Name})
}

// plainProfile renders default-deny, allow-dns and allow-ingress-controller.
func plainProfile() v1alpha1.Profile {
	return v1alpha1.Profile{
		DefaultDeny:            &v1alpha1.DefaultDeny{},
		AllowDNS:               &v1alpha1.AllowDNS{},
		AllowIngressController: &v1alpha1.AllowIngressController{Controllers: []v1alpha1.IngressController{"IngressNginx"}},
	}
}

// baseline returns one with the plain profile, unique, that selects the namespaces which name it, and is not created
// yet.
func baseline(change ...func(*v1alpha1.NetworkBaseline)) *v1alpha1.NetworkBaseline {
	name := unique("bl")
	b := &v1alpha1.NetworkBaseline{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.NetworkBaselineSpec{
			NamespaceSelector: v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{selectedBy: v1alpha1.LabelValue(name)}},
			Profile:           plainProfile(),
		},
	}
	for _, c := range change {
		c(b)
	}
	return b
}

// create creates a baseline that goes when the spec ends.
func create(b *v1alpha1.NetworkBaseline) *v1alpha1.NetworkBaseline {
	GinkgoHelper()
	Expect(k8s.Create(ctx, b)).To(Succeed())
	DeferCleanup(func() {
		Expect(client.IgnoreNotFound(k8s.Delete(ctx, b))).To(Succeed())
		if running == nil {
			// By hand, as the documentation tells those who uninstalled the operator first.
			edit(b, func() { b.Finalizers = nil })
		}
		gone(b)
		// The garbage collector is done too, before the next spec looks at what happens in the cluster.
		Eventually(func() int { return ownedBy(b) }).Should(BeZero())
	})
	return b
}

// ownedBy counts the policies of a baseline.
func ownedBy(b *v1alpha1.NetworkBaseline) int {
	GinkgoHelper()
	var list networkingv1.NetworkPolicyList
	Expect(k8s.List(ctx, &list)).To(Succeed())
	n := 0
	for i := range list.Items {
		if slices.ContainsFunc(list.Items[i].OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == b.UID }) {
			n++
		}
	}
	return n
}

// remove deletes a baseline as a user does, and waits until the operator lets it go.
func remove(b *v1alpha1.NetworkBaseline) {
	GinkgoHelper()
	Expect(k8s.Delete(ctx, b)).To(Succeed())
	gone(b)
}

func gone(o client.Object) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(o), o))
	}).Should(BeTrue(), "%T %s is still there", o, client.ObjectKeyFromObject(o))
}

// edit changes an object that exists, whatever others do to it meanwhile. One that is gone is left gone.
func edit(o client.Object, change func(), options ...client.UpdateOption) {
	GinkgoHelper()
	Eventually(func() error {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return client.IgnoreNotFound(err)
		}
		change()
		return client.IgnoreNotFound(k8s.Update(ctx, o, options...))
	}).Should(Succeed())
}

// label sets a label of a namespace, or removes it when the value is empty.
func label(namespace, key, value string) {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	edit(ns, func() {
		if value == "" {
			delete(ns.Labels, key)
			return
		}
		metav1.SetMetaDataLabel(&ns.ObjectMeta, key, value)
	})
}

// policies of a namespace by name.
func policies(namespace string) map[string]networkingv1.NetworkPolicy {
	GinkgoHelper()
	var list networkingv1.NetworkPolicyList
	Expect(k8s.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	out := map[string]networkingv1.NetworkPolicy{}
	for _, p := range list.Items {
		out[p.Name] = p
	}
	return out
}

func policyNames(namespace string) []string {
	GinkgoHelper()
	return slices.Sorted(maps.Keys(policies(namespace)))
}

// versions tell every write to the policies of the namespaces apart.
func versions(namespaces ...string) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, namespace := range namespaces {
		for name, p := range policies(namespace) {
			out[namespace+"/"+name] = string(p.UID) + "@" + p.ResourceVersion
		}
	}
	return out
}

// holdsStill checks that nobody writes the policies of the namespaces any more.
func holdsStill(namespaces ...string) {
	GinkgoHelper()
	now := versions(namespaces...)
	Consistently(func() map[string]string { return versions(namespaces...) }).Should(Equal(now))
}

// specs are what a namespace holds.
func specs(namespace string) map[string]networkingv1.NetworkPolicySpec {
	GinkgoHelper()
	out := map[string]networkingv1.NetworkPolicySpec{}
	for name, p := range policies(namespace) {
		out[name] = p.Spec
	}
	return out
}

// holds waits until the namespace holds exactly these policies.
func holds(namespace string, want map[string]networkingv1.NetworkPolicySpec) {
	GinkgoHelper()
	Eventually(func() map[string]networkingv1.NetworkPolicySpec { return specs(namespace) }).Should(Equal(want), "in namespace %s", namespace)
}

// holdsPlain waits until the namespace holds what the plain profile renders.
func holdsPlain(namespace string, b *v1alpha1.NetworkBaseline) {
	GinkgoHelper()
	holds(namespace, plainSpecs(b.Name))
}

// get returns the baseline as it is now.
func get(b *v1alpha1.NetworkBaseline) *v1alpha1.NetworkBaseline {
	GinkgoHelper()
	now := &v1alpha1.NetworkBaseline{}
	Expect(k8s.Get(ctx, types.NamespacedName{Name: b.Name}, now)).To(Succeed())
	return now
}

// conditionOf is "<status>/<reason>" of a condition at the baseline's generation; "" when there is none.
func conditionOf(b *v1alpha1.NetworkBaseline, conditionType string) string {
	condition := meta.FindStatusCondition(b.Status.Conditions, conditionType)
	if condition == nil || b.Status.ObservedGeneration != b.Generation {
		return ""
	}
	return string(condition.Status) + "/" + condition.Reason
}

// ready is the Ready condition as it is now.
func ready(b *v1alpha1.NetworkBaseline) string {
	GinkgoHelper()
	return conditionOf(get(b), "Ready")
}

// inSync waits until the baseline says that so many namespaces are in sync, and returns it.
func inSync(b *v1alpha1.NetworkBaseline, namespaces int) *v1alpha1.NetworkBaseline {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(ready(b)).To(Equal("True/InSync"))
		n := get(b).Status.Namespaces
		g.Expect([]int32{n.Selected, n.InSync}).To(HaveEach(BeEquivalentTo(namespaces)))
	}).Should(Succeed())
	return get(b)
}

func hasFinalizer(b *v1alpha1.NetworkBaseline) bool {
	return controllerutil.ContainsFinalizer(get(b), "netbaseline.io/ordered-removal")
}
