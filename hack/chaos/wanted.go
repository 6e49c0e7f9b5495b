// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// wish is a policy that a baseline asks for, with its labels and its owner.
type wish struct {
	baseline string
	policy   *networkingv1.NetworkPolicy
}

// wanted are the policies that a namespace should hold when all is well, and the names of the baselines that select it.
// Nothing else here asks the operator's own code what is right: the judge goes by what the settled states allow.
func wanted(ns *corev1.Namespace, baselines []v1alpha1.NetworkBaseline) (policies []wish, selecting []string, err error) {
	state := &policy.State{Namespace: policy.Namespace{Name: ns.Name, Labels: ns.Labels}, Protection: policy.DefaultProtection}
	for i := range baselines {
		b, err := policy.Admitted(&baselines[i])
		if err != nil {
			return nil, nil, err
		}
		state.Baselines = append(state.Baselines, b)
	}
	decision := policy.Decide(state)
	for _, c := range decision.Contributions {
		if c.Phase == policy.Enforcing {
			selecting = append(selecting, c.Name)
		}
	}
	for _, p := range decision.Wanted.Policies {
		policies = append(policies, wish{p.Baseline, p.NetworkPolicy})
	}
	return policies, selecting, nil
}
