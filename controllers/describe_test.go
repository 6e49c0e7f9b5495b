// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// describe is what kubectl describe tells of a baseline.
func describe(b *v1alpha1.NetworkBaseline) string {
	GinkgoHelper()
	out, err := exec.CommandContext(ctx, localcluster.Binary("kubectl"), "--kubeconfig="+cluster.Kubeconfig, "describe", "networkbaseline", b.Name).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
	return string(out)
}

// tells waits until kubectl describe holds all of these in its status, and nothing that programs say to programs.
func tells(b *v1alpha1.NetworkBaseline, want ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		_, status, _ := strings.Cut(describe(b), "\nStatus:\n")
		for _, w := range want {
			g.Expect(status).To(ContainSubstring(w))
		}
	}).Should(Succeed())
	AddReportEntry("kubectl describe", ReportEntryVisibilityFailureOrVerbose, describe(b))
}

// quota lets a namespace hold so many NetworkPolicies. The controller that counts does not run here.
func quota(namespace, policies string) *corev1.ResourceQuota {
	GinkgoHelper()
	const counted = "count/networkpolicies.networking.k8s.io"
	q := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "team-quota"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: resource.MustParse(policies)}},
	}
	Expect(k8s.Create(ctx, q)).To(Succeed())
	q.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: corev1.ResourceList{counted: resource.MustParse("0")}}
	Expect(k8s.Status().Update(ctx, q)).To(Succeed())
	return q
}

// kubectl describe alone must tell a stranger what is wrong, where, and what to write.
var _ = Describe("kubectl describe", func() {
	It("tells that DNS is elsewhere", func() {
		startOperator()
		withoutDNS()
		newPod("kube-system", "coredns-1", map[string]string{"k8s-app": "coredns"})
		b := create(dnsBaseline())
		governed(b)
		tells(b, "Reason:                PreflightFailed",
			"nothing is written in 1 namespace yet: allowDNS: the cluster's DNS was not found: no pod matches k8s-app=kube-dns in namespace kube-system.",
			"Near miss: pod kube-system/coredns-1 has the label k8s-app=coredns. If that is it, write spec.profile.allowDNS.resolvers: [{namespaceSelector: ")
	})

	It("tells that the ingress controller is on the host network", func() {
		startOperator()
		namespaceNamed("haproxy-controller", nil)
		newPod("haproxy-controller", "on-node-1", map[string]string{"app.kubernetes.io/name": "kubernetes-ingress"}, onHost)
		b := create(baseline(ingressControllers("HAProxy")))
		governed(b)
		tells(b, "Reason:                PreflightFailed",
			"ingress controller HAProxy runs on the host network (pod haproxy-controller/on-node-1), where no selector matches it.",
			"Write the addresses of its nodes (kubectl get nodes -o wide): spec.profile.allowIngressController.from: [{cidr: 192.0.2.0/24}] in place of HAProxy in controllers")
	})

	It("tells of a name that is taken", func() {
		startOperator()
		b := create(baseline())
		namespace := newNamespace(nil)
		foreign(namespace, b.Name+"-allow-dns", nil)
		label(namespace, selectedBy, b.Name)
		tells(b, "Reason:                InSync", "Reason:     NameTaken", "the generated one is called "+b.Name+"-allow-dns-2 here")
	})

	It("tells of a quota", func() {
		startOperator()
		b := create(baseline())
		namespace := newNamespace(nil)
		quota(namespace, "1")
		label(namespace, selectedBy, b.Name)
		tells(b, "Reason:                WriteRefused", "0 of 1 namespace in sync; "+namespace+"/"+b.Name+"-allow-dns: creating: ",
			"exceeded quota: team-quota, requested: count/networkpolicies.networking.k8s.io=1, used: count/networkpolicies.networking.k8s.io=1, limited: count/networkpolicies.networking.k8s.io=1; "+
				"raise the quota, or name the namespace in spec.excludedNamespaces. It is tried again by itself")
	})

	It("tells that metadata is reachable again", func() {
		startOperator()
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) { b.Spec.Profile.BlockMetadata = &v1alpha1.BlockMetadata{} }))
		namespace := governed(b)
		theirPolicy(namespace, "allow-web", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 80}, {port: 443}]}]}")
		tells(b, "Reason:                MetadataReopened", "Reason:                InSync",
			"overridden in 1 namespace; "+namespace+"/allow-web: allows egress to 100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16, 192.0.0.192/32, which blockMetadata blocks, on TCP 80, TCP 443: "+
				"leave that out, by an except of the rule's ipBlock or by naming other peers in its to")
	})

	It("tells that protected namespaces, and infrastructure, are selected", func() {
		startOperator()
		b := create(baseline())
		selectsToo(b, "kube-system")
		tells(b, "Reason:                NoNamespacesSelected", "Protected:          1",
			"namespaceSelector matches nothing else, so there is nothing to do; protected and left alone: kube-system (to govern one, name it in spec.includedProtectedNamespaces)")
		selectsToo(b, "kube-public", "kube-node-lease", "ingress-nginx")
		namespaceNamed("openshift-dns", nil)
		selectsToo(b, "openshift-dns")
		tells(b, "Reason:                InSync", "Reason:     InfrastructureSelected",
			"1 of 1 namespace in sync; protected and left alone: kube-node-lease, kube-public, kube-system and 1 more (to govern",
			"the baseline governs this namespace, which the profile names as that of its ingress controller or monitoring stack: name it in spec.excludedNamespaces unless that is meant")
	})
})
