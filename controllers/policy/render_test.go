// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// names are those of the rendered policies.
func names(policies []Policy) string {
	var out []string
	for _, p := range policies {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

// notes are the rendered notes, without what they say.
func notes(r *Rendered) string {
	var out []string
	for _, n := range r.Notes {
		out = append(out, n.Baseline+"/"+n.Component+":"+n.Reason)
	}
	return strings.Join(out, " ")
}

func TestRenderNames(t *testing.T) {
	for _, tc := range []struct {
		name, a, b      string
		policies, notes string
	}{
		{"nothing denied, nothing allowed", `profile: {allowDNS: {}, allowIngressController: {controllers: [Traefik]}, allowMonitoring: {stacks: [Datadog]}, allowSameNamespace: {}}`, "",
			"", "a/allow-dns:WithoutEffect a/allow-ingress-controller:WithoutEffect a/allow-monitoring:WithoutEffect a/allow-same-namespace:WithoutEffect"},
		{"ingress denied", `profile: {defaultDeny: {directions: [Ingress]}, allowDNS: {}, allowMonitoring: {stacks: [Datadog]}}`, "",
			"a-allow-monitoring a-default-deny", "a/allow-dns:WithoutEffect"},
		{"egress denied", `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}, allowMonitoring: {stacks: [Datadog]}}`, "",
			"a-allow-dns a-default-deny", "a/allow-monitoring:WithoutEffect"},
		{"one side of two is no loss", `profile: {defaultDeny: {directions: [Egress]}, allowSameNamespace: {}}`, "",
			"a-allow-same-namespace-egress a-default-deny", ""},
		{"the side that is asked for is not denied", `profile: {defaultDeny: {directions: [Egress]}, allowSameNamespace: {directions: [Ingress]}}`, "",
			"a-default-deny", "a/allow-same-namespace:WithoutEffect"},
		{"denied by another baseline", `profile: {allowDNS: {}, allowSameNamespace: {}}`, `profile: {defaultDeny: {}}`,
			"a-allow-dns a-allow-same-namespace-egress a-allow-same-namespace-ingress b-default-deny", ""},
		{"no block beside a deny of another baseline", `profile: {blockMetadata: {}}`, `profile: {defaultDeny: {}}`, "b-default-deny", ""},
		{"a block beside a deny of ingress", `profile: {blockMetadata: {}}`, `profile: {defaultDeny: {directions: [Ingress]}}`, "a-block-metadata b-default-deny", ""},
		{"a block is no deny that allows would be for", `profile: {blockMetadata: {}, allowDNS: {}}`, "", "a-block-metadata", "a/allow-dns:WithoutEffect"},
		{"the same exemption twice", `profile: {defaultDeny: {}, blockMetadata: {exemptions: [{podSelector: {}, cidr: 169.254.170.23/32, ports: [{port: 80}]}, {podSelector: {}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}}`, "",
			"a-block-metadata-exempt-* a-default-deny", ""},
		{"the same of two baselines", `profile: {defaultDeny: {}, allowDNS: {}}`, `profile: {defaultDeny: {}, allowDNS: {}}`,
			"a-allow-dns a-default-deny b-allow-dns b-default-deny", ""},
		{"peers that except themselves away", `profile: {defaultDeny: {}, allowMonitoring: {from: [{cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/9]}]}}`, "",
			"a-default-deny", "a/allow-monitoring:InvalidSpec"},
		{"a flow to nowhere but metadata, on a port", `{profile: {defaultDeny: {}, blockMetadata: {}}, flows: [{name: f, from: {podSelector: {}}, to: {cidr: 169.254.169.254/32}, ports: [{port: 80}]}]}`, "",
			"a-default-deny", "a/flow-f:InvalidSpec"},
		{"a flow to nowhere but metadata", `{profile: {defaultDeny: {}, blockMetadata: {}}, flows: [{name: f, from: {podSelector: {}}, to: {cidr: 169.254.169.254/32}}]}`, "",
			"a-default-deny", "a/flow-f:InvalidSpec"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := rendered(t, tc.a, tc.b)
			policies := regexp.MustCompile("exempt-[0-9a-f]{8}").ReplaceAllString(names(got.Policies), "exempt-*")
			if policies != tc.policies || notes(got) != tc.notes {
				t.Errorf("policies: %s\n   want: %s\nnotes: %s\n want: %s", policies, tc.policies, notes(got), tc.notes)
			}
			for _, n := range got.Notes {
				if n.Message == "" {
					t.Errorf("%+v says nothing", n)
				}
			}
		})
	}
}

// The block allows everything else. From pods whose egress somebody restricts, and from no others, it is withheld.
func TestMetadataBlockIsWithheld(t *testing.T) {
	web := metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	webOnly := `profile: {blockMetadata: {podSelector: {matchLabels: {app: web}}}}`
	for _, tc := range []struct {
		name, spec string
		restricted []metav1.LabelSelector
		want       string
	}{
		{"nobody restricts", `profile: {blockMetadata: {}}`, nil, "{}"},
		{"all pods are restricted", `profile: {blockMetadata: {}}`, []metav1.LabelSelector{{}}, ""},
		{"some pods are restricted, the block is for all", `profile: {blockMetadata: {}}`, []metav1.LabelSelector{web}, `{"matchExpressions":[{"key":"app","operator":"NotIn","values":["web"]}]}`},
		{"pods that do not exist are restricted", `profile: {blockMetadata: {}}`, []metav1.LabelSelector{{MatchLabels: map[string]string{"no-such": "pod"}}},
			`{"matchExpressions":[{"key":"no-such","operator":"NotIn","values":["pod"]}]}`},
		{"pods with two labels: one policy for those without each", `profile: {blockMetadata: {}}`, []metav1.LabelSelector{{MatchLabels: map[string]string{"app": "web", "tier": "front"}}},
			`{"matchExpressions":[{"key":"app","operator":"NotIn","values":["web"]}]} {"matchExpressions":[{"key":"tier","operator":"NotIn","values":["front"]}]}`},
		{"all pods are restricted, the block is for some", webOnly, []metav1.LabelSelector{{}}, ""},
		{"the same pods", webOnly, []metav1.LabelSelector{web}, ""},
		{"other pods", webOnly, []metav1.LabelSelector{{MatchLabels: map[string]string{"app": "db"}}}, `{"matchLabels":{"app":"web"}}`},
		{"pods that have both labels", webOnly, []metav1.LabelSelector{{MatchLabels: map[string]string{"tier": "back"}}}, `{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"tier","operator":"NotIn","values":["back"]}]}`},
		{"an expression that leaves out the pods", webOnly, []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "NotIn", Values: []string{"web"}}}}}, `{"matchLabels":{"app":"web"}}`},
		{"one of several", webOnly, []metav1.LabelSelector{{MatchLabels: map[string]string{"app": "db"}}, web}, ""},
		{"egress is denied: there is no block to withhold", `profile: {defaultDeny: {}, blockMetadata: {}}`, []metav1.LabelSelector{{}}, "{}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Render(Input{Contributions: enforcing(parseBaseline(t, "a", tc.spec)), Restricted: tc.restricted})
			var selectors []string
			for _, p := range got.Policies {
				selectors = append(selectors, compact(p.Spec.PodSelector))
			}
			slices.Sort(selectors)
			untouched := tc.want == "{}" || tc.want == `{"matchLabels":{"app":"web"}}`
			if strings.Join(selectors, " ") != tc.want || (notes(got) == "") != untouched {
				t.Errorf("got %s, want %s; notes %s", selectors, tc.want, notes(got))
			}
		})
	}
	// Exemptions alone would isolate the exempt pods.
	got := Render(Input{
		Contributions: enforcing(parseBaseline(t, "a", `profile: {blockMetadata: {exemptions: [{podSelector: {}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}}`)),
		Restricted:    []metav1.LabelSelector{{}},
	})
	if len(got.Policies) > 0 {
		t.Errorf("withheld, yet there are %s", names(got.Policies))
	}
}

// Two baselines can come to the same name, because theirs and those of flows have dashes. Both get their policies, the
// second under a name of its own.
func TestNameCollision(t *testing.T) {
	specs := []*v1alpha1.NetworkBaseline{
		parseBaseline(t, "a", `{profile: {defaultDeny: {}}, flows: [{name: b-flow-c, from: {podSelector: {}}, to: {podSelector: {}}}]}`),
		parseBaseline(t, "a-flow-b", `flows: [{name: c, from: {podSelector: {}}, to: {podSelector: {matchLabels: {app: db}}}}]`),
	}
	c := newCluster(network{})
	for range 2 {
		d := c.decide(admitted(specs), Facts{})
		if err := c.run(d.Plan.Steps, nil, func(*Step) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.converged(admitted(specs), Facts{}); err != nil {
		t.Error(err)
	}
	want := []string{"a-default-deny", "a-flow-b-flow-c-egress", "a-flow-b-flow-c-egress-2", "a-flow-b-flow-c-ingress", "a-flow-b-flow-c-ingress-2"}
	if got := slices.Sorted(maps.Keys(c.policies)); !slices.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The resolvers are what the spec says, or what the cluster runs, or what most clusters run.
func TestResolvers(t *testing.T) {
	nodeLocal := Facts{DNS: []Allowance{
		{Peers: []v1alpha1.Peer{podsNamed("kube-system", "k8s-app", "kube-dns")}, Ports: []v1alpha1.Port{{Protocol: "UDP", Port: intstr.FromInt32(8053)}}},
		{Peers: []v1alpha1.Peer{{CIDR: "169.254.20.10/32"}, {CIDR: "10.96.0.10/32"}}, Ports: dnsPorts},
	}}
	const dns = `kube-system/k8s-app=kube-dns`
	for _, tc := range []struct {
		name, spec string
		facts      Facts
		policy     string
		want       string // the peers and ports of the rules that have ports
	}{
		{"default", `profile: {defaultDeny: {}, allowDNS: {}}`, Facts{}, "a-allow-dns", dns + " UDP/53 TCP/53"},
		{"what the cluster runs", `profile: {defaultDeny: {}, allowDNS: {}}`, nodeLocal, "a-allow-dns",
			dns + " UDP/8053; 169.254.20.10/32 UDP/53 TCP/53; 10.96.0.10/32 UDP/53 TCP/53"},
		{"what the cluster runs, beside a block", `profile: {defaultDeny: {}, allowDNS: {}, blockMetadata: {}}`, nodeLocal, "a-allow-dns",
			dns + " UDP/8053; 169.254.20.10/32 UDP/53 TCP/53; 10.96.0.10/32 UDP/53 TCP/53"},
		{"other ports", `profile: {defaultDeny: {}, allowDNS: {ports: [{port: 5353}]}}`, nodeLocal, "a-allow-dns",
			dns + " TCP/5353; 169.254.20.10/32 UDP/53 TCP/53; 10.96.0.10/32 UDP/53 TCP/53"},
		{"other resolvers", `profile: {defaultDeny: {}, allowDNS: {resolvers: [{cidr: 192.0.2.53/32}]}}`, nodeLocal, "a-allow-dns", "192.0.2.53/32 UDP/53 TCP/53"},
		{"both", `profile: {defaultDeny: {}, allowDNS: {resolvers: [{cidr: 192.0.2.53/32}], ports: [{port: 5353}]}}`, nodeLocal, "a-allow-dns", "192.0.2.53/32 TCP/5353"},
		{"in the block: nothing inside", `profile: {blockMetadata: {}}`, Facts{}, "a-block-metadata", ""},
		{"in the block: what the cluster runs", `profile: {blockMetadata: {}}`, nodeLocal, "a-block-metadata", "169.254.20.10/32 UDP/53 TCP/53"},
		{"in the block: what the spec names, too", `profile: {blockMetadata: {}, allowDNS: {resolvers: [{cidr: 168.63.129.16/32}, {cidr: 192.0.2.53/32}]}}`, nodeLocal, "a-block-metadata",
			"169.254.20.10/32 UDP/53 TCP/53; 168.63.129.16/32 UDP/53 TCP/53"},
		{"in the block: the same once", `profile: {blockMetadata: {}, allowDNS: {}}`, nodeLocal, "a-block-metadata", "169.254.20.10/32 UDP/53 TCP/53"},
		{"in the block: a range of our own holds it", `profile: {blockMetadata: {additionalCIDRs: [10.96.0.0/12]}}`, nodeLocal, "a-block-metadata", "169.254.20.10/32 UDP/53 TCP/53; 10.96.0.10/32 UDP/53 TCP/53"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := compact(tc.facts)
			p := Render(Input{Contributions: enforcing(parseBaseline(t, "a", tc.spec)), Facts: tc.facts}).find(tc.policy)
			if p == nil {
				t.Fatalf("%s is not rendered", tc.policy)
			}
			var rules []string
			for _, r := range p.Spec.Egress {
				if len(r.Ports) > 0 {
					rules = append(rules, short(r))
				}
			}
			if got := strings.Join(rules, "; "); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if compact(tc.facts) != before {
				t.Errorf("rendering changed the facts: %s", compact(tc.facts))
			}
		})
	}
}

func short(r networkingv1.NetworkPolicyEgressRule) string {
	var out []string
	for _, p := range r.To {
		if p.IPBlock != nil {
			out = append(out, p.IPBlock.CIDR)
			continue
		}
		out = append(out, p.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]+"/"+metav1.FormatLabelSelector(p.PodSelector))
	}
	for _, p := range r.Ports {
		out = append(out, string(*p.Protocol)+"/"+p.Port.String())
	}
	return strings.Join(out, " ")
}

// What is rendered is shared by namespaces, and must not reach back into the baseline.
func TestRenderedIsItsOwn(t *testing.T) {
	b := parseBaseline(t, "a", `profile: {defaultDeny: {}, allowMonitoring: {from: [{namespaceSelector: {matchLabels: {team: x}}}], podSelector: {matchLabels: {app: web}}, ports: [{port: 80, endPort: 90}]}}`)
	b.Labels, b.Annotations = map[string]string{"argocd.argoproj.io/instance": "x"}, map[string]string{"team": "x"}
	told := compact(b)
	p := Render(Input{Contributions: enforcing(b)}).find("a-allow-monitoring")
	// Argo CD prunes what carries a copy of its labels (falcosecurity/falco-operator#349).
	if len(p.Labels) != 3 || len(p.Annotations) != 1 {
		t.Errorf("labels %v and annotations %v: want only our own", p.Labels, p.Annotations)
	}
	p.Spec.PodSelector.MatchLabels["app"] = "changed"
	p.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels["team"] = "changed"
	*p.Spec.Ingress[0].Ports[0].EndPort = 1
	p.Spec.Ingress[0].Ports[0].Port.IntVal = 1
	if compact(b) != told {
		t.Errorf("a change of the policy changes the baseline: %s", compact(b))
	}
	if nothing := Render(Input{}); len(nothing.Policies)+len(nothing.Notes) > 0 {
		t.Errorf("no baseline renders %s", compact(nothing))
	}
}

// The schema refuses these; should it ever not, what is rendered must be canonical, and must never mean everyone.
func TestRangesThatTheSchemaRefuses(t *testing.T) {
	for _, tc := range []struct{ from, want string }{
		{`[{cidr: 10.1.2.3/8, except: [10.9.9.9/16]}]`, `[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.9.0.0/16"]}}]}]`},
		{`[{cidr: everyone}, {cidr: 192.0.2.0/24}]`, `[{"from":[{"ipBlock":{"cidr":"192.0.2.0/24"}}]}]`},
		{`[{cidr: everyone}]`, ``},
	} {
		p := rendered(t, `profile: {defaultDeny: {}, allowMonitoring: {from: `+tc.from+`}}`, "").find("a-allow-monitoring")
		if p == nil && tc.want != "" || p != nil && compact(p.Spec.Ingress) != tc.want {
			t.Errorf("%s: got %s, want %s", tc.from, compact(p), tc.want)
		}
	}
}
