// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// TestHandover plans from states that only a crash, a conflict or somebody's hand leaves behind: no policy, or not the
// one that should, isolates all pods, or one carries the rules of others. Each row was a gap once.
func TestHandover(t *testing.T) {
	const (
		fromPrometheus = `ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}, podSelector: {matchLabels: {app.kubernetes.io/name: prometheus}}}]}]`
		toDNS          = `egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]}]`
		bothWays       = `podSelector: {}, policyTypes: [Ingress, Egress]`
		db, web        = `podSelector: {matchLabels: {app: db}}`, `podSelector: {matchLabels: {app: web}}`
	)
	for _, tc := range []struct {
		name  string
		live  map[string]string
		held  string // a policy that is held in deletion
		taken string // a name that somebody else has taken
		a, b  string
	}{
		{name: "the deny carries egress for a plan that was cut short, and ingress is denied no longer",
			live: map[string]string{"a-default-deny": `{` + bothWays + `, ` + fromPrometheus + `, ` + toDNS + `}`, "a-allow-monitoring": `{podSelector: {}, policyTypes: [Ingress], ` + fromPrometheus + `}`},
			a:    `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}}`},
		{name: "the same, and somebody narrowed the deny",
			live: map[string]string{"a-default-deny": `{` + web + `, policyTypes: [Ingress, Egress], ingress: [{}]}`, "a-allow-monitoring": `{podSelector: {}, policyTypes: [Ingress], ` + fromPrometheus + `}`},
			a:    `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}}`},
		{name: "two denies arrive together, and one of them is for both directions",
			a: `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}}`,
			b: `profile: {defaultDeny: {}, allowSameNamespace: {}}`},
		{name: "two denies swap their directions",
			live: map[string]string{"a-default-deny": `{podSelector: {}, policyTypes: [Ingress]}`, "b-default-deny": `{podSelector: {}, policyTypes: [Egress]}`},
			a:    `profile: {defaultDeny: {directions: [Egress]}}`,
			b:    `profile: {defaultDeny: {directions: [Ingress]}}`},
		{name: "the deny was narrowed, and a second one arrives",
			live: map[string]string{"a-default-deny": `{` + web + `, policyTypes: [Ingress, Egress]}`},
			a:    `profile: {defaultDeny: {directions: [Egress]}, allowMonitoring: {stacks: [Prometheus]}}`,
			b:    `profile: {defaultDeny: {}}`},
		{name: "only an allow isolates all pods, and is narrowed, while the deny was narrowed by hand",
			live: map[string]string{"a-default-deny": `{` + db + `, policyTypes: [Ingress]}`, "a-allow-monitoring": `{podSelector: {}, policyTypes: [Ingress], ` + fromPrometheus + `}`},
			a:    `profile: {defaultDeny: {directions: [Ingress]}, allowMonitoring: {stacks: [Prometheus], podSelector: {matchLabels: {app: web}}}}`},
		{name: "a block of all pods with an exemption becomes one of some pods without",
			live: map[string]string{"a-block-metadata": `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}, {to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}`,
				"a-block-metadata-exempt-1": `{` + db + `, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.170.23/32}}]}]}`},
			a: `profile: {blockMetadata: {podSelector: {matchLabels: {app: web}}}}`},
		{name: "ingress is denied no longer, after somebody narrowed the deny: the allow carries before the deny drops it",
			live: map[string]string{"a-default-deny": `{` + db + `, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}]}`, "a-allow-monitoring": `{` + db + `, policyTypes: [Ingress], ` + fromPrometheus + `}`},
			a:    `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}}`},
		{name: "removal, after somebody narrowed the deny: each carries for all",
			live: map[string]string{"a-default-deny": `{` + db + `, policyTypes: [Ingress, Egress]}`, "a-allow-monitoring": `{` + db + `, policyTypes: [Ingress], ` + fromPrometheus + `}`}},
		{name: "removal, after somebody deleted the deny: each carries for all",
			live: map[string]string{"a-allow-ingress-controller": `{` + web + `, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}`, "a-allow-monitoring": `{` + web + `, policyTypes: [Ingress], ` + fromPrometheus + `}`}},
		{name: "removal, after somebody deleted the deny, where an allow still isolates: it carries",
			live: map[string]string{"a-allow-same-namespace-ingress": `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}`, "a-allow-monitoring": `{` + web + `, policyTypes: [Ingress], ` + fromPrometheus + `}`}},
		{name: "the rules of an allow whose name is taken go from one deny to another",
			live:  map[string]string{"a-default-deny": `{` + bothWays + `, ` + fromPrometheus + `}`, "b-default-deny": `{` + bothWays + `}`},
			taken: "a-allow-monitoring",
			a:     `profile: {defaultDeny: {directions: [Egress]}, allowMonitoring: {stacks: [Prometheus]}}`,
			b:     `profile: {defaultDeny: {}}`},
		{name: "removal, while the deny is held in deletion: an allow carries, because the deny may go at any moment",
			live: map[string]string{"a-default-deny": `{` + bothWays + `}`, "a-allow-dns": `{podSelector: {}, policyTypes: [Egress], ` + toDNS + `}`, "a-allow-same-namespace-egress": `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}`},
			held: "a-default-deny"},
		{name: "the deny's name is taken, and two allows that isolate change: one carries",
			live:  map[string]string{"a-allow-dns": `{podSelector: {}, policyTypes: [Egress], ` + toDNS + `}`, "a-allow-same-namespace-egress": `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}, {}]}`},
			taken: "a-default-deny",
			a:     `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {ports: [{port: 5353}]}, allowSameNamespace: {}}`},
		{name: "the deny is held in deletion, and two allows change their pods: one isolates in its stead",
			live: map[string]string{"a-default-deny": `{podSelector: {}, policyTypes: [Ingress]}`, "a-allow-monitoring": `{` + web + `, policyTypes: [Ingress], ` + fromPrometheus + `}`,
				"a-allow-ingress-controller": `{` + db + `, policyTypes: [Ingress], ` + fromPrometheus + `}`},
			held: "a-default-deny",
			a:    `profile: {defaultDeny: {directions: [Ingress]}, allowMonitoring: {stacks: [Prometheus], podSelector: {matchLabels: {app: db}}}, allowIngressController: {from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}], podSelector: {matchLabels: {app: web}}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			baselines := admitted(specsOf(t, tc.a, tc.b))
			start := newCluster(network{podsByAddress: true})
			for name, spec := range tc.live {
				component := name[2:]
				if exempt, ok := strings.CutSuffix(component, "-exempt-1"); ok {
					component = exempt
				}
				start.put(&networkingv1.NetworkPolicy{Spec: *parseSpec(t, spec), ObjectMeta: metav1.ObjectMeta{
					Name: name, UID: types.UID("uid-live-" + name),
					Labels:          map[string]string{v1alpha1.ManagedByLabel: "netbaseline", v1alpha1.BaselineLabel: name[:1], v1alpha1.ComponentLabel: component},
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "netbaseline.io/v1alpha1", Kind: "NetworkBaseline", Name: name[:1], UID: types.UID("uid-" + name[:1])}},
				}})
			}
			if tc.held != "" {
				start.terminate(tc.held)
			}
			if tc.taken != "" {
				start.put(&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: tc.taken, UID: foreignUID}, Spec: networkingv1.NetworkPolicySpec{
					PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}, PolicyTypes: directions}})
			}
			// What is live was asked for by a revision, as far as this knows.
			all := &Rendered{}
			for _, p := range start.live() {
				if p.UID != foreignUID {
					all.Policies = append(all.Policies, Policy{Baseline: p.Name[:1], Component: p.Labels[v1alpha1.ComponentLabel], NetworkPolicy: p})
				}
			}
			start.before = []*Rendered{all}
			d := start.clone().decide(baselines, Facts{})
			history := []*Rendered{all, d.Wanted}
			for seed := range uint64(20) {
				c := start.clone()
				if _, err := c.follow(&choices{randomBytes(seed, 32)}, d, history, seed > 0); err != nil {
					t.Fatalf("%v\n%s", err, d.Plan)
				}
				if seed > 0 {
					continue
				}
				if err := c.converged(baselines, Facts{}); err != nil {
					t.Fatalf("%v\n%s", err, d.Plan)
				}
			}
		})
	}
}
