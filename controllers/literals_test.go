// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// What the policies are, written out: no test asks the code under test what to expect of it.

func denySpec() networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"}}
}

func dnsRule() networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "kube-system"}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
		}},
		Ports: []networkingv1.NetworkPolicyPort{
			{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))},
			{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(53))},
		},
	}
}

func dnsSpec() networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{"Egress"},
		Egress:      []networkingv1.NetworkPolicyEgressRule{dnsRule()},
	}
}

func nginxRule() networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{
		From: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "ingress-nginx"}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "ingress-nginx"}},
		}},
	}
}

func nginxSpec() networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{"Ingress"},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{nginxRule()},
	}
}

// sameNamespaceSpec is allow-same-namespace-ingress or -egress.
func sameNamespaceSpec(direction networkingv1.PolicyType) networkingv1.NetworkPolicySpec {
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}
	if direction == "Ingress" {
		return networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{"Ingress"},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peers}},
		}
	}
	return networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{"Egress"},
		Egress:      []networkingv1.NetworkPolicyEgressRule{{To: peers}},
	}
}

// carryingSpec is the default-deny of the plain profile while the other policies come or go.
func carryingSpec() networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{nginxRule()},
		Egress:      []networkingv1.NetworkPolicyEgressRule{dnsRule()},
	}
}

// plainSpecs are those of the plain profile.
func plainSpecs(baseline string) map[string]networkingv1.NetworkPolicySpec {
	return map[string]networkingv1.NetworkPolicySpec{
		baseline + "-default-deny":             denySpec(),
		baseline + "-allow-dns":                dnsSpec(),
		baseline + "-allow-ingress-controller": nginxSpec(),
	}
}

// plainMeta is what a policy of the baseline carries beside its spec.
func plainMeta(b *v1alpha1.NetworkBaseline, component, description string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Labels: map[string]string{
			"app.kubernetes.io/managed-by": "netbaseline",
			"netbaseline.io/baseline":      b.Name,
			"netbaseline.io/component":     component,
		},
		Annotations: map[string]string{
			"netbaseline.io/description": description + " Managed by NetworkBaseline " + b.Name + ": changes are undone.",
		},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "netbaseline.io/v1alpha1", Kind: "NetworkBaseline", Name: b.Name, UID: b.UID,
			Controller: new(true), BlockOwnerDeletion: new(true),
		}},
	}
}

// plainMetas are those of the plain profile's policies, by name.
func plainMetas(b *v1alpha1.NetworkBaseline) map[string]metav1.ObjectMeta {
	return map[string]metav1.ObjectMeta{
		b.Name + "-default-deny":             plainMeta(b, "default-deny", "Denies whatever no other policy of this namespace allows."),
		b.Name + "-allow-dns":                plainMeta(b, "allow-dns", "Allows every pod to resolve names through the cluster's DNS."),
		b.Name + "-allow-ingress-controller": plainMeta(b, "allow-ingress-controller", "Allows the ingress controller to reach pods."),
	}
}
