// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/controllers/cli/resolve"
	"github.com/netbaseline/netbaseline/controllers/suggest"
)

// describe names the pods or the address of a target, as a rule would.
func describe(t resolve.Target) string {
	e := suggest.EndOf(t.Endpoint)
	switch {
	case e.Namespace == "":
		return e.Address.String()
	case len(e.Labels) == 0:
		return "all pods of namespace " + e.Namespace
	default:
		return fmt.Sprintf("pods %s of namespace %s", labels.Set(e.Labels), e.Namespace)
	}
}

// toAllow is what to add where a side denies; nil if none does. What a selector cannot match is not suggested.
func (w *World) toAllow(p *pair, a *Answer) *ToAllow {
	from, to := p.from.Endpoint, p.to.Endpoint
	if from.Pod != nil && from.Pod.HostNetwork || to.Pod != nil && to.Pod.HostNetwork {
		return nil
	}
	out := &ToAllow{}
	ends, port := [2]suggest.End{suggest.EndOf(from), suggest.EndOf(to)}, []suggest.Port{{Protocol: p.question.Protocol, Number: p.to.Port}}
	governed := true
	for _, denied := range []struct {
		side      *Side
		namespace string
		direction networkingv1.PolicyType
	}{{&a.Egress, ends[0].Namespace, networkingv1.PolicyTypeEgress}, {&a.Ingress, ends[1].Namespace, networkingv1.PolicyTypeIngress}} {
		if !denied.side.denied() {
			continue
		}
		out.Policies = append(out.Policies, suggest.Policy(denied.direction, ends[0], ends[1], port))
		baseline := w.baselineOf(denied.side, denied.namespace)
		if baseline == "" {
			governed = false
		} else if !slices.Contains(out.Baselines, baseline) {
			out.Baselines = append(out.Baselines, baseline)
		}
	}
	if len(out.Policies) == 0 {
		return nil
	}
	if !governed {
		// A baseline has no say in a namespace that it does not select: the policies do it alone.
		out.Baselines = nil
		return out
	}
	flow := suggest.Flow(ends[0], ends[1], port)
	out.Flow = &flow
	return out
}

// baselineOf is the baseline to which a flow can be added for a namespace: one that isolates the pod there, or else one
// that selects the namespace. Empty: there is none.
func (w *World) baselineOf(s *Side, namespace string) string {
	governing := w.operator.Governing(namespace)
	for _, p := range s.IsolatedBy {
		if p.Baseline != "" && (slices.Contains(governing, p.Baseline) || len(w.snapshot.Live) == 0 && len(w.snapshot.Declared) == 0) {
			return p.Baseline
		}
	}
	if len(governing) > 0 {
		return governing[0]
	}
	return ""
}
