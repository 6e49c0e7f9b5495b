// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// withRules returns the policy with the rules that the specs have in the direction added to its own, each once. The
// policy itself is left as it is.
func withRules(p *networkingv1.NetworkPolicy, d networkingv1.PolicyType, from []*networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
	out := *p
	if d == networkingv1.PolicyTypeIngress {
		out.Spec.Ingress = merge(p.Spec.Ingress, from, func(s *networkingv1.NetworkPolicySpec) []networkingv1.NetworkPolicyIngressRule { return s.Ingress })
	} else {
		out.Spec.Egress = merge(p.Spec.Egress, from, func(s *networkingv1.NetworkPolicySpec) []networkingv1.NetworkPolicyEgressRule { return s.Egress })
	}
	return &out
}

// isolating returns the policy with the direction added to its types, and for all pods. The policy itself is left as
// it is.
func isolating(p *networkingv1.NetworkPolicy, d networkingv1.PolicyType) *networkingv1.NetworkPolicy {
	out := *p
	out.Spec.PodSelector = metav1.LabelSelector{}
	out.Spec.PolicyTypes = nil
	for _, t := range directions {
		if t == d || hasType(&p.Spec, t) {
			out.Spec.PolicyTypes = append(out.Spec.PolicyTypes, t)
		}
	}
	return &out
}

func merge[R any](own []R, from []*networkingv1.NetworkPolicySpec, rules func(*networkingv1.NetworkPolicySpec) []R) []R {
	out := slices.Clone(own)
	for _, spec := range from {
		for _, rule := range rules(spec) {
			if !slices.ContainsFunc(out, func(r R) bool { return equality.Semantic.DeepEqual(r, rule) }) {
				out = append(out, rule)
			}
		}
	}
	return out
}
