// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// parseBaseline reads the spec of a baseline.
func parseBaseline(t *testing.T, name, spec string) *v1alpha1.NetworkBaseline {
	t.Helper()
	b := newBaseline(name, v1alpha1.NetworkBaselineSpec{})
	if err := yaml.UnmarshalStrict([]byte(spec), &b.Spec); err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return b
}

// The additive trap: a policy that blocks metadata by allowing all other addresses, as many guides publish it, undoes
// the default deny beside it, because policies only add up. So where egress is denied no such policy may be rendered.
func TestAdditiveTrapPublishedPairReopensTheWorld(t *testing.T) {
	n := network{podsByAddress: true}
	got := allowed([]*verdict{
		n.judge(parseSpec(t, `{podSelector: {}, policyTypes: [Ingress, Egress]}`)),
		n.judge(parseSpec(t, `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]}`)),
	})
	for _, peer := range []string{"internet", "prometheus", "impostor", "alibaba-metadata", "pod-identity"} {
		if !got.has(flowNamed("web", "Egress", peer, "TCP/443")) {
			t.Errorf("the published pair denies %s: the evaluator does not know the trap", peer)
		}
	}
}

func TestAdditiveTrap(t *testing.T) {
	const (
		deny  = `profile: {defaultDeny: {}}`
		block = `profile: {blockMetadata: {additionalCIDRs: [10.1.0.0/16]}}`
		both  = `profile: {defaultDeny: {}, blockMetadata: {additionalCIDRs: [10.1.0.0/16]}}`
	)
	for _, tc := range []struct {
		name  string
		specs []string
		// reachable are the only peers that egress of pod web may reach, on any port.
		reachable []string
	}{
		{"deny and block in one baseline", []string{both}, nil},
		{"deny and block in two baselines", []string{deny, block}, nil},
		{"block and deny in two baselines", []string{block, deny}, nil},
		{"deny of egress alone", []string{`profile: {defaultDeny: {directions: [Egress]}, blockMetadata: {}}`}, nil},
		{"the same namespace", []string{`profile: {defaultDeny: {}, blockMetadata: {}, allowSameNamespace: {}}`}, []string{"web", "db"}},
		{"a resolver anywhere", []string{`profile: {defaultDeny: {}, blockMetadata: {}, allowDNS: {resolvers: [{cidr: 0.0.0.0/0}]}}`},
			[]string{"internet", "google-lb", "office", "web", "db", "dns", "ingress-nginx", "prometheus", "impostor"}},
		{"a flow to anywhere", []string{`{profile: {defaultDeny: {}, blockMetadata: {}}, flows: [{name: out, from: {podSelector: {}}, to: {cidr: 0.0.0.0/0}}]}`},
			[]string{"internet", "google-lb", "office", "web", "db", "dns", "ingress-nginx", "prometheus", "impostor"}},
		{"a flow to metadata", []string{`{profile: {defaultDeny: {}, blockMetadata: {}}, flows: [{name: out, from: {podSelector: {}}, to: {cidr: 169.254.169.254/32}}]}`}, nil},
		{"an exemption of other pods", []string{`profile: {defaultDeny: {}, blockMetadata: {exemptions: [{podSelector: {matchLabels: {app: db}}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}}`}, nil},
		{"an exemption", []string{`profile: {defaultDeny: {}, blockMetadata: {exemptions: [{podSelector: {matchLabels: {app: web}}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}}`}, []string{"pod-identity"}},
		{"the block alone", []string{`profile: {blockMetadata: {}}`},
			[]string{"internet", "internet6", "google-lb", "office", "web", "db", "dns", "ingress-nginx", "prometheus", "impostor"}},
		{"the block of other pods", []string{`profile: {blockMetadata: {podSelector: {matchLabels: {app: db}}}}`}, everyone()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var specs []*v1alpha1.NetworkBaseline
			for i, spec := range tc.specs {
				specs = append(specs, parseBaseline(t, string(rune('a'+i)), spec))
			}
			rendered := Render(Input{Contributions: enforcing(specs...)})
			var verdicts []*verdict
			for _, p := range rendered.Policies {
				verdicts = append(verdicts, network{podsByAddress: true}.judge(&p.Spec))
			}
			got := allowed(verdicts)
			may := map[string]bool{}
			for _, peer := range tc.reachable {
				may[peer] = true
			}
			for i := range peers {
				reached := false
				for port := range sockets {
					reached = reached || got.has(flow(0, networkingv1.PolicyTypeEgress, i, port))
				}
				if reached != may[peers[i].name] {
					t.Errorf("%s is reachable: %v, want %v", peers[i].name, reached, may[peers[i].name])
				}
			}
		})
	}
}

// Cilium never matches pods by address: there the block must allow pods by selector, or it cuts them off.
func TestMetadataBlockAllowsPodsWhereAddressesDoNotMatchThem(t *testing.T) {
	rendered := Render(Input{Contributions: enforcing(parseBaseline(t, "a", `profile: {blockMetadata: {}}`))})
	got := allowed([]*verdict{network{podsByAddress: false}.judge(&rendered.Policies[0].Spec)})
	for _, peer := range []string{"db", "dns", "prometheus", "internet", "internet6"} {
		if !got.has(flowNamed("web", "Egress", peer, "TCP/443")) {
			t.Errorf("%s is denied", peer)
		}
	}
	for _, peer := range []string{"metadata", "metadata6", "alibaba-metadata", "nodelocal-dns"} {
		if got.has(flowNamed("web", "Egress", peer, "TCP/80")) {
			t.Errorf("%s is allowed", peer)
		}
	}
}

func everyone() []string {
	var out []string
	for i := range peers {
		out = append(out, peers[i].name)
	}
	return out
}
