// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	full    = `profile: {defaultDeny: {}, allowDNS: {}, blockMetadata: {}, allowIngressController: {controllers: [IngressNginx]}, allowMonitoring: {stacks: [Prometheus]}, allowSameNamespace: {}}`
	another = `profile: {defaultDeny: {}, allowDNS: {}, allowMonitoring: {stacks: [Datadog]}}`
)

// enforcing are contributions of baselines whose specs are in force, by name.
func enforcing(specs ...*v1alpha1.NetworkBaseline) []Contribution {
	var out []Contribution
	for _, b := range admitted(specs) {
		if b.Deleting {
			continue
		}
		out = append(out, Contribution{Baseline: b, Phase: Enforcing, Selected: true, Revision: b.Update})
	}
	slices.SortFunc(out, func(a, b Contribution) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// specsOf are baselines a and b; an empty spec is no baseline.
func specsOf(t *testing.T, a, b string) []*v1alpha1.NetworkBaseline {
	t.Helper()
	var out []*v1alpha1.NetworkBaseline
	if a != "" {
		out = append(out, parseBaseline(t, "a", a))
	}
	if b != "" {
		out = append(out, parseBaseline(t, "b", b))
	}
	return out
}

// rendered are their policies.
func rendered(t *testing.T, a, b string) *Rendered {
	t.Helper()
	return Render(Input{Contributions: enforcing(specsOf(t, a, b)...)})
}

// holding is a namespace that holds these policies, but for those named.
func holding(r *Rendered, without ...string) *cluster {
	c := newCluster(network{podsByAddress: true})
	c.before = []*Rendered{r}
	for _, p := range r.Policies {
		live := p.DeepCopy()
		live.UID = types.UID("uid-live-" + p.Name)
		c.seen[live.UID] = p.OwnerReferences[0].UID
		if !slices.Contains(without, p.Name) {
			c.put(live)
		}
	}
	return c
}

// shape is a plan in a few words: a transitional form is in brackets, and the steps that one needs stand behind it.
func shape(p *Plan) string {
	var steps []string
	for _, s := range p.Steps {
		step := string(s.Verb) + " " + s.Name
		if s.Transitional {
			step = "(" + step + ")"
		}
		if len(s.Needs) > 0 {
			step += strings.ReplaceAll(fmt.Sprint(s.Needs), " ", ",")
		}
		steps = append(steps, step)
	}
	return strings.Join(steps, ", ")
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
	}{
		{"nothing to do", [2]string{full, another}, nil, full, another, ""},
		{"a fresh namespace", [2]string{}, nil, full, "",
			"(create a-default-deny), create a-allow-dns[0], create a-allow-ingress-controller[0], create a-allow-monitoring[0], create a-allow-same-namespace-egress[0], create a-allow-same-namespace-ingress[0], update a-default-deny[0,1,2,3,4,5]"},
		{"all policies deleted at once", [2]string{deny, ""}, []string{"a-default-deny"}, denyDNS, "", "(create a-default-deny), create a-allow-dns[0], update a-default-deny[0,1]"},
		{"a deny alone", [2]string{}, nil, deny, "", "create a-default-deny"},
		{"a block alone", [2]string{}, nil, `profile: {blockMetadata: {}}`, "", "create a-block-metadata"},
		{"a block with an exemption", [2]string{}, nil, exempted, "", "(create a-block-metadata), create " + exempt + "[0], update a-block-metadata[0,1]"},
		{"removal", [2]string{denyDNS, ""}, nil, "", "", "delete a-default-deny, delete a-allow-dns[0]"},
		{"removal of a deny alone", [2]string{deny, ""}, nil, "", "", "delete a-default-deny"},
		{"removal of a block with an exemption", [2]string{exempted, ""}, nil, "", "", "(update a-block-metadata), delete " + exempt + "[0], delete a-block-metadata[0,1]"},
		{"a component arrives", [2]string{deny, ""}, nil, denyDNS, "", "create a-allow-dns"},
		{"a component goes", [2]string{denyDNS, ""}, nil, deny, "", "delete a-allow-dns"},
		{"a component changes", [2]string{denyDNS, ""}, nil, `profile: {defaultDeny: {}, allowDNS: {ports: [{port: 5353}]}}`, "", "update a-allow-dns"},
		{"two components change: one could take what the other gives", [2]string{`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Prometheus]}, allowIngressController: {controllers: [IngressNginx]}}`, ""}, nil,
			`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Datadog]}, allowIngressController: {controllers: [Traefik]}}`, "",
			"update a-allow-ingress-controller, update a-allow-monitoring"},
		{"one of each direction changes", [2]string{`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Prometheus]}, allowDNS: {}}`, ""}, nil,
			`profile: {defaultDeny: {}, allowMonitoring: {stacks: [Datadog]}, allowDNS: {ports: [{port: 5353}]}}`, "", "update a-allow-dns, update a-allow-monitoring"},
		{"a second baseline arrives where all is denied", [2]string{full, ""}, nil, full, another, "create b-allow-dns, create b-allow-monitoring, create b-default-deny"},
		{"it goes", [2]string{full, another}, nil, full, "", "delete b-allow-dns, delete b-allow-monitoring, delete b-default-deny"},
		{"it takes over", [2]string{denyDNS, ""}, nil, "", denyDNS, "create b-allow-dns, create b-default-deny, delete a-allow-dns[0,1], delete a-default-deny[0,1]"},
		{"two arrive, each denies one direction", [2]string{}, nil, `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}}`, `profile: {defaultDeny: {directions: [Ingress]}, allowSameNamespace: {}}`,
			"(create a-default-deny), (create b-default-deny), create a-allow-dns[0], create b-allow-same-namespace-egress[0], create b-allow-same-namespace-ingress[1], update a-default-deny[0,2,3], update b-default-deny[1,4]"},
		{"egress is denied no longer", [2]string{denyDNS, ""}, nil, `profile: {defaultDeny: {directions: [Ingress]}, allowDNS: {}}`, "",
			"update a-default-deny, delete a-allow-dns[0]"},
		{"egress is denied no longer, but metadata", [2]string{full, ""}, nil, `profile: {defaultDeny: {directions: [Ingress]}, blockMetadata: {}, allowSameNamespace: {directions: [Ingress]}}`, "",
			"create a-block-metadata, update a-default-deny[0], delete a-allow-dns[0], delete a-allow-ingress-controller, delete a-allow-monitoring, delete a-allow-same-namespace-egress[0]"},
		{"egress is denied, which was open but for metadata", [2]string{`profile: {blockMetadata: {}}`, ""}, nil, `profile: {defaultDeny: {directions: [Egress]}, blockMetadata: {}, allowDNS: {}}`, "",
			"create a-allow-dns, create a-default-deny, delete a-block-metadata[0,1]"},
		{"an allow is deleted", [2]string{full, ""}, []string{"a-allow-dns"}, full, "", "create a-allow-dns"},
		{"the deny is deleted, an allow still isolates", [2]string{denyDNS, ""}, []string{"a-default-deny"}, denyDNS, "", "create a-default-deny"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := holding(rendered(t, tc.before[0], tc.before[1]), tc.gone...)
			checkPlan(t, c, admitted(specsOf(t, tc.a, tc.b)), tc.want)
		})
	}
}

// checkPlan compares a plan with its shape, follows it, and sees that nothing is left to do.
func checkPlan(t *testing.T, c *cluster, baselines []*Baseline, want string) {
	t.Helper()
	d := c.decide(baselines, Facts{})
	if got := shape(d.Plan); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := c.follow(&choices{}, d, append(slices.Clone(c.before), d.Wanted), false); err != nil {
		t.Errorf("%v\n%s", err, d.Plan)
	}
	if err := c.converged(baselines, Facts{}); err != nil {
		t.Error(err)
	}
}

// The carrier carries exactly the rules of the others, and the final write takes them off again.
func TestPlanCarries(t *testing.T) {
	baselines := admitted(specsOf(t, full, ""))
	wanted := rendered(t, full, "")
	all := asked{wanted}
	same := func(p *networkingv1.NetworkPolicy) bool {
		return !slices.ContainsFunc(directions, func(d networkingv1.PolicyType) bool {
			got := rulesOf(p, d)
			return len(without(got, all.rules(d)))+len(without(all.rules(d), got)) > 0
		})
	}
	arrive := newCluster(network{}).decide(baselines, Facts{}).Plan
	first, last := arrive.Steps[0], arrive.Steps[len(arrive.Steps)-1]
	if first.Name != "a-default-deny" || !same(first.Want) {
		t.Errorf("%s comes with %s", first.Name, compact(first.Want.Spec))
	}
	if last.Name != "a-default-deny" || last.Want != wanted.find("a-default-deny").NetworkPolicy && !Same(last.Want, wanted.find("a-default-deny").NetworkPolicy) {
		t.Errorf("the deny stays with %s", compact(last.Want.Spec))
	}
	leave := holding(wanted).decide(admitted(nil), Facts{}).Plan
	if first = leave.Steps[0]; first.Name != "a-default-deny" || !same(first.Want) {
		t.Errorf("%s goes with %s", first.Name, compact(first.Want.Spec))
	}
	if compact(first.Want.ObjectMeta) != compact(first.Live.ObjectMeta) {
		t.Errorf("carrying changes more than rules: %s", compact(first.Want.ObjectMeta))
	}
}

// Whatever is done to one policy is put right by one write, in place.
func TestPlanRepairsWithOneWrite(t *testing.T) {
	desired, baselines := rendered(t, full, another), admitted(specsOf(t, full, another))
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
				checkPlan(t, c, baselines, want)
			})
		}
	}
}

// What is rendered is shared by namespaces: a form that carries is a copy, even where a list has room for more.
func TestCarryingLeavesRenderedAlone(t *testing.T) {
	memo := &Memo{}
	baselines := admitted(specsOf(t, full, another))
	fresh := newCluster(network{}).state(baselines, Facts{})
	fresh.Memo = memo
	wanted := Decide(fresh).Wanted
	before := compact(wanted)
	for seed := range uint64(200) {
		choose := &choices{randomBytes(seed, 64)}
		c := holding(wanted)
		c.disturb(choose)
		s := c.state(baselines, Facts{})
		s.Memo = memo
		Decide(s)
	}
	if compact(wanted) != before {
		t.Error("planning changed what is rendered")
	}
}

// find is the rendered policy of this name; nil for none.
func (r *Rendered) find(name string) *Policy {
	for i := range r.Policies {
		if r.Policies[i].Name == name {
			return &r.Policies[i]
		}
	}
	return nil
}
