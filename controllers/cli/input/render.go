// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package input

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/cli"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// schema refuses what the API server would refuse of a NetworkBaseline.
type schema = cli.Schema

var builtInSchema = cli.BuiltInSchema

// Render returns the policies that a namespace will hold once the baselines are in force: those that they render, and
// those of today that are not theirs.
type Render func(namespace string, labels map[string]string, live []networkingv1.NetworkPolicy) []networkingv1.NetworkPolicy

// Operator does what the operator would do. This file is the only place that depends on how that is decided.
type Operator struct {
	Render Render
	// Governing returns the names of the baselines that select a namespace, sorted.
	Governing func(namespace string) []string
}

// NewOperator enforces the declared baselines, and those of the cluster that they do not replace, admitted everywhere.
func (s *Snapshot) NewOperator(protected []string) (*Operator, error) {
	all := policy.State{Facts: facts.Discover(s.discoverable(), s.endpoints), Protection: policy.Protection(protected)}
	for _, b := range s.enforced() {
		observed, err := admitted(&b)
		if err != nil {
			return nil, fmt.Errorf("NetworkBaseline %s: %w", b.Name, err)
		}
		all.Baselines = append(all.Baselines, observed)
	}
	decide := func(namespace string, labels map[string]string, live []networkingv1.NetworkPolicy) *policy.Decision {
		here := all
		here.Namespace = policy.Namespace{Name: namespace, Labels: connectivity.NamespaceLabels(namespace, labels)}
		for i := range live {
			here.Policies = append(here.Policies, &live[i])
		}
		return policy.Decide(&here)
	}
	return &Operator{
		Render: func(namespace string, labels map[string]string, live []networkingv1.NetworkPolicy) []networkingv1.NetworkPolicy {
			return follow(decide(namespace, labels, live).Plan, namespace, live)
		},
		Governing: func(namespace string) []string {
			var out []string
			for _, c := range decide(namespace, s.namespaces[namespace], nil).Contributions {
				if c.Selected {
					out = append(out, c.Name)
				}
			}
			return out
		},
	}, nil
}

// discoverable are the Services that facts are read from: a few of many.
func (s *Snapshot) discoverable() []corev1.Service {
	var out []corev1.Service
	for i := range s.services {
		if slices.Contains(facts.Namespaces, s.services[i].Namespace) {
			out = append(out, s.services[i])
		}
	}
	return out
}

// follow returns what a namespace holds once a plan is done.
func follow(plan *policy.Plan, namespace string, live []networkingv1.NetworkPolicy) []networkingv1.NetworkPolicy {
	held := map[string]*networkingv1.NetworkPolicy{}
	for i := range live {
		held[live[i].Name] = &live[i]
	}
	for _, step := range plan.Steps {
		if step.Verb == policy.Delete {
			delete(held, step.Name)
			continue
		}
		held[step.Name] = step.Want.DeepCopy()
		held[step.Name].Namespace = namespace
	}
	var out []networkingv1.NetworkPolicy
	for _, name := range slices.Sorted(maps.Keys(held)) {
		out = append(out, *held[name])
	}
	return out
}

// admitted is a baseline whose spec is in force everywhere.
func admitted(b *v1alpha1.NetworkBaseline) (*policy.Baseline, error) {
	name, _, err := policy.EncodeRevision(b.Name, b.UID, &b.Spec)
	if err != nil {
		return nil, err
	}
	r, err := policy.NewRevision(name, &b.Spec)
	if err != nil {
		return nil, err
	}
	return &policy.Baseline{
		Name: b.Name, UID: b.UID, Mode: b.Spec.Mode, Excluded: b.Spec.ExcludedNamespaces, DeletionPolicy: b.Spec.DeletionPolicy,
		Deleting: b.DeletionTimestamp != nil, Current: r, Update: r, Admitted: true,
	}, nil
}

// enforced are the declared baselines as if they were enforced, and the cluster's own that are.
func (s *Snapshot) enforced() []v1alpha1.NetworkBaseline {
	var out []v1alpha1.NetworkBaseline
	for _, b := range s.Declared {
		b.Spec.Mode = v1alpha1.ModeEnforce
		b.UID = types.UID("declared-" + b.Name)
		if i := slices.IndexFunc(s.Live, func(l v1alpha1.NetworkBaseline) bool { return l.Name == b.Name }); i >= 0 {
			b.UID = s.Live[i].UID
		}
		out = append(out, b)
	}
	for _, b := range s.Live {
		declared := slices.ContainsFunc(s.Declared, func(d v1alpha1.NetworkBaseline) bool { return d.Name == b.Name })
		if !declared && b.Spec.Mode != v1alpha1.ModeAudit && b.DeletionTimestamp == nil {
			out = append(out, b)
		}
	}
	return out
}

// DefaultProtection is the list of protected namespaces and patterns of the operator, with its own namespace.
func DefaultProtection() []string {
	return append(slices.Clone(policy.DefaultProtection), "netbaseline-system")
}

// ParseProtection reads a list of protected namespaces and patterns.
func ParseProtection(text string) ([]string, error) {
	p := policy.ParseProtection(text)
	return p, p.Validate()
}

func protectionText() string { return strings.Join(DefaultProtection(), ",") }
