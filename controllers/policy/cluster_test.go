// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// cluster is the governed namespace as the API server has it, and what the operator remembers.
type cluster struct {
	network  network
	policies map[string]*networkingv1.NetworkPolicy
	verdicts map[string]*verdict
	seen     map[types.UID]bool
	writes   int
}

// foreignUID marks the policies of somebody else.
const foreignUID types.UID = "uid-foreign"

func newCluster(n network) *cluster {
	return &cluster{
		network: n, policies: map[string]*networkingv1.NetworkPolicy{}, verdicts: map[string]*verdict{}, seen: map[types.UID]bool{},
	}
}

func (c *cluster) clone() *cluster {
	return &cluster{c.network, maps.Clone(c.policies), maps.Clone(c.verdicts), maps.Clone(c.seen), 0}
}

func (c *cluster) put(p *networkingv1.NetworkPolicy) {
	c.policies[p.Name], c.verdicts[p.Name] = p, c.network.judge(&p.Spec)
}

func (c *cluster) remove(name string) {
	delete(c.policies, name)
	delete(c.verdicts, name)
}

// names are those of the policies, sorted.
func (c *cluster) names() []string { return slices.Sorted(maps.Keys(c.policies)) }

func (c *cluster) live() []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, name := range c.names() {
		out = append(out, c.policies[name])
	}
	return out
}

func (c *cluster) allowed() flows { return allowed(slices.Collect(maps.Values(c.verdicts))) }

// rules are what the rules of all policies allow, had they no podSelector.
func (c *cluster) rules() flows {
	var out flows
	for _, v := range c.verdicts {
		out = union(out, v.anyPod)
	}
	return out
}

func union(a, b flows) flows {
	for i := range a {
		a[i] |= b[i]
	}
	return a
}

func (c *cluster) ownership() Ownership {
	return Ownership{Owners: map[types.UID]string{"uid-a": "a", "uid-b": "b"}, Seen: c.seen}
}

// plan is what the operator would do now.
func (c *cluster) plan(desired *Rendered) *Plan {
	sorted := c.ownership().Sort(c.live(), desired)
	for _, p := range sorted.Ours {
		c.seen[p.UID] = true
	}
	return NewPlan(desired, sorted)
}

// write does one step as the API server would; an error means that it would refuse.
func (c *cluster) write(s *Step) error {
	c.writes++
	there := c.policies[s.Name]
	switch {
	case s.Verb == Create && there != nil:
		return fmt.Errorf("create %s: exists already", s.Name)
	case s.Verb != Create && there == nil:
		return fmt.Errorf("%s %s: not found", s.Verb, s.Name)
	case s.Verb != Create && there.DeletionTimestamp != nil:
		return fmt.Errorf("%s %s: terminating", s.Verb, s.Name)
	case there != nil && there.UID == foreignUID:
		return fmt.Errorf("%s %s: somebody else's", s.Verb, s.Name)
	case s.Verb == Delete:
		c.remove(s.Name)
		return nil
	}
	p := s.Want.DeepCopy()
	if s.Verb == Create {
		p.UID = types.UID(fmt.Sprintf("uid-%s-%d", s.Name, c.writes))
	} else {
		p.UID = there.UID
	}
	p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager}}
	c.seen[p.UID] = true
	c.put(p)
	return nil
}

// run does the steps of a plan until stop says so, and looks after each. A phase in which a step fails is the last;
// fails may be nil.
func (c *cluster) run(phases [][]Step, fails func(*Step) bool, look func(*Step) error) error {
	for _, phase := range phases {
		failed := false
		for i := range phase {
			if fails != nil && fails(&phase[i]) {
				failed = true
				continue
			}
			if err := c.write(&phase[i]); err != nil {
				return err
			}
			if err := look(&phase[i]); err != nil {
				return err
			}
		}
		if failed {
			return nil
		}
	}
	return nil
}

// guard looks at every state between before and after: what is allowed before and after is allowed, and what is
// allowed is allowed before or after, or by a rule of before or after.
func (c *cluster) guard(before, after *cluster) func(*Step) error {
	was, will, rules := before.allowed(), after.allowed(), union(before.rules(), after.rules())
	return func(s *Step) error {
		now := c.allowed()
		for i := range worldSize() {
			if was.has(i) && will.has(i) && !now.has(i) {
				return fmt.Errorf("gap after %s %s: %s is denied, although it is allowed before and after", s.Verb, s.Name, flowName(i))
			}
			if now.has(i) && !was.has(i) && !will.has(i) && !rules.has(i) {
				return fmt.Errorf("opened after %s %s: %s is allowed, although it is neither before nor after, nor by any rule of theirs", s.Verb, s.Name, flowName(i))
			}
		}
		return nil
	}
}

// after is the state when a plan is done.
func (c *cluster) after(p *Plan) (*cluster, error) {
	out := c.clone()
	err := out.run(p.Phases, nil, func(*Step) error { return nil })
	return out, err
}

// converged checks that what is live is what is rendered, but for what is in the way, and that nothing is left to do.
func (c *cluster) converged(desired *Rendered) error {
	again := c.plan(desired)
	if !again.Empty() {
		return fmt.Errorf("not done after the plan: %s", again)
	}
	missing := map[string]bool{}
	for _, o := range again.Obstacles {
		missing[o.Name] = true
	}
	for _, p := range again.Withheld {
		missing[p.Name] = true
	}
	rendered := map[string]bool{}
	for _, p := range desired.Policies {
		rendered[p.Name] = true
		live := c.policies[p.Name]
		if missing[p.Name] {
			continue
		}
		if live == nil || compact(live.Labels) != compact(p.Labels) || compact(live.OwnerReferences) != compact(p.OwnerReferences) {
			return fmt.Errorf("policy %s is %s, want %s", p.Name, compact(live), compact(p.NetworkPolicy))
		}
		// A deny carries the rules of the allows that are missing.
		if len(missing) == 0 && compact(live.Spec) != compact(p.Spec) {
			return fmt.Errorf("spec of %s is %s, want %s", p.Name, compact(live.Spec), compact(p.Spec))
		}
	}
	for name, live := range c.policies {
		ours := len(live.OwnerReferences) > 0 || c.seen[live.UID]
		if ours && !rendered[name] && live.DeletionTimestamp == nil {
			return fmt.Errorf("policy %s is still there", name)
		}
	}
	return nil
}

// String tells the state, for whoever reads a failing test.
func (c *cluster) String() string {
	var out strings.Builder
	for _, p := range c.live() {
		fmt.Fprintf(&out, "  %s (%s, terminating %v): %s\n", p.Name, p.UID, p.DeletionTimestamp != nil, compact(p.Spec))
	}
	return out.String()
}

// String tells the plan, for whoever reads a failing test.
func (p *Plan) String() string {
	var out strings.Builder
	for i, phase := range p.Phases {
		for _, s := range phase {
			fmt.Fprintf(&out, "  phase %d: %s %s, passing %v", i, s.Verb, s.Name, s.Passing)
			if s.Want != nil {
				fmt.Fprintf(&out, ": %s", compact(s.Want.Spec))
			}
			out.WriteByte('\n')
		}
	}
	for _, o := range p.Obstacles {
		fmt.Fprintf(&out, "  obstacle: %s\n", o.Name)
	}
	for _, w := range p.Withheld {
		fmt.Fprintf(&out, "  withheld: %s\n", w.Name)
	}
	return out.String()
}

func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
