// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	full    = `profile: {defaultDeny: {}, allowDNS: {}, blockMetadata: {}, allowIngressController: {controllers: [IngressNginx]}, allowMonitoring: {stacks: [Prometheus]}, allowSameNamespace: {}}`
	another = `profile: {defaultDeny: {}, allowDNS: {}, allowMonitoring: {stacks: [Datadog]}}`
)

// rendered are the policies of baselines a and b; an empty spec is no baseline.
func rendered(t *testing.T, a, b string) *Rendered {
	t.Helper()
	var in Input
	if a != "" {
		in.Baselines = append(in.Baselines, parseBaseline(t, "a", a))
	}
	if b != "" {
		in.Baselines = append(in.Baselines, parseBaseline(t, "b", b))
	}
	return Render(in)
}

// holding is a namespace that holds these policies, but for those named.
func holding(r *Rendered, without ...string) *cluster {
	c := newCluster(network{podsByAddress: true})
	for _, p := range r.Policies {
		if slices.Contains(without, p.Name) {
			continue
		}
		live := p.DeepCopy()
		live.UID = "uid-live-" + live.UID
		c.put(live)
	}
	return c
}

// shape is a plan in a few words: phases are separated by |, and a passing form is in brackets.
func shape(p *Plan) string {
	var phases []string
	for _, phase := range p.Phases {
		var steps []string
		for _, s := range phase {
			step := string(s.Verb) + " " + s.Name
			if s.Passing {
				step = "(" + step + ")"
			}
			steps = append(steps, step)
		}
		phases = append(phases, strings.Join(steps, ", "))
	}
	return strings.Join(phases, " | ")
}

func TestPlanShape(t *testing.T) {
	const (
		deny     = `profile: {defaultDeny: {}}`
		denyDNS  = `profile: {defaultDeny: {}, allowDNS: {}}`
		exempted = `profile: {blockMetadata: {exemptions: [{podSelector: {matchLabels: {app: web}}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}}`
	)
	exempt := rendered(t, exempted, "").Policies[1].Name
	for _, tc := range []struct {
		name   string
		before [2]string // what baselines a and b were
		gone   []string  // what is missing of it
		a, b   string
		want   string
		writes int // how often an administrator would say that something changed: Plan.Len
	}{
		{"nothing to do", [2]string{full, another}, nil, full, another, "", 0},
		{"a fresh namespace", [2]string{}, nil, full, "",
			"(create a-default-deny) | create a-allow-dns, create a-allow-ingress-controller, create a-allow-monitoring, create a-allow-same-namespace-egress, create a-allow-same-namespace-ingress | update a-default-deny", 6},
		{"all policies deleted at once", [2]string{deny, ""}, []string{"a-default-deny"}, denyDNS, "", "(create a-default-deny) | create a-allow-dns | update a-default-deny", 2},
		{"a deny alone", [2]string{}, nil, deny, "", "create a-default-deny", 1},
		{"a block alone", [2]string{}, nil, `profile: {blockMetadata: {}}`, "", "create a-block-metadata", 1},
		{"a block with an exemption", [2]string{}, nil, exempted, "", "(create a-block-metadata) | create " + exempt + " | update a-block-metadata", 2},
		{"removal", [2]string{denyDNS, ""}, nil, "", "", "(update a-default-deny) | delete a-allow-dns | delete a-default-deny", 2},
		{"removal of a deny alone", [2]string{deny, ""}, nil, "", "", "delete a-default-deny", 1},
		{"removal of a block with an exemption", [2]string{exempted, ""}, nil, "", "", "(update a-block-metadata) | delete " + exempt + " | delete a-block-metadata", 2},
		{"a component arrives", [2]string{deny, ""}, nil, denyDNS, "", "create a-allow-dns", 1},
		{"a component goes", [2]string{denyDNS, ""}, nil, deny, "", "delete a-allow-dns", 1},
		{"a component changes", [2]string{denyDNS, ""}, nil, `profile: {defaultDeny: {}, allowDNS: {ports: [{port: 5353}]}}`, "", "update a-allow-dns", 1},
		{"two components change: one could take what the other gives", [2]string{`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Prometheus]}, allowIngressController: {controllers: [IngressNginx]}}`, ""}, nil,
			`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Datadog]}, allowIngressController: {controllers: [Traefik]}}`, "",
			"(update a-default-deny) | update a-allow-ingress-controller, update a-allow-monitoring | update a-default-deny", 3},
		{"one of each direction changes", [2]string{`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Prometheus]}, allowDNS: {}}`, ""}, nil,
			`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Datadog]}, allowDNS: {ports: [{port: 5353}]}}`, "", "update a-allow-dns, update a-allow-monitoring", 2},
		{"a second baseline arrives where all is denied", [2]string{full, ""}, nil, full, another, "create b-allow-dns, create b-allow-monitoring, create b-default-deny", 3},
		{"it goes", [2]string{full, another}, nil, full, "", "delete b-allow-dns, delete b-allow-monitoring, delete b-default-deny", 3},
		{"it takes over", [2]string{denyDNS, ""}, nil, "", denyDNS, "create b-allow-dns, create b-default-deny | delete a-allow-dns, delete a-default-deny", 4},
		{"two arrive, each denies one direction", [2]string{}, nil, `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}}`, `profile: {defaultDeny: {directions: [Ingress]}, allowSameNamespace: {}}`,
			"(create a-default-deny), (create b-default-deny) | create a-allow-dns, create b-allow-same-namespace-egress, create b-allow-same-namespace-ingress | update a-default-deny, update b-default-deny", 5},
		{"egress is denied no longer", [2]string{denyDNS, ""}, nil, `profile: {defaultDeny: {directions: [Ingress]}, allowDNS: {}}`, "",
			"(update a-default-deny) | delete a-allow-dns | update a-default-deny", 2},
		{"egress is denied no longer, but metadata", [2]string{full, ""}, nil, `profile: {defaultDeny: {directions: [Ingress]}, blockMetadata: {}, allowSameNamespace: {directions: [Ingress]}}`, "",
			"create a-block-metadata | update a-default-deny | delete a-allow-dns, delete a-allow-ingress-controller, delete a-allow-monitoring, delete a-allow-same-namespace-egress", 6},
		{"egress is denied, which was open but for metadata", [2]string{`profile: {blockMetadata: {}}`, ""}, nil, `profile: {defaultDeny: {directions: [Egress]}, blockMetadata: {}, allowDNS: {}}`, "",
			"create a-allow-dns, create a-default-deny | delete a-block-metadata", 3},
		{"an allow is deleted", [2]string{full, ""}, []string{"a-allow-dns"}, full, "", "create a-allow-dns", 1},
		{"the deny is deleted, an allow still isolates", [2]string{denyDNS, ""}, []string{"a-default-deny"}, denyDNS, "", "create a-default-deny", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := holding(rendered(t, tc.before[0], tc.before[1]), tc.gone...)
			desired := rendered(t, tc.a, tc.b)
			p := c.plan(desired)
			if got := shape(p); got != tc.want || p.Len() != tc.writes || p.Empty() != (tc.want == "") {
				t.Errorf("got  %s (%d)\nwant %s (%d)", got, p.Len(), tc.want, tc.writes)
			}
			if err := c.follow(&choices{}, p, false); err != nil {
				t.Error(err)
			}
			if err := c.converged(desired); err != nil {
				t.Error(err)
			}
		})
	}
}

// The carrier carries exactly the rules of the others, and the final write takes them off again.
func TestPlanCarries(t *testing.T) {
	desired := rendered(t, full, "")
	var ingress []networkingv1.NetworkPolicyIngressRule
	var egress []networkingv1.NetworkPolicyEgressRule
	for _, p := range desired.Policies {
		ingress, egress = append(ingress, p.Spec.Ingress...), append(egress, p.Spec.Egress...)
	}
	arrive := newCluster(network{}).plan(desired)
	first, last := arrive.Phases[0][0], arrive.Phases[2][0]
	if compact(first.Want.Spec.Ingress) != compact(ingress) || compact(first.Want.Spec.Egress) != compact(egress) {
		t.Errorf("the deny comes with %s", compact(first.Want.Spec))
	}
	if last.Want != desired.find("a-default-deny").NetworkPolicy {
		t.Errorf("the deny stays with %s", compact(last.Want.Spec))
	}
	leave := holding(desired).plan(&Rendered{})
	first = leave.Phases[0][0]
	if compact(first.Want.Spec.Ingress) != compact(ingress) || compact(first.Want.Spec.Egress) != compact(egress) {
		t.Errorf("the deny goes with %s", compact(first.Want.Spec))
	}
	if compact(first.Want.ObjectMeta) != compact(first.Live.ObjectMeta) {
		t.Errorf("carrying changes more than rules: %s", compact(first.Want.ObjectMeta))
	}
}

// Whatever is done to one policy is put right by one write, in place.
func TestPlanRepairsWithOneWrite(t *testing.T) {
	desired := rendered(t, full, another)
	tampers := map[string]func(*networkingv1.NetworkPolicy){
		"egress opened":  func(p *networkingv1.NetworkPolicy) { p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}} },
		"ingress opened": func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} },
		"podSelector narrowed": func(p *networkingv1.NetworkPolicy) {
			p.Spec.PodSelector = *metav1.SetAsLabelSelector(map[string]string{"app": "web"})
		},
		"policyTypes added":    func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = directions },
		"policyTypes cut":      func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = p.Spec.PolicyTypes[:1] },
		"labels gone":          func(p *networkingv1.NetworkPolicy) { p.Labels = nil },
		"the owner gone":       func(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil },
		"the description gone": func(p *networkingv1.NetworkPolicy) { p.Annotations = nil },
		"everything gone": func(p *networkingv1.NetworkPolicy) {
			p.Labels, p.OwnerReferences, p.Annotations = nil, nil, nil
			p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager}, {Manager: "kubectl-edit"}}
			p.Spec = networkingv1.NetworkPolicySpec{PolicyTypes: directions[:1]}
		},
		"deleted": nil,
	}
	for _, p := range desired.Policies {
		for what, tamper := range tampers {
			t.Run(p.Name+" "+what, func(t *testing.T) {
				c := holding(desired)
				live := c.policies[p.Name].DeepCopy()
				want := "create " + p.Name
				if tamper == nil {
					c.remove(p.Name)
				} else {
					tamper(live)
					c.put(live)
					want = "update " + p.Name
				}
				if tamper != nil && Same(live, p.NetworkPolicy) {
					want = ""
				}
				plan := c.plan(desired)
				if shape(plan) != want {
					t.Fatalf("got %s, want %s", shape(plan), want)
				}
				if err := c.follow(&choices{}, plan, false); err != nil {
					t.Error(err)
				}
				if err := c.converged(desired); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Steps tell whose policy they are about, and what is there.
func TestPlanSteps(t *testing.T) {
	c := holding(rendered(t, full, another), "a-allow-dns")
	c.policies["b-allow-dns"].Spec.Egress = nil
	p := c.plan(rendered(t, full, `profile: {defaultDeny: {}, allowDNS: {}}`))
	for _, phase := range p.Phases {
		for _, s := range phase {
			got := fmt.Sprintf("%s %s of %s: live %v, want %v", s.Verb, s.Name, s.Baseline, s.Live != nil, s.Want != nil)
			if !slices.Contains([]string{
				"create a-allow-dns of a: live false, want true",
				"update b-allow-dns of b: live true, want true",
				"delete b-allow-monitoring of b: live true, want false",
			}, got) {
				t.Error(got)
			}
		}
	}
	if p.Len() != 3 {
		t.Errorf("%d policies, want 3: %s", p.Len(), shape(p))
	}
	retained := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.BaselineLabel: "a"}}}
	if got := BaselineOf(retained); got != "a" {
		t.Errorf("BaselineOf a policy without owner = %q", got)
	}
}

// What is rendered is shared by namespaces: a form that carries is a copy, even where a list has room for more.
func TestCarryingLeavesRenderedAlone(t *testing.T) {
	rule := func(port int32) networkingv1.NetworkPolicyIngressRule {
		p := intstr.FromInt32(port)
		return networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{{Port: &p}}}
	}
	spec := func(port int32) []*networkingv1.NetworkPolicySpec {
		return []*networkingv1.NetworkPolicySpec{{Ingress: []networkingv1.NetworkPolicyIngressRule{rule(port), rule(port)}}}
	}
	shared := &networkingv1.NetworkPolicy{}
	shared.Spec.Ingress = append(make([]networkingv1.NetworkPolicyIngressRule, 0, 8), rule(1))
	first := withRules(shared, networkingv1.PolicyTypeIngress, spec(2))
	second := withRules(shared, networkingv1.PolicyTypeIngress, spec(3))
	want := []networkingv1.NetworkPolicyIngressRule{rule(1), rule(2)} // each rule once
	if compact(first.Spec.Ingress) != compact(want) || len(second.Spec.Ingress) != 2 || len(shared.Spec.Ingress) != 1 {
		t.Errorf("got %s, %s and %s", compact(first.Spec.Ingress), compact(second.Spec.Ingress), compact(shared.Spec.Ingress))
	}
	narrowed := &networkingv1.NetworkPolicy{Spec: *parseSpec(t, `{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`)}
	told := compact(narrowed)
	if got := compact(isolating(narrowed, networkingv1.PolicyTypeIngress).Spec); got != `{"podSelector":{},"policyTypes":["Ingress","Egress"]}` || compact(narrowed) != told {
		t.Errorf("got %s from %s", got, compact(narrowed))
	}
}
