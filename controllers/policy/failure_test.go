// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
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
			before := holding(rendered(t, from[0], from[1]))
			baselines := admitted(specsOf(t, to[0], to[1]))
			for refused := range before.clone().decide(baselines, Facts{}).Plan.Steps {
				for _, forever := range []bool{false, true} {
					checkFailedStep(t, before, baselines, refused, forever)
				}
			}
		}
	}
}

func checkFailedStep(t *testing.T, before *cluster, baselines []*Baseline, refused int, forever bool) {
	t.Helper()
	first := before.clone().decide(baselines, Facts{})
	after, err := before.after(first.Plan)
	if err != nil {
		t.Fatal(err)
	}
	c := before.clone()
	known := asked(append(slices.Clone(before.before), first.Wanted))
	guard := c.guard(before, after, first.Seen, known)
	victim := first.Plan.Steps[refused]
	for round := range 4 {
		d := c.decide(baselines, Facts{})
		fail := func(i int, s *Step) bool {
			return round == 0 && i == refused || forever && s.Verb == victim.Verb && s.Name == victim.Name
		}
		done := c.writes
		if err := c.run(d.Plan.Steps, fail, guard); err != nil {
			t.Errorf("write %d refused (forever: %v): %v\nfrom:\n%splan:\n%s", refused, forever, err, before, d.Plan)
			return
		}
		if round == 3 && c.writes > done {
			t.Errorf("write %d refused (forever: %v): writes go on:\n%sfrom:\n%s", refused, forever, d.Plan, before)
		}
	}
	if forever {
		return
	}
	if err := c.converged(baselines, Facts{}); err != nil {
		t.Errorf("write %d refused once: %v\nfrom:\n%s", refused, err, before)
	}
}

// A tenant who fills a quota must not be able to keep what he opened: it goes with the first write to its policy, which
// waits for no create.
func TestOpenedDenyDoesNotWait(t *testing.T) {
	wanted := rendered(t, full, another)
	c := holding(wanted, "a-allow-dns")
	for _, name := range []string{"a-default-deny", "b-default-deny", "b-allow-dns"} {
		opened := c.policies[name].DeepCopy()
		opened.Spec.Egress = append(opened.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
		c.put(opened)
	}
	d := c.decide(admitted(specsOf(t, full, another)), Facts{})
	creates := func(_ int, s *Step) bool { return s.Verb == Create }
	if err := c.run(d.Plan.Steps, creates, func(*Step) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for name, p := range c.policies {
		for _, r := range p.Spec.Egress {
			if len(r.To) == 0 {
				t.Errorf("%s is still open to everyone: %s\n%s", name, compact(p.Spec), d.Plan)
			}
		}
	}
}
