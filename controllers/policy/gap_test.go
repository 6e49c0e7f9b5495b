// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

var gapCases = flag.Int("gap.cases", 4000, "how many random cases TestNoGap plays")

// TestNoGap is guarantee 1 of the design over random histories of a namespace: baselines come, change and go, plans
// are cut short anywhere, policies are tampered with in between, and somebody else's policies are in the way. In every
// state that a watcher can see, what is allowed before and after is allowed.
func TestNoGap(t *testing.T) {
	cases := *gapCases
	if testing.Short() {
		cases = 500
	}
	for seed := range cases {
		data := randomBytes(uint64(seed), 256)
		if err := playHistory(data); err != nil {
			t.Fatalf("seed %d: %v\nmade simpler: %v", seed, err, playHistory(simpler(data, playHistory)))
		}
	}
}

func FuzzNoGap(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(8) {
		f.Add(randomBytes(seed, 128))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := playHistory(data); err != nil {
			t.Fatal(err)
		}
	})
}

// playHistory plays the history that the choices tell, and returns what is wrong with it.
func playHistory(data []byte) error {
	choose := &choices{data}
	c := newCluster(network{podsByAddress: choose.oneIn(2)})
	for _, p := range choose.foreign() {
		c.put(p)
	}
	var baselines []*v1alpha1.NetworkBaseline
	for {
		last := choose.below(4) < 2
		baselines = choose.baselines(baselines)
		desired := c.render(choose, baselines)
		plan := c.plan(desired)
		// What is live tells all that came before.
		chapter := fmt.Sprintf("live:\n%swanted:\n%splan:\n%s", c, describe(baselines), plan)
		if err := c.follow(choose, plan, !last); err != nil {
			return fmt.Errorf("%w\n%s", err, chapter)
		}
		if last {
			if err := c.converged(desired); err != nil {
				return fmt.Errorf("%w\n%s", err, chapter)
			}
			return nil
		}
		c.disturb(choose)
	}
}

// render is what the controller would render.
func (c *cluster) render(choose *choices, baselines []*v1alpha1.NetworkBaseline) *Rendered {
	surroundings := c.ownership().Surroundings(c.live())
	in := Input{
		Baselines: baselines, NamespaceLabels: namespaces[governedNamespace],
		EgressRestricted: surroundings.EgressRestricted, AlsoDenied: surroundings.Denied,
		Facts: Facts{KubeAPIServer: []Allowance{{Peers: []v1alpha1.Peer{{CIDR: "8.8.8.8/32"}}, Ports: choose.ports()}}},
	}
	if choose.oneIn(3) {
		in.Facts.DNS = []Allowance{DefaultDNS[0], {Peers: []v1alpha1.Peer{{CIDR: "169.254.20.10/32"}}, Ports: dnsPorts}}
	}
	return Render(in)
}

// follow does the steps of the plan, those of a phase in any order, and all or only the first few.
func (c *cluster) follow(choose *choices, p *Plan, short bool) error {
	before := c.clone()
	after, err := c.after(p)
	if err != nil {
		return err
	}
	left := -1
	if short {
		left = choose.below(16)
	}
	var phases [][]Step
	for _, phase := range p.Phases {
		phase = slices.Clone(phase)
		choose.shuffle(len(phase), func(i, j int) { phase[i], phase[j] = phase[j], phase[i] })
		if left >= 0 {
			phase = phase[:min(left, len(phase))]
			left -= len(phase)
		}
		phases = append(phases, phase)
	}
	return c.run(phases, nil, c.guard(before, after))
}

// disturb is what happens between two plans: a restart, and people.
func (c *cluster) disturb(choose *choices) {
	if choose.oneIn(4) {
		clear(c.seen)
	}
	for _, p := range c.live() {
		if p.UID == foreignUID || !choose.oneIn(5) {
			continue
		}
		if tampered := choose.tamper(p); tampered != nil {
			c.put(tampered)
		} else {
			c.remove(p.Name)
		}
	}
}

// describe tells baselines so that they can be written down as a test.
func describe(baselines []*v1alpha1.NetworkBaseline) string {
	if len(baselines) == 0 {
		return "  no baseline\n"
	}
	var out strings.Builder
	for _, b := range baselines {
		fmt.Fprintf(&out, "  %s: %s\n", b.Name, compact(b.Spec))
	}
	return out.String()
}

func randomBytes(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// simpler makes a failing case simpler, for as long as it fails: fewer choices, and simpler ones.
func simpler(data []byte, play func([]byte) error) []byte {
	for n := len(data) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(data); {
			if shorter := slices.Delete(slices.Clone(data), i, i+n); play(shorter) != nil {
				data = shorter
			} else {
				i += n
			}
		}
	}
	for i := range data {
		for b := byte(0); b < data[i]; b++ {
			simple := slices.Clone(data)
			simple[i] = b
			if play(simple) != nil {
				data = simple
				break
			}
		}
	}
	return data
}

// TestNoGapIsChecked makes sure that the check itself sees a gap and an opening.
func TestNoGapIsChecked(t *testing.T) {
	deny := newBaseline("a", v1alpha1.NetworkBaselineSpec{Profile: v1alpha1.Profile{
		DefaultDeny: &v1alpha1.DefaultDeny{}, AllowDNS: &v1alpha1.AllowDNS{}, AllowSameNamespace: &v1alpha1.AllowSameNamespace{},
	}})
	desired := Render(Input{Baselines: []*v1alpha1.NetworkBaseline{deny}})
	inOrder := func(order []Policy, wrong string, from func() *cluster, verb Verb) {
		t.Helper()
		c := from()
		p := &Plan{}
		for _, policy := range order {
			step := Step{Verb: verb, Name: policy.Name, Want: policy.NetworkPolicy}
			p.Phases = append(p.Phases, []Step{step})
		}
		err := c.follow(&choices{}, p, false)
		if err == nil || !strings.HasPrefix(err.Error(), wrong) {
			t.Errorf("%s of %s first: got %v, want: %s", verb, order[0].Name, err, wrong)
		}
	}
	empty := func() *cluster { return newCluster(network{}) }
	full := func() *cluster {
		c := empty()
		for _, p := range desired.Policies {
			c.put(p.DeepCopy())
		}
		return c
	}
	denyLast := desired.Policies
	denyFirst := slices.Clone(desired.Policies)
	slices.Reverse(denyFirst)
	inOrder(denyLast, "gap after create a-allow-dns: Egress", empty, Create)
	inOrder(denyFirst, "gap after create a-default-deny: ", empty, Create)
	inOrder(denyLast, "gap after delete a-allow-dns: ", full, Delete)
	inOrder(denyFirst, "gap after delete a-allow-same-namespace-egress: ", full, Delete)

	// Two policies swap their pods: in between, some pods are free that are not before and not after.
	swap := func(name, app string) Step {
		p := &networkingv1.NetworkPolicy{}
		p.Name, p.UID = name, "uid-"+foreignUID
		p.Spec.PodSelector.MatchLabels = map[string]string{"app": app}
		p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		return Step{Verb: Update, Name: name, Want: p}
	}
	c := empty()
	c.put(swap("one", "web").Want)
	c.put(swap("two", "db").Want)
	err := c.follow(&choices{}, &Plan{Phases: [][]Step{{swap("one", "db")}, {swap("two", "web")}}}, false)
	if err == nil || !strings.HasPrefix(err.Error(), "opened after update one: Ingress of pod web") {
		t.Errorf("swap: got %v, want: opened", err)
	}
}
