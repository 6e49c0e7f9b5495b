// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// foreignPolicy is a policy of somebody else.
func foreignPolicy(t *testing.T, name, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, UID: foreignUID}, Spec: *parseSpec(t, spec)}
}

// Two blocks with different pods add up for the pods of both, and for no others.
func TestCutsKnowThePods(t *testing.T) {
	c := holdingAll(t, everywhere(t, "denies", outward), everywhere(t, "all", blocking),
		everywhere(t, "web", `profile: {blockMetadata: {podSelector: {matchLabels: {app: web}}, additionalCIDRs: [10.1.0.0/16]}}`))
	for _, tc := range []struct {
		pod, peer string
		want      bool
	}{
		{"web", "internet", true}, {"db", "internet", true}, {"plain", "internet", true},
		{"web", "metadata", false}, {"db", "metadata", false}, {"plain", "metadata", false},
		{"web", "office", false}, {"db", "office", true}, {"plain", "office", true},
	} {
		if got := c.reaches(flowNamed(tc.pod, "Egress", tc.peer, "TCP/80")); got != tc.want {
			t.Errorf("%s reaches %s: %t, want %t\n%s", tc.pod, tc.peer, got, tc.want, c)
		}
	}
	if n := strings.Count(c.names(), "denies-flow-out-egress-pods-"); n != 2 {
		t.Errorf("the flow is split into %d policies, want 2: %s", n, c.names())
	}
}

func TestOwnExemptionIsNoFinding(t *testing.T) {
	b := everywhere(t, "a", `profile: {defaultDeny: {directions: [Egress]}, blockMetadata: {exemptions: [{podSelector: {matchLabels: {app: web}}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}}`)
	var exemption *networkingv1.NetworkPolicy
	for _, p := range holdingAll(t, b).policies {
		if len(p.Spec.Egress) > 0 {
			exemption = p
		}
	}
	for _, tc := range []struct {
		name, want string
		change     func(*networkingv1.NetworkPolicySpec)
	}{
		{"equal", "", func(*networkingv1.NetworkPolicySpec) {}},
		{"for fewer pods", "", func(s *networkingv1.NetworkPolicySpec) { s.PodSelector.MatchLabels["tier"] = "front" }},
		{"for other pods", "MetadataReopened:theirs", func(s *networkingv1.NetworkPolicySpec) { s.PodSelector.MatchLabels["app"] = "db" }},
		{"for all pods", "MetadataReopened:theirs", func(s *networkingv1.NetworkPolicySpec) { s.PodSelector.MatchLabels = nil }},
		{"on all ports", "MetadataReopened:theirs", func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].Ports = nil }},
		{"to more addresses", "MetadataReopened:theirs", func(s *networkingv1.NetworkPolicySpec) { s.Egress[0].To[0].IPBlock.CIDR = "169.254.170.22/31" }},
	} {
		c := holdingAll(t, b)
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "theirs", UID: foreignUID}, Spec: *exemption.Spec.DeepCopy()}
		tc.change(&p.Spec)
		c.put(p)
		if got := problems(c.decide([]*Baseline{b}, Facts{}).Told[0].Overrides); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// A name that is taken keeps nothing away, and carries nothing to pods that do not need it.
func TestTakenNames(t *testing.T) {
	const exempting = `profile: {defaultDeny: {}, blockMetadata: {exemptions: [{podSelector: {matchLabels: {app: web}}, cidr: 169.254.169.254/32, ports: [{port: 80}]}]}}`
	exempt := rendered(t, exempting, "")
	name := exempt.Policies[slices.IndexFunc(exempt.Policies, func(p Policy) bool { return len(p.Spec.PodSelector.MatchLabels) > 0 })].Name
	for _, tc := range []struct {
		name, spec string
		taken      []string
		want       string // all names then
	}{
		{"the deny", denying, []string{"a-default-deny"}, "a-allow-dns a-default-deny a-default-deny-2"},
		{"the deny, twice", denying, []string{"a-default-deny", "a-default-deny-2"}, "a-allow-dns a-default-deny a-default-deny-2 a-default-deny-3"},
		{"both", denying, []string{"a-default-deny", "a-allow-dns"}, "a-allow-dns a-allow-dns-2 a-default-deny a-default-deny-2"},
		{"an exemption", exempting, []string{name}, strings.Join([]string{name, name + "-2", "a-default-deny"}, " ")},
		{"a name that is none of ours", denying, []string{"a-default-deny-3"}, "a-allow-dns a-default-deny a-default-deny-3"},
	} {
		b := everywhere(t, "a", tc.spec)
		c := newCluster(network{podsByAddress: true})
		for _, name := range tc.taken {
			c.put(foreignPolicy(t, name, `{podSelector: {matchLabels: {app: none}}, policyTypes: [Ingress]}`))
		}
		d := c.settle(t, b)
		if c.names() != tc.want {
			t.Errorf("%s: it holds %s, want %s", tc.name, c.names(), tc.want)
		}
		told := d.Told[0]
		if n := int32(len(d.Wanted.Policies)); told.Desired != n || told.InSync != n {
			t.Errorf("%s: %d of %d are in sync, want all %d", tc.name, told.InSync, told.Desired, n)
		}
		if wants := !strings.Contains(tc.name, "none of ours"); strings.Contains(problems(told.Problems), "NameTaken:"+tc.taken[0]) != wants {
			t.Errorf("%s: told %q", tc.name, problems(told.Problems))
		}
		for _, pod := range []string{"db", "plain"} {
			if c.reaches(flowNamed(pod, "Egress", "metadata", "TCP/80")) {
				t.Errorf("%s: %s reaches the metadata address", tc.name, pod)
			}
		}
		// When the name is free again nothing is written: the name is not the identity.
		for _, name := range tc.taken {
			c.remove(name)
		}
		if d := c.decide([]*Baseline{b}, Facts{}); !d.Plan.Empty() || len(d.Told[0].Problems) > 0 {
			t.Errorf("%s: when the name is free again:\n%s%s", tc.name, d.Plan, problems(d.Told[0].Problems))
		}
	}
}

// What is held in deletion gets a successor, and is repaired as long as it is there; what nobody wants is made inert.
func TestHeldInDeletion(t *testing.T) {
	b := everywhere(t, "a", denying)
	hold := func(change func(*networkingv1.NetworkPolicy)) *cluster {
		c := holdingAll(t, b)
		c.terminate("a-allow-dns")
		c.change("a-allow-dns", change)
		return c
	}
	c := hold(openEgress)
	d := c.decide([]*Baseline{b}, Facts{})
	if got := problems(d.Told[0].Problems); got != "PolicyTerminating:a-allow-dns" {
		t.Errorf("told %q", got)
	}
	d = c.settle(t, b)
	if c.names() != "a-allow-dns a-allow-dns-2 a-default-deny" || !Same(c.policies["a-allow-dns"], d.Wanted.find("a-allow-dns").NetworkPolicy) {
		t.Errorf("a held one that was opened is not repaired beside a successor:\n%s", c)
	}
	if told := d.Told[0]; told.Desired != 2 || told.InSync != 2 {
		t.Errorf("%d of %d are in sync, want 2 of 2", told.InSync, told.Desired)
	}
	c.remove("a-allow-dns")
	if d := c.decide([]*Baseline{b}, Facts{}); !d.Plan.Empty() {
		t.Errorf("when it is gone at last:\n%s", d.Plan)
	}

	c = hold(func(*networkingv1.NetworkPolicy) {})
	gone := everywhere(t, "a", `profile: {defaultDeny: {}}`)
	d = c.settle(t, gone)
	if p := c.policies["a-allow-dns"]; !Inert(p) || c.reaches(flowNamed("web", "Egress", "dns", "UDP/53")) {
		t.Errorf("a held one that nobody wants is not inert:\n%s", c)
	}
	if got := problems(d.Told[0].Problems); got != "PolicyTerminating:a-allow-dns" {
		t.Errorf("told %q", got)
	}

	c = hold(func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"} })
	c.settle(t, b)
	if !Inert(c.policies["a-allow-dns"]) || c.policies["a-allow-dns-2"] == nil {
		t.Errorf("a held one that was given to other pods is not inert beside a successor:\n%s", c)
	}

	deleting := *b
	deleting.Deleting = true
	c = hold(func(*networkingv1.NetworkPolicy) {})
	if d := c.decide([]*Baseline{&deleting}, Facts{}); !d.Told[0].Leaving {
		t.Error("a baseline goes while a policy of it is held, and in force")
	}
	if d := c.settle(t, &deleting); d.Told[0].Leaving || c.names() != "a-allow-dns" {
		t.Errorf("a baseline waits for a policy that is held, and inert: %s", c.names())
	}
}

// In a namespace that is going what is there is repaired by update, and nothing is created or deleted.
func TestTerminatingNamespaceOnlyUpdates(t *testing.T) {
	b, leaving := everywhere(t, "a", denying), everywhere(t, "b", `profile: {defaultDeny: {}}`)
	c := holdingAll(t, b, leaving)
	leaving.Deleting = true
	c.remove("a-default-deny")
	c.terminate("a-allow-dns")
	c.change("a-allow-dns", openEgress)
	s := c.state([]*Baseline{b, leaving}, Facts{})
	s.Namespace.Terminating = true
	d := Decide(s)
	if got := shape(d.Plan); got != "update a-allow-dns" {
		t.Errorf("got %q, want one update", got)
	}
	if len(d.Told[0].Problems) > 0 {
		t.Errorf("told %q: that it is held is no news there", problems(d.Told[0].Problems))
	}
}

// A retained policy loses its owner and its promise, and keeps everything else.
func TestRelease(t *testing.T) {
	b := everywhere(t, "a", denying)
	c := holdingAll(t, b)
	c.change("a-allow-dns", func(p *networkingv1.NetworkPolicy) { p.Annotations["note"], p.Labels["team"] = "hello", "blue" })
	b.Deleting, b.DeletionPolicy = true, v1alpha1.DeletionRetain
	d := c.decide([]*Baseline{b}, Facts{})
	if !d.Plan.Empty() || len(d.Release) != 2 || !d.Told[0].Leaving || d.Told[0].Kept != 0 {
		t.Fatalf("%d are released, leaving %t:\n%s", len(d.Release), d.Told[0].Leaving, d.Plan)
	}
	for _, s := range d.Release {
		live := c.policies[s.Name]
		want := "Left in place by NetworkBaseline a, which was deleted with deletionPolicy: Retain. Nothing manages it."
		if s.Verb != Update || len(s.Want.OwnerReferences) > 0 || s.Want.Annotations["netbaseline.io/description"] != want {
			t.Errorf("%s: %s %s", s.Name, s.Verb, compact(s.Want.ObjectMeta))
		}
		if compact(s.Want.Spec) != compact(live.Spec) || compact(s.Want.Labels) != compact(live.Labels) || s.Want.Annotations["note"] != live.Annotations["note"] {
			t.Errorf("%s: more than the owner and the description changes: %s", s.Name, compact(s.Want))
		}
		if len(live.OwnerReferences) != 1 || strings.HasPrefix(live.Annotations["netbaseline.io/description"], "Left") {
			t.Errorf("%s: the live policy was changed", s.Name)
		}
	}
	if err := c.run(d.Release, nil, func(*Step) error { return nil }); err != nil {
		t.Fatal(err)
	}
	c.restart()
	if d := c.decide([]*Baseline{b}, Facts{}); d.Told[0].Leaving || len(d.Release) > 0 || !d.Plan.Empty() {
		t.Error("released, it is not done with")
	}
	// A baseline of the same name takes them over.
	again := everywhere(t, "a", denying)
	again.UID = "uid-again"
	c.settle(t, again)
	if c.names() != "a-allow-dns a-default-deny" {
		t.Errorf("it holds %s", c.names())
	}
}

// What is told of counts, by phase.
func TestToldCounts(t *testing.T) {
	const three = `profile: {defaultDeny: {}, allowDNS: {}, allowSameNamespace: {directions: [Ingress]}}`
	for _, tc := range []struct {
		name   string
		change func(b *Baseline, c *cluster)
		want   Told
	}{
		{"in sync", func(*Baseline, *cluster) {}, Told{Desired: 3, InSync: 3}},
		{"one is gone, one is changed", func(_ *Baseline, c *cluster) {
			c.remove("a-allow-dns")
			c.change("a-default-deny", openEgress)
		}, Told{Desired: 3, InSync: 1}},
		{"one too many", func(b *Baseline, _ *cluster) { b.Update = compiled(t, "a", denying) }, Told{Desired: 2, InSync: 2}},
		{"audited", func(b *Baseline, _ *cluster) { b.Mode = "Audit" }, Told{Desired: 3, InSync: 3, Kept: 3}},
		{"audited, with drift", func(b *Baseline, c *cluster) {
			b.Mode = "Audit"
			c.remove("a-allow-dns")
			c.change("a-default-deny", openEgress)
		}, Told{Desired: 3, InSync: 1, Kept: 2, Audit: Audit{Create: 1, Change: 1}}},
		{"audited, and a spec that asks for less", func(b *Baseline, _ *cluster) {
			b.Mode, b.Admitted, b.Update = "Audit", false, compiled(t, "a", denying)
		}, Told{Desired: 2, InSync: 2, Kept: 3, Audit: Audit{Remove: 1}}},
		{"audited, and a spec that selects others", func(b *Baseline, _ *cluster) {
			b.Mode, b.Admitted, b.Update = "Audit", false, compiled(t, "a", staging)
		}, Told{Kept: 3, Audit: Audit{Remove: 3}}},
		{"audited, and nothing is there", func(b *Baseline, c *cluster) {
			b.Mode, b.Admitted, b.Current = "Audit", false, nil
			for _, p := range c.live() {
				c.remove(p.Name)
			}
		}, Told{Desired: 3, Audit: Audit{Create: 3}}},
		{"a lost revision", func(b *Baseline, _ *cluster) { b.Admitted, b.Current, b.Lost = false, nil, "r-lost" }, Told{Kept: 3}},
		{"leaving", func(b *Baseline, _ *cluster) { b.Deleting = true }, Told{Leaving: true}},
		{"left", func(b *Baseline, c *cluster) {
			b.Deleting = true
			for _, p := range c.live() {
				c.remove(p.Name)
			}
		}, Told{}},
	} {
		b := everywhere(t, "a", three)
		c := holdingAll(t, b)
		tc.change(b, c)
		if got := *c.decide([]*Baseline{b}, Facts{}).Told[0]; compact(got) != compact(tc.want) {
			t.Errorf("%s: got %s, want %s", tc.name, compact(got), compact(tc.want))
		}
	}
}

// Two baselines may render policies of one name: each has its own, and both come to rest.
func TestTwoBaselinesOfOneName(t *testing.T) {
	flows := func(name string) string {
		return `profile: {defaultDeny: {}}, flows: [{name: ` + name + `, from: {podSelector: {matchLabels: {app: web}}}, to: {podSelector: {matchLabels: {app: db}}}}]`
	}
	a, b := everywhere(t, "a", flows("x-flow-z")), everywhere(t, "a-flow-x", flows("z"))
	c := holdingAll(t, a, b)
	for _, name := range []string{"a-flow-x-flow-z-egress", "a-flow-x-flow-z-egress-2", "a-flow-x-flow-z-ingress", "a-flow-x-flow-z-ingress-2"} {
		if c.policies[name] == nil {
			t.Errorf("%s is missing: %s", name, c.names())
		}
	}
	c.restart()
	d := c.settle(t, a, b)
	for i, told := range d.Told {
		if told.Desired != 3 || told.InSync != 3 {
			t.Errorf("%s: %d of %d in sync, want 3 of 3", d.Contributions[i].Name, told.InSync, told.Desired)
		}
	}
	b.Deleting = true
	c.settle(t, a, b)
	if c.names() != "a-default-deny a-flow-x-flow-z-egress a-flow-x-flow-z-ingress" {
		t.Errorf("without the second it holds %s", c.names())
	}
}
