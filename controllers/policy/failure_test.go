// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// TestFailedStep refuses each write of each transition, once and for good. What follows converges without a gap
// between the very first state and the last; and where it cannot, it does not write the same things again and again.
func TestFailedStep(t *testing.T) {
	const (
		ingress = `profile: {defaultDeny: {directions: [Ingress]}, blockMetadata: {}, allowSameNamespace: {}, allowMonitoring: {stacks: [Datadog], podSelector: {matchLabels: {app: web}}}}`
		egress  = `profile: {defaultDeny: {directions: [Egress]}, allowDNS: {resolvers: [{cidr: 0.0.0.0/0}]}, allowSameNamespace: {}}`
		guarded = `profile: {blockMetadata: {exemptions: [{podSelector: {matchLabels: {app: web}}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}}`
	)
	states := [][2]string{{"", ""}, {full, ""}, {full, another}, {ingress, ""}, {egress, ""}, {egress, ingress}, {guarded, ""}, {"", full}}
	for _, from := range states {
		for _, to := range states {
			before, desired := holding(rendered(t, from[0], from[1])), rendered(t, to[0], to[1])
			steps := 0
			for _, phase := range before.clone().plan(desired).Phases {
				steps += len(phase)
			}
			for refused := range steps {
				for _, forever := range []bool{false, true} {
					checkFailedStep(t, before, desired, refused, forever)
				}
			}
		}
	}
}

func checkFailedStep(t *testing.T, before *cluster, desired *Rendered, refused int, forever bool) {
	t.Helper()
	after, err := before.after(before.plan(desired))
	if err != nil {
		t.Fatal(err)
	}
	c := before.clone()
	guard := c.guard(before, after)
	// fail refuses one step of the first plan, and whatever is like it later when it is refused forever.
	var victim *Step
	n := 0
	fail := func(s *Step) bool {
		if victim == nil {
			if n++; n-1 == refused {
				victim = s
				return true
			}
			return false
		}
		return forever && s.Verb == victim.Verb && s.Name == victim.Name
	}
	for round := range 3 {
		plan := c.plan(desired)
		done := c.writes
		if err := c.run(plan.Phases, fail, guard); err != nil {
			t.Errorf("write %d refused (forever: %v): %v\nfrom:\n%splan:\n%s", refused, forever, err, before, plan)
			return
		}
		if round == 2 && c.writes > done {
			t.Errorf("write %d refused (forever: %v): writes go on:\n%sfrom:\n%s", refused, forever, plan, before)
		}
	}
	if forever {
		return
	}
	if err := c.converged(desired); err != nil {
		t.Errorf("write %d refused once: %v\nfrom:\n%s", refused, err, before)
	}
}

// A tenant who fills a quota must not be able to keep what he opened: the deny is put right before the create that
// is refused.
func TestOpenedDenyDoesNotWait(t *testing.T) {
	rendered := Render(Input{Baselines: []*v1alpha1.NetworkBaseline{fullProfile()}})
	live := Live{Ours: map[string]*networkingv1.NetworkPolicy{}}
	for i := range rendered.Policies {
		live.Ours[rendered.Policies[i].Name] = rendered.Policies[i].DeepCopy()
	}
	delete(live.Ours, "production-allow-dns")
	live.Ours["production-default-deny"].Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}

	first := NewPlan(rendered, live).Phases[0]
	if len(first) != 1 || first[0].Name != "production-default-deny" || !first[0].Passing {
		t.Fatalf("first phase: %+v", first)
	}
	for _, rule := range first[0].Want.Spec.Egress {
		if len(rule.To) == 0 {
			t.Errorf("still open to everyone: %+v", rule)
		}
	}
}
