// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// backsWebhook has an admission webhook, which asks for nothing, served from the namespace until the spec ends.
func backsWebhook(namespace string) {
	GinkgoHelper()
	configuration := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: unique("webhook")},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "check.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionv1.SideEffectClassNone),
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: namespace, Name: "webhook"}},
		}},
	}
	Expect(k8s.Create(ctx, configuration)).To(Succeed())
	DeferCleanup(func() { Expect(k8s.Delete(ctx, configuration)).To(Succeed()) })
}

// applied creates an object from YAML that goes when the spec ends.
func applied(manifest string) {
	GinkgoHelper()
	o := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal([]byte(manifest), &o.Object)).To(Succeed())
	Expect(k8s.Create(ctx, o)).To(Succeed())
	DeferCleanup(func() {
		Expect(k8s.Delete(ctx, o)).To(Succeed())
		gone(o)
	})
}

// warned waits for what the baseline says of infrastructure that it selects: messages by namespace.
func warned(b *v1alpha1.NetworkBaseline, want map[string]string) {
	GinkgoHelper()
	Eventually(func() map[string]string {
		out := map[string]string{}
		for _, p := range get(b).Status.Problems {
			if p.Reason == "InfrastructureSelected" {
				out[p.Namespace] = p.Message
			}
		}
		return out
	}).Should(Equal(want))
}

// selectsToo labels namespaces that are there already, until the spec ends.
func selectsToo(b *v1alpha1.NetworkBaseline, namespaces ...string) {
	GinkgoHelper()
	for _, namespace := range namespaces {
		label(namespace, selectedBy, b.Name)
		DeferCleanup(func() { label(namespace, selectedBy, "") })
	}
}

// Guarantee 5: some namespaces are never governed by a selector alone.
var _ = Describe("protection", func() {
	It("keeps the platforms' namespaces out, counts them, and governs those that are named as well", func() {
		startOperator()
		platform := []string{"calico-system", "tigera-operator", "kube-flannel", "cilium-secrets", "kube-ovn", "openshift", "openshift-monitoring", "gke-managed-system", "gmp-public", "cattle-fleet", "app-routing-system"}
		b := create(baseline())
		for _, namespace := range platform {
			namespaceNamed(namespace, nil)
		}
		selectsToo(b, append(platform, "kube-system", "kube-public", "kube-node-lease")...)
		mine := governed(b)
		now := inSync(b, 1)
		Expect(now.Status.Namespaces).To(Equal(v1alpha1.NamespaceCounts{Selected: 1, InSync: 1, Protected: 14}))
		holdsPlain(mine, b)
		for _, namespace := range append(platform, "kube-system") {
			Expect(policies(namespace)).To(BeEmpty(), namespace)
		}

		By("naming one that is selected, and one that is not")
		namespaceNamed("openshift-console", nil)
		edit(b, func() {
			b.Spec.IncludedProtectedNamespaces = []v1alpha1.NamespaceName{"openshift-monitoring", "openshift-console"}
		})
		holdsPlain("openshift-monitoring", b)
		Expect(inSync(b, 2).Status.Namespaces.Protected).To(BeEquivalentTo(13))
		Expect(policies("openshift-console")).To(BeEmpty(), "it is named and not selected")

		By("excluding it as well, which counts more")
		edit(b, func() { b.Spec.ExcludedNamespaces = []v1alpha1.NamespaceName{"openshift-monitoring"} })
		holds("openshift-monitoring", nothing)
		inSync(b, 1)
	})

	It("goes by the list that it was started with", func() {
		startOperator(func(o *controllers.Options) { o.Protection = policy.Protection{"kube-system", "payments-*"} })
		b := create(baseline())
		namespaceNamed("payments-eu", nil)
		namespaceNamed("payments", nil)
		namespaceNamed("cattle-system", nil)
		selectsToo(b, "payments-eu", "payments", "cattle-system")
		Expect(inSync(b, 2).Status.Namespaces.Protected).To(BeEquivalentTo(1))
		Expect(policies("payments-eu")).To(BeEmpty())
		holdsPlain("payments", b)
		holdsPlain("cattle-system", b)
	})

	It("warns of selected namespaces that the API server calls into, or that the profile itself names", func() {
		webhook, api, conversion, plain := newNamespace(nil), newNamespace(nil), newNamespace(nil), newNamespace(nil)
		backsWebhook(webhook)
		applied(`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.aggregated.example.com}, spec: {group: aggregated.example.com, version: v1, ` +
			`groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {namespace: ` + api + `, name: api}}}`)
		applied(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.converted.example.com}, spec: {group: converted.example.com, scope: Cluster, ` +
			`names: {plural: things, kind: Thing}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}], ` +
			`conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {service: {namespace: ` + conversion + `, name: convert}}}}}}`)
		startOperator()
		b := create(baseline())
		selectsToo(b, webhook, api, conversion, plain, "ingress-nginx")
		const before, after = "the baseline governs this namespace, which ", ": name it in spec.excludedNamespaces unless that is meant"
		const denied = ", from addresses that no selector matches"
		warned(b, map[string]string{
			webhook:         before + "the API server calls into for admission webhook check.example.com" + denied + after,
			api:             before + "the API server calls into for aggregated API v1.aggregated.example.com" + denied + after,
			conversion:      before + "the API server calls into for CRD conversion things.converted.example.com" + denied + after,
			"ingress-nginx": before + "the profile names as that of its ingress controller or monitoring stack" + after,
		})
		inSync(b, 5)

		edit(b, func() {
			for _, namespace := range []string{webhook, api, conversion, "ingress-nginx"} {
				b.Spec.ExcludedNamespaces = append(b.Spec.ExcludedNamespaces, v1alpha1.NamespaceName(namespace))
			}
		})
		warned(b, map[string]string{})
		inSync(b, 1)
	})

	It("warns of the namespaces of a peer that is described, but not of a peer that is everyone", func() {
		startOperator()
		monitoring, plain := newNamespace(map[string]string{"team": "monitoring"}), newNamespace(nil)
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile.AllowMonitoring = &v1alpha1.AllowMonitoring{From: []v1alpha1.Peer{
				{NamespaceSelector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"team": "monitoring"}}},
				{NamespaceSelector: &v1alpha1.LabelSelector{}},
				{PodSelector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": "prometheus"}}},
				{CIDR: "192.0.2.0/24"},
			}}
		}))
		selectsToo(b, monitoring, plain)
		warned(b, map[string]string{monitoring: "the baseline governs this namespace, which the profile names as that of its ingress controller or monitoring stack: " +
			"name it in spec.excludedNamespaces unless that is meant"})
		inSync(b, 2)
	})
})
