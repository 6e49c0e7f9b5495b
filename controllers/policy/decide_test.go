// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	outward  = `profile: {defaultDeny: {directions: [Egress]}}, flows: [{name: out, from: {podSelector: {}}, to: {cidr: 0.0.0.0/0}}]`
	blocking = `profile: {blockMetadata: {}}`
	denying  = `profile: {defaultDeny: {}, allowDNS: {}}`
)

// holdingAll is a namespace in which the baselines are in force.
func holdingAll(t *testing.T, baselines ...*Baseline) *cluster {
	t.Helper()
	c := newCluster(network{podsByAddress: true})
	c.settle(t, baselines...)
	return c
}

// settle does what is decided, until nothing is left to do.
func (c *cluster) settle(t *testing.T, baselines ...*Baseline) *Decision {
	t.Helper()
	for range 5 {
		d := c.decide(baselines, Facts{})
		if d.Plan.Empty() {
			return d
		}
		if err := c.run(d.Plan.Steps, nil, func(*Step) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("it comes to no end:\n%s", c)
	return nil
}

// restart forgets what an operator remembers.
func (c *cluster) restart() { c.seen, c.before = map[types.UID]types.UID{}, nil }

func (c *cluster) change(name string, change func(*networkingv1.NetworkPolicy)) {
	p := c.policies[name].DeepCopy()
	change(p)
	c.put(p)
}

func (c *cluster) names() string { return strings.Join(slices.Sorted(maps.Keys(c.policies)), " ") }

// reaches reports whether a flow is allowed.
func (c *cluster) reaches(flow int) bool {
	allowed := c.allowed()
	return allowed.has(flow)
}

func openEgress(p *networkingv1.NetworkPolicy) {
	p.Spec.PolicyTypes, p.Spec.Egress = directions, []networkingv1.NetworkPolicyEgressRule{{}}
}

func byName(d *Decision, name string) *Told {
	i := slices.IndexFunc(d.Contributions, func(c Contribution) bool { return c.Name == name })
	return d.Told[i]
}

// problems are reasons and policies, as "<reason>:<policy>".
func problems(all []v1alpha1.Problem) string {
	var out []string
	for _, p := range all {
		out = append(out, p.Reason+":"+p.Policy)
	}
	return strings.Join(out, " ")
}

// What one baseline blocks is cut out of the policies of the others, and nothing that happens to it, but its end, opens them.
func TestCutsStay(t *testing.T) {
	reaches := func(c *cluster, peer string) bool { return c.reaches(flowNamed("web", "Egress", peer, "TCP/80")) }
	third := waiting(t, "third", denying)
	for _, tc := range []struct {
		name   string
		change func(platform *Baseline, s *State)
	}{
		{"nothing", func(*Baseline, *State) {}},
		{"its preflight fails later: it stays admitted", func(b *Baseline, _ *State) { b.Settled = false }},
		{"audited", func(b *Baseline, _ *State) { b.Mode = "Audit" }},
		{"deleted, and retained", func(b *Baseline, _ *State) { b.Deleting, b.DeletionPolicy = true, "Retain" }},
		{"a revision without the block waits", func(b *Baseline, _ *State) {
			b.Update, b.Admitted = compiled(t, "platform", `profile: {allowDNS: {}}`), false
		}},
		{"a third baseline waits", func(_ *Baseline, s *State) {
			s.Baselines, s.Enforced = append(s.Baselines, third), map[types.UID]bool{"uid-denies": true, "uid-platform": true}
		}},
		{"a third baseline waits, after a start", func(_ *Baseline, s *State) { s.Baselines = append(s.Baselines, third) }},
		{"a third baseline waits, and younger namespaces with it, after a start", func(b *Baseline, s *State) {
			b.Settled, s.Baselines = false, append(s.Baselines, third)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			denies, platform := everywhere(t, "denies", outward), everywhere(t, "platform", blocking)
			c := holdingAll(t, denies, platform)
			if c.names() != "denies-default-deny denies-flow-out-egress" || reaches(c, "metadata") || !reaches(c, "internet") {
				t.Fatalf("the block does not consist of cuts:\n%s", c)
			}
			c.restart()
			s := c.state([]*Baseline{denies, platform}, Facts{})
			tc.change(platform, s)
			d := Decide(s)
			if err := c.run(append(d.Plan.Steps, d.Release...), nil, func(*Step) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if !d.Plan.Empty() || reaches(c, "metadata") {
				t.Errorf("the cuts go:\n%s", d.Plan)
			}
		})
	}
}

// No bare deny comes to a namespace that waits, and none that is in force goes, whatever is remembered.
func TestNoBareDeny(t *testing.T) {
	b, a := everywhere(t, "b", denying), waiting(t, "a", `profile: {allowIngressController: {controllers: [Contour]}}`)
	before, after := Namespace{Name: "shop", Created: a.Created.Add(-time.Hour)}, Namespace{Name: "shop", Created: a.Created.Add(time.Hour)}
	unsettled := *b
	unsettled.Settled = false
	enforced, none := map[types.UID]bool{"uid-b": true}, map[types.UID]bool{}
	for _, tc := range []struct {
		name     string
		ns       Namespace
		b        *Baseline
		enforced map[types.UID]bool
		holds    bool // one of b's policies
		want     string
	}{
		{"a new namespace", after, b, nil, false, "Waiting"},
		{"a new namespace, looked at before", after, b, none, false, "Waiting"},
		{"an older namespace that was not enforced when it was looked at last", before, b, none, false, "Waiting"},
		{"one that holds a policy", after, b, none, true, "Enforcing"},
		{"one that was enforced, and holds nothing any more", after, b, enforced, false, "Enforcing"},
		{"an older namespace, after a start, whose policies were all deleted", before, b, nil, false, "Enforcing"},
		{"the same, where not all namespaces were enforced", before, &unsettled, nil, false, "Waiting"},
	} {
		c := newCluster(network{})
		if tc.holds {
			c = holdingAll(t, b)
			c.remove("b-default-deny")
			c.restart()
		}
		s := c.state([]*Baseline{a, tc.b}, Facts{})
		s.Namespace, s.Enforced = tc.ns, tc.enforced
		d := Decide(s)
		if got := d.Contributions[1].Phase; string(got) != tc.want || d.Plan.Empty() != (tc.want == "Waiting") {
			t.Errorf("%s: %s, want %s; %s", tc.name, got, tc.want, d.Plan)
		}
		if told := d.Told[0]; told.Desired+told.InSync > 0 || d.Contributions[0].Phase != Waiting {
			t.Errorf("%s: of what waits %d policies are asked for", tc.name, told.Desired)
		}
	}
}

// What is added to a baseline that is in force is admitted first, and what is in force is repaired meanwhile.
func TestANewRevisionWaits(t *testing.T) {
	b := everywhere(t, "a", blocking)
	c := holdingAll(t, b)
	b.Update, b.Admitted = compiled(t, "a", `profile: {blockMetadata: {}, defaultDeny: {}}`), false
	if d := c.decide([]*Baseline{b}, Facts{}); !d.Plan.Empty() {
		t.Errorf("it bypasses its preflight:\n%s", d.Plan)
	}
	c.remove("a-block-metadata")
	c.restart()
	if got := shape(c.decide([]*Baseline{b}, Facts{}).Plan); got != "create a-block-metadata" {
		t.Errorf("what is in force is not repaired: %q", got)
	}
	b.Admitted = true
	c.settle(t, b)
	if c.names() != "a-default-deny" {
		t.Errorf("admitted, it holds %s", c.names())
	}
}

// Only a default deny is a deny: beside a block that nobody maintains any more another one is rendered.
func TestABlockIsNoDeny(t *testing.T) {
	retain := func(b *Baseline) { b.Deleting, b.DeletionPolicy = true, "Retain" }
	for what, change := range map[string]func(*Baseline){"audited": func(b *Baseline) { b.Mode = "Audit" }, "retained": retain} {
		old, b := everywhere(t, "old", blocking), everywhere(t, "b", blocking)
		c := holdingAll(t, old)
		change(old)
		if d := c.decide([]*Baseline{old, b}, Facts{}); d.Wanted.find("b-block-metadata") == nil {
			t.Errorf("%s: the block of b is not rendered: %s", what, compact(d.Wanted.Notes))
		}
		denied := everywhere(t, "old", denying)
		c = holdingAll(t, denied)
		change(denied)
		if d := c.decide([]*Baseline{denied, b}, Facts{}); d.Wanted.find("b-block-metadata") != nil {
			t.Errorf("%s: a block that allows everything else is rendered beside a deny, and would undo it", what)
		}
	}
}

// Everything live that is not wanted is judged.
func TestEverythingUnwantedIsJudged(t *testing.T) {
	const open = `profile: {defaultDeny: {directions: [Egress]}}, flows: [{name: out, from: {podSelector: {}}, to: {cidr: 0.0.0.0/0}}]`
	for _, tc := range []struct {
		name  string
		make  func(c *cluster, old *Baseline) *State
		wants string
	}{
		{"frozen by audit", func(c *cluster, old *Baseline) *State {
			old.Mode = "Audit"
			return c.state([]*Baseline{old}, Facts{})
		}, "MetadataReopened:old-flow-out-egress"},
		{"retained", func(c *cluster, old *Baseline) *State {
			old.Deleting, old.DeletionPolicy = true, "Retain"
			return c.state([]*Baseline{old}, Facts{})
		}, "MetadataReopened:old-flow-out-egress"},
		{"retained, and released", func(c *cluster, _ *Baseline) *State {
			c.change("old-flow-out-egress", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil })
			c.restart()
			return c.state(nil, Facts{})
		}, "MetadataReopened:old-flow-out-egress"},
		{"forged: our owner without our labels", func(c *cluster, old *Baseline) *State {
			c.change("old-flow-out-egress", func(p *networkingv1.NetworkPolicy) { p.Labels, p.Name = nil, "forged" })
			c.remove("old-flow-out-egress")
			c.restart()
			return c.state([]*Baseline{old}, Facts{})
		}, "MetadataReopened:forged"},
		{"leaving, and held in deletion", func(c *cluster, old *Baseline) *State {
			c.terminate("old-flow-out-egress")
			old.Deleting = true
			return c.state([]*Baseline{old}, Facts{})
		}, "MetadataReopened:old-flow-out-egress"},
		{"of a namespace that is going", func(c *cluster, old *Baseline) *State {
			c.terminate("old-flow-out-egress")
			old.Mode = "Audit"
			s := c.state([]*Baseline{old}, Facts{})
			s.Namespace.Terminating = true
			return s
		}, "MetadataReopened:old-flow-out-egress"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, b := everywhere(t, "old", open), everywhere(t, "z", blocking)
			c := holdingAll(t, old) // without the block of z, so that its range is whole
			s := tc.make(c, old)
			s.Baselines = append(s.Baselines, b)
			if got := problems(byName(Decide(s), "z").Overrides); !strings.Contains(got, tc.wants) {
				t.Errorf("overrides are %q, want %s", got, tc.wants)
			}
		})
	}
}

// A block that consists of cuts in the policies of others cannot be retained; one of its own can.
func TestHeld(t *testing.T) {
	for _, tc := range []struct {
		name      string
		others    []*Baseline
		retention v1alpha1.DeletionPolicy
		held      bool
	}{
		{"cuts in another's flow", []*Baseline{everywhere(t, "denies", outward)}, "Retain", true},
		{"cuts, and another blocks too", []*Baseline{everywhere(t, "denies", outward), everywhere(t, "other", blocking)}, "Retain", false},
		{"cuts in a flow of a baseline that is audited", []*Baseline{func() *Baseline { b := everywhere(t, "denies", outward); b.Mode = "Audit"; return b }()}, "Retain", false},
		{"a policy of its own", nil, "Retain", false},
		{"nothing to cut", []*Baseline{everywhere(t, "denies", `profile: {defaultDeny: {}}`)}, "Retain", false},
		{"deleted with its policies", []*Baseline{everywhere(t, "denies", outward)}, "Delete", false},
	} {
		platform := everywhere(t, "platform", blocking)
		platform.Deleting, platform.DeletionPolicy = true, tc.retention
		d := newCluster(network{}).decide(append(slices.Clone(tc.others), platform), Facts{})
		told := byName(d, "platform")
		if got := told.Held != ""; got != tc.held || told.Leaving != tc.held {
			t.Errorf("%s: held %q, leaving %t, want %t", tc.name, told.Held, told.Leaving, tc.held)
		}
	}
}
