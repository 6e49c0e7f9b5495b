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
	"k8s.io/apimachinery/pkg/types"

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
	var specs, current []*v1alpha1.NetworkBaseline // declared, and in force everywhere
	var history, inForce []*Rendered
	facts := choose.facts()
	for {
		last := choose.below(4) < 2
		resumed := len(c.before) == 0 && specs != nil
		if !resumed {
			current, inForce = specs, latest(history)
			specs = choose.baselines(specs)
		}
		baselines := rollingOut(specs, current)
		restart := choose.oneIn(4)
		d := c.decide(baselines, facts)
		history = append(history, d.Wanted)
		c.before = d.Before
		// What is live tells all that came before.
		chapter := fmt.Sprintf("live:\n%swanted:\n%splan:\n%s", c, describe(specs), d.Plan)
		done, err := c.follow(choose, d, history, !last)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, chapter)
		}
		if last {
			if err := c.converged(baselines, facts); err != nil {
				return fmt.Errorf("%w\n%s", err, chapter)
			}
			return nil
		}
		if done {
			history = []*Rendered{d.Wanted}
			current, inForce, c.before = specs, history, history
		}
		if restart && len(c.before) <= 2 {
			// The specs stay until the new process has seen them. What it knows of before is what the revisions ask for: the one
			// in force, and the one being rolled out. See the limits of guarantee 1 for a third one.
			clear(c.seen)
			c.before, history = nil, append(slices.Clone(inForce), d.Wanted)
		}
		c.disturb(choose)
	}
}

func latest(history []*Rendered) []*Rendered { return history[max(0, len(history)-1):] }

// facts are what the cluster runs.
func (c *choices) facts() Facts {
	facts := Facts{KubeAPIServer: []Allowance{{Peers: []v1alpha1.Peer{{CIDR: "8.8.8.8/32"}}, Ports: c.ports()}}}
	if c.oneIn(3) {
		facts.DNS = []Allowance{DefaultDNS[0], {Peers: []v1alpha1.Peer{{CIDR: "169.254.20.10/32"}}, Ports: dnsPorts}}
	}
	return facts
}

// follow does the steps of a decision's plan: all of them, or only the first few, or all but those that are refused and
// what needs them. done says that it was all.
func (c *cluster) follow(choose *choices, d *Decision, history []*Rendered, disturbed bool) (done bool, err error) {
	before := c.clone()
	after, err := c.after(d.Plan)
	if err != nil {
		return false, err
	}
	steps, refused := d.Plan.Steps, map[string]bool{}
	if disturbed && choose.oneIn(2) {
		steps = steps[:min(choose.below(16), len(steps))]
	}
	if disturbed && len(steps) > 0 && choose.oneIn(2) {
		refused[steps[choose.below(len(steps))].Name] = true
	}
	done = len(steps) == len(d.Plan.Steps) && len(refused) == 0
	fails := func(_ int, s *Step) bool { return refused[s.Name] }
	known := asked(history)
	if err := c.run(steps, fails, c.guard(before, after, d.Seen, known)); err != nil {
		return false, err
	}
	if len(steps) == len(d.Plan.Steps) {
		return done, c.cleaned(before, d, refused, known)
	}
	return done, nil
}

// cleaned checks that what somebody else wrote into a policy of ours has left it, whatever else was refused.
func (c *cluster) cleaned(before *cluster, d *Decision, refused map[string]bool, known asked) error {
	for name, p := range c.policies {
		was := before.policies[name]
		if d.Seen[p.UID] == "" || refused[name] || was == nil || selectsNone(p) {
			continue
		}
		for _, dir := range directions {
			if left := without(rulesOf(p, dir), known.rules(dir)); len(left) > 0 {
				return fmt.Errorf("policy %s still has %s rules that nobody wants: %s", name, dir, compact(p.Spec))
			}
		}
	}
	return nil
}

// admitted are baselines whose specs are admitted and in force.
func admitted(specs []*v1alpha1.NetworkBaseline) []*Baseline { return rollingOut(specs, specs) }

// rollingOut are baselines whose specs are admitted, where others are in force until all is done. Of a and b, those without
// a spec are being deleted.
func rollingOut(specs, current []*v1alpha1.NetworkBaseline) []*Baseline {
	of := func(specs []*v1alpha1.NetworkBaseline, name string) *Revision {
		i := slices.IndexFunc(specs, func(b *v1alpha1.NetworkBaseline) bool { return b.Name == name })
		if i < 0 {
			return nil
		}
		spec := specs[i].Spec
		spec.NamespaceSelector = v1alpha1.LabelSelector{}
		revision, _, err := EncodeRevision(name, specs[i].UID, &spec)
		if err != nil {
			panic(err)
		}
		r, err := NewRevision(revision, &spec)
		if err != nil {
			panic(err)
		}
		return r
	}
	names := []string{"a", "b"}
	for _, b := range specs {
		if !slices.Contains(names, b.Name) {
			names = append(names, b.Name)
		}
	}
	var out []*Baseline
	for _, name := range names {
		b := &Baseline{Name: name, UID: types.UID("uid-" + name), Current: of(current, name), Update: of(specs, name)}
		b.Admitted, b.Deleting = b.Update != nil, b.Update == nil
		out = append(out, b)
	}
	return out
}

// disturb is what people do between two plans.
func (c *cluster) disturb(choose *choices) {
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

// TestNoGapIsChecked makes sure that the check itself sees a gap, an opening, and what somebody else wrote.
func TestNoGapIsChecked(t *testing.T) {
	desired := rendered(t, `profile: {defaultDeny: {}, allowDNS: {}, allowSameNamespace: {}}`, "")
	inOrder := func(order []Policy, wrong string, from func() *cluster, verb Verb) {
		t.Helper()
		c := from()
		d := &Decision{Wanted: desired, Plan: &Plan{}, Seen: c.seen}
		for _, policy := range order {
			d.Plan.Steps = append(d.Plan.Steps, Step{Verb: verb, Name: policy.Name, Want: policy.NetworkPolicy})
		}
		_, err := c.follow(&choices{}, d, []*Rendered{desired}, false)
		if err == nil || !strings.HasPrefix(err.Error(), wrong) {
			t.Errorf("%s of %s first: got %v, want: %s", verb, order[0].Name, err, wrong)
		}
	}
	empty := func() *cluster { return newCluster(network{}) }
	full := func() *cluster { return holding(desired) }
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
	d := &Decision{Wanted: desired, Plan: &Plan{Steps: []Step{swap("one", "db"), swap("two", "web")}}, Seen: c.seen}
	if _, err := c.follow(&choices{}, d, nil, false); err == nil || !strings.HasPrefix(err.Error(), "opened after update one: Ingress of pod web") {
		t.Errorf("swap: got %v, want: opened", err)
	}

	c = full()
	opened := c.policies["a-default-deny"].DeepCopy()
	opened.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
	c.put(opened)
	d = &Decision{Wanted: desired, Plan: &Plan{}, Seen: map[types.UID]types.UID{opened.UID: "uid-a"}}
	if _, err := c.follow(&choices{}, d, []*Rendered{desired}, false); err == nil || !strings.Contains(err.Error(), "rules that nobody wants") {
		t.Errorf("opened deny left alone: got %v", err)
	}
}
