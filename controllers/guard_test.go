// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// warnings are what the API server told a client beside its answers.
type warnings struct{ texts []string }

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }

// as returns a client with somebody's identity.
func as(user string, told *warnings) client.Client {
	GinkgoHelper()
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate.UserName = user
	config.WarningHandler = rest.NoWarnings{}
	if told != nil {
		config.WarningHandler = told
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// mayWritePolicies lets a user write policies in every namespace, as a tenant may in those of its own.
func mayWritePolicies(user string, more ...rbacv1.PolicyRule) {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Rules:      append(more, rbacv1.PolicyRule{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: []string{"*"}}),
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	for _, o := range []client.Object{role, binding} {
		Expect(k8s.Create(ctx, o)).To(Succeed())
		DeferCleanup(func() { Expect(k8s.Delete(ctx, o)).To(Succeed()) })
	}
}

// guarded applies a kustomization of the guard until the container of specs ends. It returns when the API server goes by it.
func guarded(kustomization string, active func(tenant client.Client) error) client.Client {
	GinkgoHelper()
	mayWritePolicies("tenant")
	tenant := as("tenant", nil)
	kubectl("apply", "-k", filepath.Join("..", "config", kustomization))
	DeferCleanup(func() {
		kubectl("delete", "-k", filepath.Join("..", "config", kustomization))
		Eventually(func() error { return active(tenant) }).Should(Succeed(), "the guard is still active")
	})
	Eventually(func() error { return active(tenant) }).Should(MatchError(apierrors.IsForbidden, "forbidden"), "the guard is not active")
	return tenant
}

// claims is a policy that says that a baseline owns it.
func claims(namespace, name string, owner *v1alpha1.NetworkBaseline) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app.kubernetes.io/managed-by": "netbaseline"}}}
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, v1alpha1.GroupVersion.WithKind("NetworkBaseline"))}
	return p
}

// refuseClaims is an error when the guard of managed policies is active.
func refuseClaims(tenant client.Client) error {
	nobody := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "nobody", UID: "00000000-0000-0000-0000-000000000000"}}
	return tenant.Create(ctx, claims("default", "probe", nobody), client.DryRunAll)
}

// refused expects that the guard refuses, with these words, and changed nothing.
func refused(namespace string, words string, do func() error) {
	GinkgoHelper()
	before := versions(namespace)
	err := do()
	Expect(err).To(MatchError(apierrors.IsForbidden, "forbidden"))
	Expect(err).To(MatchError(ContainSubstring(words)))
	Expect(versions(namespace)).To(Equal(before))
}

var _ = Describe("the guard of managed policies", Ordered, ContinueOnFailure, func() {
	var (
		tenant, operatorItself client.Client
		b                      *v1alpha1.NetworkBaseline
		namespace              string
		deny                   *networkingv1.NetworkPolicy
	)
	BeforeAll(func() {
		tenant = guarded("guard", refuseClaims)
		var err error
		operatorItself, err = client.New(operatorConfig, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
	})
	// With an operator, because nothing but its own writes would bring the policies here.
	BeforeEach(func() {
		o := startOperator()
		b = create(baseline())
		namespace = governed(b)
		inSync(b, 1)
		o.stop() // what is refused is refused by the guard alone, and not undone
		deny = &networkingv1.NetworkPolicy{}
		Expect(k8s.Get(ctx, types.NamespacedName{Namespace: namespace, Name: b.Name + "-default-deny"}, deny)).To(Succeed())
	})

	patch := func(who client.Client, format string, args ...any) error {
		return who.Patch(ctx, deny.DeepCopy(), client.RawPatch(types.MergePatchType, fmt.Appendf(nil, format, args...)))
	}
	generated := func() string {
		return "NetworkPolicy " + namespace + "/" + deny.Name + " is generated by NetworkBaseline " + b.Name
	}

	It("refuses a tenant's edits of whatever the operator would undo, and says whose policy it is", func() {
		for _, change := range []string{
			`{"spec": {"egress": [{}]}}`,
			`{"spec": {"podSelector": {"matchLabels": {"app": "none"}}}}`,
			`{"metadata": {"labels": null}}`,
			`{"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}`,
			`{"metadata": {"labels": {"netbaseline.io/baseline": "other"}}}`,
			`{"metadata": {"labels": {"netbaseline.io/component": null}}}`,
			`{"metadata": {"ownerReferences": null}}`,
			`{"metadata": {"annotations": {"netbaseline.io/description": "Harmless."}}}`,
			`{"metadata": {"annotations": null}}`,
			`{"metadata": {"finalizers": ["example.com/hold"]}}`,
		} {
			By(change)
			refused(namespace, generated()+", which would undo the change: change that baseline instead", func() error { return patch(tenant, "%s", change) })
		}
		By("a whole object, with every trace of us erased")
		refused(namespace, generated(), func() error {
			stripped := deny.DeepCopy()
			stripped.Labels, stripped.Annotations, stripped.OwnerReferences = nil, nil, nil
			return tenant.Update(ctx, stripped)
		})
	})

	It("lets others write labels and annotations of their own, the same again, and take off a finalizer", func() {
		Expect(patch(tenant, `{"metadata": {"labels": {"team": "shop"}, "annotations": {"example.com/cost": "1"}}}`)).To(Succeed())
		Expect(patch(tenant, `{"metadata": {"labels": {"team": null}}}`)).To(Succeed())
		now := &networkingv1.NetworkPolicy{}
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(deny), now)).To(Succeed())
		Expect(tenant.Update(ctx, now)).To(Succeed(), "as a storage version migration does")
		edit(now, func() { now.Finalizers = []string{"example.com/hold"} })
		Expect(patch(tenant, `{"metadata": {"finalizers": null}}`)).To(Succeed())
	})

	It("refuses deletion, of one and of all, and leaves the tenant's own policies alone", func() {
		own := foreign(namespace, "own", nil)
		words := generated() + ", which would create it again: to be rid of it"
		refused(namespace, words, func() error { return tenant.Delete(ctx, deny.DeepCopy()) })
		refused(namespace, "which would create it again", func() error {
			return tenant.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace(namespace), client.MatchingLabels(deny.Labels))
		})
		Expect(tenant.Delete(ctx, own)).To(Succeed())
		holds(namespace, plainSpecs(b.Name))
	})

	It("refuses a forged owner, by creation and by edit, and lets a backup without owners be restored", func() {
		words := "says that NetworkBaseline " + b.Name + " owns it, and only netbaseline writes that: leave metadata.ownerReferences out"
		refused(namespace, words, func() error { return tenant.Create(ctx, claims(namespace, "forged", b)) })
		own := foreign(namespace, "own", nil)
		refused(namespace, words, func() error {
			forged := claims(namespace, own.Name, b)
			own.Labels, own.OwnerReferences = forged.Labels, forged.OwnerReferences
			return tenant.Update(ctx, own)
		})

		By("restoring, as Velero does: with labels and without owners")
		Expect(operatorItself.Delete(ctx, deny)).To(Succeed())
		restored := deny.DeepCopy()
		restored.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: deny.Name, Labels: deny.Labels, Annotations: deny.Annotations}
		Expect(tenant.Create(ctx, restored)).To(Succeed())
		startOperator()
		inSync(b, 1)
		Eventually(func() []metav1.OwnerReference { return policies(namespace)[deny.Name].OwnerReferences }).Should(Equal(deny.OwnerReferences))
		Expect(policies(namespace)[deny.Name].UID).To(Equal(restored.UID))
	})

	It("is no obstacle to whoever has the permission, nor to a retained policy's new life", func() {
		mayWritePolicies("breakglass", rbacv1.PolicyRule{APIGroups: []string{"netbaseline.io"}, Resources: []string{"networkbaselines"}, Verbs: []string{"manage-generated"}})
		Expect(patch(as("breakglass", nil), `{"spec": {"egress": [{}]}}`)).To(Succeed())
		edit(b, func() { b.Spec.DeletionPolicy = "Retain" })
		startOperator()
		inSync(b, 1)
		remove(b)
		Expect(policies(namespace)).To(HaveLen(3))
		Expect(tenant.Delete(ctx, deny)).To(Succeed(), "it is nobody's any more")
	})

	It("is no obstacle to the operator, in its whole life", func() {
		startOperator()
		inSync(b, 1)
		By("repairing what an administrator does")
		tamper(namespace, deny.Name, openEgress)
		holdsPlain(namespace, b)
		By("changing")
		edit(b, func() { b.Spec.Profile.AllowIngressController = nil })
		Eventually(func() []string { return policyNames(namespace) }).Should(Equal([]string{b.Name + "-allow-dns", b.Name + "-default-deny"}))
		By("a new namespace, a namespace that is no longer selected, a baseline that goes")
		second := governed(b)
		inSync(b, 2)
		label(second, selectedBy, "")
		holds(second, nothing)
		remove(b)
		Expect(policies(namespace)).To(BeEmpty())
	})

	It("is no obstacle to the namespace controller", func() {
		Expect(k8s.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		gone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	})

	It("lets everybody delete where the namespace is going", func() {
		held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "held", Finalizers: []string{"example.com/hold"}}}
		Expect(k8s.Create(ctx, held)).To(Succeed())
		DeferCleanup(func() { edit(held, func() { held.Finalizers = nil }) })
		// Something that the namespace controller cannot take away for us.
		edit(deny, func() { deny.Finalizers = []string{"example.com/hold"} })
		Expect(k8s.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		Eventually(func() error { return tenant.Delete(ctx, deny.DeepCopy()) }).Should(Succeed())
		Expect(patch(tenant, `{"metadata": {"finalizers": null}}`)).To(Succeed())
	})

	It("is no obstacle to the garbage collector, whose identity the API server sees", func() {
		gc := as("system:serviceaccount:kube-system:generic-garbage-collector", nil)
		Expect(gc.Delete(ctx, deny.DeepCopy(), client.DryRunAll)).To(Succeed())
		// As the documentation tells those who uninstalled the operator first.
		Expect(k8s.Delete(ctx, b)).To(Succeed())
		edit(b, func() { b.Finalizers = nil })
		gone(b)
		Eventually(func() []string { return policyNames(namespace) }).Should(BeEmpty())
	})
})
