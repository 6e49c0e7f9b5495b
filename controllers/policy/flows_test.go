// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Each side of a flow is rendered in the namespaces that it concerns, and in the directions that are denied there.
func TestFlowsides(t *testing.T) {
	const (
		within  = `{name: f, from: {podSelector: {matchLabels: {app: web}}}, to: {podSelector: {matchLabels: {app: db}}}, ports: [{port: 5432}]}`
		across  = `{name: f, from: {namespaceSelector: {matchLabels: {team: front}}}, to: {namespaceSelector: {matchLabels: {team: back}}, podSelector: {matchLabels: {app: db}}}}`
		outside = `{name: f, from: {podSelector: {matchLabels: {app: web}}}, to: {cidr: 192.0.2.0/24}}`
		inside  = `{name: f, from: {cidr: 192.0.2.0/24}, to: {podSelector: {matchLabels: {app: web}}}}`
		all     = `{name: f, from: {namespaceSelector: {}}, to: {namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}}`
	)
	front, back := map[string]string{"team": "front"}, map[string]string{"team": "back"}
	const egress, ingress = "a-flow-f-egress", "a-flow-f-ingress"
	for _, tc := range []struct {
		name, flow, denied string
		labels             map[string]string
		want, notes, sides string
	}{
		{"within each namespace", within, "[Ingress, Egress]", nil, egress + " " + ingress, "", "11"},
		{"within, egress is open", within, "[Ingress]", nil, ingress, "", "11"},
		{"within, ingress is open", within, "[Egress]", nil, egress, "", "11"},
		{"across, at the source", across, "[Ingress, Egress]", front, egress, "", "10"},
		{"across, at the destination", across, "[Ingress, Egress]", back, ingress, "", "01"},
		{"across, elsewhere", across, "[Ingress, Egress]", nil, "", "", "00"},
		{"across, at the source, where egress is open", across, "[Ingress]", front, "", "a/flow-f:WithoutEffect", "10"},
		{"from everywhere", all, "[Ingress, Egress]", nil, egress + " " + ingress, "", "11"},
		{"to addresses", outside, "[Ingress, Egress]", nil, egress, "", "10"},
		{"from addresses", inside, "[Ingress, Egress]", nil, ingress, "", "01"},
		{"from addresses, where ingress is open", inside, "[Egress]", nil, "", "a/flow-f:WithoutEffect", "01"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := parseBaseline(t, "a", `{profile: {defaultDeny: {directions: `+tc.denied+`}}, flows: [`+tc.flow+`]}`)
			got := Render(Input{Contributions: enforcing(b), NamespaceLabels: tc.labels})
			want := "a-default-deny"
			if tc.want != "" {
				want += " " + tc.want
			}
			if names(got.Policies) != want || notes(got) != tc.notes {
				t.Errorf("policies %q, want %q; notes %q, want %q", names(got.Policies), want, notes(got), tc.notes)
			}
			if sides := sides(enforcing(b), tc.labels); sides != tc.sides {
				t.Errorf("sides %s, want %s", sides, tc.sides)
			}
		})
	}
}

// Both sides together let the connection through, and nothing else.
func TestFlowWithinNamespace(t *testing.T) {
	got := rendered(t, `{profile: {defaultDeny: {}}, flows: [{name: web-to-db, from: {podSelector: {matchLabels: {app: web}}}, to: {podSelector: {matchLabels: {app: db}}}, ports: [{port: 80}]}]}`, "")
	var verdicts []*verdict
	for _, p := range got.Policies {
		verdicts = append(verdicts, network{}.judge(&p.Spec))
	}
	is := allowed(verdicts)
	may := map[int]bool{flowNamed("web", "Egress", "db", "TCP/80"): true, flowNamed("db", "Ingress", "web", "TCP/80"): true}
	for i := range worldSize() {
		if is.has(i) != may[i] {
			t.Errorf("%s: allowed %v, want %v", flowName(i), is.has(i), may[i])
		}
	}
}

// The addresses of the API server are two rules, and where they are unknown there is no policy: it would only deny.
func TestKubeAPIServer(t *testing.T) {
	spec := `profile: {defaultDeny: {}, allowKubeAPIServer: {podSelector: {matchLabels: {app: web}}}}`
	facts := Facts{KubeAPIServer: []Allowance{
		{Peers: []v1alpha1.Peer{{CIDR: "10.96.0.1/32"}}, Ports: []v1alpha1.Port{{Port: dnsPorts[0].Port}}},
		{Peers: []v1alpha1.Peer{{CIDR: "192.0.2.1/32"}, {CIDR: "192.0.2.2/32"}}},
	}}
	got := Render(Input{Contributions: enforcing(parseBaseline(t, "a", spec)), Facts: facts})
	p := got.find("a-allow-kube-api-server")
	if p == nil {
		t.Fatalf("policies %s, notes %s", names(got.Policies), notes(got))
	}
	want := parseSpec(t, `{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [
		{to: [{ipBlock: {cidr: 10.96.0.1/32}}], ports: [{protocol: TCP, port: 53}]}, {to: [{ipBlock: {cidr: 192.0.2.1/32}}]}, {to: [{ipBlock: {cidr: 192.0.2.2/32}}]}]}`)
	if compact(p.Spec) != compact(want) {
		t.Errorf("got  %s\nwant %s", compact(p.Spec), compact(want))
	}
	unknown := Render(Input{Contributions: enforcing(parseBaseline(t, "a", spec))})
	if names(unknown.Policies) != "a-default-deny" || notes(unknown) != "a/allow-kube-api-server:NotFound" {
		t.Errorf("unknown: policies %s, notes %s", names(unknown.Policies), notes(unknown))
	}
}

// What a profile relies on, and whose namespaces it had better not govern.
func TestNeeds(t *testing.T) {
	b := parseBaseline(t, "a", `profile: {allowDNS: {}, blockMetadata: {}, allowSameNamespace: {}, allowKubeAPIServer: {},
		allowIngressController: {controllers: [Traefik, Contour], from: [{namespaceSelector: {matchLabels: {team: edge}}}]}, allowMonitoring: {from: [{cidr: 192.0.2.0/24}]}}`)
	apiServer := v1alpha1.Peer{CIDR: "192.0.2.1/32"}
	needs := Needs(&b.Spec.Profile, Facts{KubeAPIServer: []Allowance{{Peers: []v1alpha1.Peer{apiServer}}}})
	var got []string
	for _, n := range needs {
		if n.What == "" || n.Instead == "" {
			t.Errorf("%+v does not say what, or what to write instead", n)
		}
		got = append(got, n.Component+" "+compact(n.Peers))
	}
	want := []string{
		"allowDNS " + compact(DefaultDNS[0].Peers),
		"allowIngressController " + compact(ingressControllers[v1alpha1.Contour].peers),
		"allowIngressController " + compact(ingressControllers[v1alpha1.Traefik].peers),
		"allowKubeAPIServer " + compact([]v1alpha1.Peer{apiServer}),
	}
	if compact(got) != compact(want) {
		t.Errorf("got  %s\nwant %s", compact(got), compact(want))
	}
	infrastructure := InfrastructurePeers(&b.Spec.Profile)
	if len(infrastructure) != 5 || infrastructure[3].NamespaceSelector.MatchLabels["team"] != "edge" || infrastructure[4].CIDR != "192.0.2.0/24" {
		t.Errorf("infrastructure: %s", compact(infrastructure))
	}
	if none := Needs(&v1alpha1.Profile{}, Facts{}); len(none) > 0 {
		t.Errorf("an empty profile needs %+v", none)
	}
}
