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

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// cluster is the governed namespace as the API server has it, and what the operator remembers.
type cluster struct {
	network  network
	policies map[string]*networkingv1.NetworkPolicy
	verdicts map[string]*verdict
	// seen and before are what a running operator remembers.
	seen   map[types.UID]types.UID
	before []*Rendered
	writes int
}

// foreignUID marks the policies of somebody else.
const foreignUID types.UID = "uid-foreign"

func newCluster(n network) *cluster {
	return &cluster{network: n, policies: map[string]*networkingv1.NetworkPolicy{}, verdicts: map[string]*verdict{}, seen: map[types.UID]types.UID{}}
}

func (c *cluster) clone() *cluster {
	return &cluster{c.network, maps.Clone(c.policies), maps.Clone(c.verdicts), maps.Clone(c.seen), slices.Clone(c.before), 0}
}

func (c *cluster) put(p *networkingv1.NetworkPolicy) {
	c.policies[p.Name], c.verdicts[p.Name] = p, c.network.judge(&p.Spec)
}

func (c *cluster) remove(name string) {
	delete(c.policies, name)
	delete(c.verdicts, name)
}

// terminate begins the deletion of a policy that a finalizer holds.
func (c *cluster) terminate(name string) {
	p := c.policies[name].DeepCopy()
	p.DeletionTimestamp, p.Finalizers = &metav1.Time{}, []string{"example.com/hold"}
	c.put(p)
}

func (c *cluster) live() []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, name := range slices.Sorted(maps.Keys(c.policies)) {
		out = append(out, c.policies[name])
	}
	return out
}

func (c *cluster) allowed() flows { return allowed(slices.Collect(maps.Values(c.verdicts))) }

// state is what the operator observes.
func (c *cluster) state(baselines []*Baseline, facts Facts) *State {
	return &State{
		Namespace: Namespace{Name: governedNamespace, Labels: namespaces[governedNamespace]},
		Baselines: baselines, Facts: facts, Policies: c.live(), Seen: c.seen, Before: c.before,
	}
}

// decide is what the operator decides now. It remembers what it has seen.
func (c *cluster) decide(baselines []*Baseline, facts Facts) *Decision {
	d := Decide(c.state(baselines, facts))
	maps.Copy(c.seen, d.Seen)
	return d
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
	case there != nil && there.UID == foreignUID:
		return fmt.Errorf("%s %s: somebody else's", s.Verb, s.Name)
	case s.Verb == Delete && there.DeletionTimestamp != nil:
		return fmt.Errorf("delete %s: it is held in deletion", s.Name)
	case s.Verb == Delete:
		c.remove(s.Name)
		return nil
	}
	p := s.Want.DeepCopy()
	if s.Verb == Create {
		p.UID = types.UID(fmt.Sprintf("uid-%s-%d", s.Name, c.writes))
	} else {
		p.UID, p.DeletionTimestamp, p.Finalizers = there.UID, there.DeletionTimestamp, there.Finalizers
	}
	p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager}}
	if len(p.OwnerReferences) > 0 {
		c.seen[p.UID] = p.OwnerReferences[0].UID
	}
	c.put(p)
	return nil
}

// run does the steps of a plan and looks after each. Those that fails says are refused, and those that need them, are left
// out; fails may be nil.
func (c *cluster) run(steps []Step, fails func(i int, s *Step) bool, look func(*Step) error) error {
	done := make([]bool, len(steps))
	for i := range steps {
		s := &steps[i]
		if slices.ContainsFunc(s.Needs, func(n int) bool { return !done[n] }) || fails != nil && fails(i, s) {
			continue
		}
		for _, n := range s.Needs {
			if n >= i {
				return fmt.Errorf("step %d, %s %s, needs step %d, which comes later", i, s.Verb, s.Name, n)
			}
		}
		if err := c.write(s); err != nil {
			return err
		}
		done[i] = true
		if err := look(s); err != nil {
			return err
		}
	}
	return nil
}

// asked is what revisions of ours have asked for.
type asked []*Rendered

// rules are those of all policies, since one may carry those of others.
func (a asked) rules(d networkingv1.PolicyType) []rule {
	var out []rule
	for _, r := range a {
		for i := range r.Policies {
			out = append(out, rulesOf(r.Policies[i].NetworkPolicy, d)...)
		}
	}
	return out
}

// pods reports whether a policy selects the pods that it was meant to select.
func (a asked) pods(p *networkingv1.NetworkPolicy) bool {
	return p.Labels[v1alpha1.ComponentLabel] == transitionComponent || slices.ContainsFunc(a, func(r *Rendered) bool {
		return slices.ContainsFunc(r.Policies, func(w Policy) bool {
			return numberOf(p.Name, w.Name) > 0 && compact(podsOf(&w.Spec.PodSelector)) == compact(podsOf(&p.Spec.PodSelector))
		})
	})
}

// withoutTampering is the state without the rules that somebody else wrote into policies of ours, or gave to other pods.
func (c *cluster) withoutTampering(ours map[types.UID]types.UID, known asked) *cluster {
	out := c.clone()
	for _, p := range c.policies {
		if ours[p.UID] == "" {
			continue
		}
		clean := p.DeepCopy()
		for _, d := range directions {
			if !hasType(&p.Spec, d) {
				continue
			}
			var rules []rule
			if known.pods(p) {
				rules = among(rulesOf(p, d), known.rules(d))
			}
			setRules(&clean.Spec, d, rules)
		}
		out.put(clean)
	}
	return out
}

// guard looks at every state between before and after, for each single pod: what was allowed before, but for what somebody
// else wrote into our policies, and is allowed after, is allowed. And what is allowed is allowed before or after, or by
// what somebody else wrote into a policy that has not been written since.
func (c *cluster) guard(before, after *cluster, ours map[types.UID]types.UID, known asked) func(*Step) error {
	was, will := before.withoutTampering(ours, known).allowed(), after.allowed()
	written := map[string]bool{}
	return func(s *Step) error {
		written[s.Name] = true
		var stale flows
		for name, p := range before.policies {
			if ours[p.UID] != "" && !written[name] {
				stale = unite(stale, before.verdicts[name].allows)
			}
		}
		now := c.allowed()
		for i := range worldSize() {
			if was.has(i) && will.has(i) && !now.has(i) {
				return fmt.Errorf("gap after %s %s: %s is denied, although it is allowed before and after", s.Verb, s.Name, flowName(i))
			}
			if now.has(i) && !was.has(i) && !will.has(i) && !stale.has(i) {
				return fmt.Errorf("opened after %s %s: %s is allowed, although it is neither before nor after", s.Verb, s.Name, flowName(i))
			}
		}
		return nil
	}
}

func unite(a, b flows) flows {
	for i := range a {
		a[i] |= b[i]
	}
	return a
}

// after is the state when a plan is done.
func (c *cluster) after(p *Plan) (*cluster, error) {
	out := c.clone()
	err := out.run(p.Steps, nil, func(*Step) error { return nil })
	return out, err
}

// converged checks that what is live is what is wanted, and that nothing is left to do.
func (c *cluster) converged(baselines []*Baseline, facts Facts) error {
	d := c.clone().decide(baselines, facts)
	if !d.Plan.Empty() {
		return fmt.Errorf("not converged: %s", d.Plan)
	}
	used := map[string]bool{}
	for _, w := range d.Wanted.Policies {
		found := false
		for _, p := range c.policies {
			if p.DeletionTimestamp == nil && numberOf(p.Name, w.Name) > 0 && !used[p.Name] && Same(p, w.NetworkPolicy) {
				used[p.Name], found = true, true
				break
			}
		}
		if !found {
			return fmt.Errorf("policy %s is missing", w.Name)
		}
	}
	for name, p := range c.policies {
		owned := d.Seen[p.UID] != "" || len(p.OwnerReferences) > 0 && p.Labels[v1alpha1.ComponentLabel] != ""
		if owned && !used[name] && p.DeletionTimestamp == nil {
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
	for i, s := range p.Steps {
		fmt.Fprintf(&out, "  %d: %s %s, transitional %v, needs %v", i, s.Verb, s.Name, s.Transitional, s.Needs)
		if s.Want != nil {
			fmt.Fprintf(&out, ": %s", compact(s.Want.Spec))
		}
		out.WriteByte('\n')
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
