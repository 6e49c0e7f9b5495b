// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// allowFlows renders the sides of each flow that lie in the namespace: an egress policy where its source is, an ingress
// policy where its destination is.
func allowFlows(s *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	var bodies []body
	for i := range spec.Flows {
		flow := &spec.Flows[i]
		if s.holds(&flow.From) {
			bodies = append(bodies, body{
				item: flow.Name, suffix: "egress",
				description: "Allows the source of flow " + flow.Name + " to open its connections.",
				spec:        egressSpec(flow.From.PodSelector, nil),
				egress:      []grant{{Allowance: Allowance{Peers: []v1alpha1.Peer{flow.To}, Ports: flow.Ports}}},
			})
		}
		if s.holds(&flow.To) {
			bodies = append(bodies, body{
				item: flow.Name, suffix: "ingress",
				description: "Allows the destination of flow " + flow.Name + " to be reached.",
				spec:        ingressSpec(flow.To.PodSelector, ingressFrom(Allowance{Peers: []v1alpha1.Peer{flow.From}, Ports: flow.Ports})),
			})
		}
	}
	return bodies
}

// holds says whether an end of a flow means pods of the namespace.
func (s *scope) holds(end *v1alpha1.Peer) bool { return holds(end, s.namespaceLabels) }

func holds(end *v1alpha1.Peer, namespaceLabels map[string]string) bool {
	if end.CIDR != "" {
		return false
	}
	if end.NamespaceSelector == nil {
		return true
	}
	selector, err := end.NamespaceSelector.Selector()
	return err == nil && selector.Matches(labels.Set(namespaceLabels))
}

// sides tells which ends of the contributions' flows lie in a namespace with these labels. It is all that rendering reads
// of a namespace's labels: namespaces with equal sides render alike.
func sides(contributions []Contribution, namespaceLabels map[string]string) string {
	var out strings.Builder
	for _, c := range contributions {
		if c.Phase != Enforcing {
			continue
		}
		for i := range c.Revision.Spec.Flows {
			for _, end := range []*v1alpha1.Peer{&c.Revision.Spec.Flows[i].From, &c.Revision.Spec.Flows[i].To} {
				if holds(end, namespaceLabels) {
					out.WriteByte('1')
				} else {
					out.WriteByte('0')
				}
			}
		}
	}
	return out.String()
}
