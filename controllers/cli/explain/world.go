// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/cli/input"
	"github.com/netbaseline/netbaseline/controllers/cli/resolve"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/inventory"
)

// World is what questions are asked about.
type World struct {
	snapshot  *input.Snapshot
	inventory *inventory.Inventory
	operator  *input.Operator
	// then is with the declared baselines in force, which is now if there are none; other is as another kind of network
	// reads it.
	now, then, other *connectivity.Set
}

// NewWorld compiles a snapshot.
func NewWorld(s *input.Snapshot, o *input.Options) (*World, error) {
	w := &World{snapshot: s, inventory: s.Inventory()}
	var err error
	if w.operator, err = s.NewOperator(o.Protected); err != nil {
		return nil, err
	}
	if w.now, err = s.Today(o.Network); err != nil {
		return nil, err
	}
	if w.then, err = s.Tomorrow(o.Network, w.operator.Render); err != nil {
		return nil, err
	}
	otherNetwork := connectivity.ByIdentity
	if o.Network == connectivity.ByIdentity {
		otherNetwork = connectivity.ByAddress
	}
	w.other, err = s.Tomorrow(otherNetwork, w.operator.Render)
	return w, err
}

// maxPairs bounds the work where labels match many pods at both ends.
const maxPairs = 10000

// pair is one source and one destination of those that were asked about.
type pair struct {
	from, to resolve.Target
	verdict  connectivity.Verdict
	question connectivity.Connection
}

// Ask answers whether the connection is allowed. If the references stand for several pods, the answer is about the
// worst pair of them.
func (w *World) Ask(from, to resolve.Reference, port resolve.Port) (*Answer, error) {
	return w.ask(from, to, port, func(p *pair) int { return rank[p.verdict.Outcome] })
}

// AskWhether is Ask, but the answer is about a pair with another outcome than the expected one, if there is one.
func (w *World) AskWhether(from, to resolve.Reference, port resolve.Port, expected connectivity.Outcome) (*Answer, error) {
	return w.ask(from, to, port, func(p *pair) int {
		if p.verdict.Outcome != expected {
			return 0
		}
		return 1
	})
}

// ask answers about the first pair in an order.
func (w *World) ask(from, to resolve.Reference, port resolve.Port, order func(*pair) int) (*Answer, error) {
	sources, err := resolve.Resolve(w.inventory, from, nil)
	if err != nil {
		return nil, err
	}
	destinations, err := resolve.Resolve(w.inventory, to, &port)
	if err != nil {
		return nil, err
	}
	pairs := w.judge(sources.Targets, destinations.Targets, port)
	first := slices.MinFunc(pairs, func(a, b pair) int {
		return cmp.Compare(order(&a), order(&b))
	})
	a := w.answer(&first, port)
	a.Notes = append(a.Notes, slices.Concat(sources.Notes, destinations.Notes)...)
	a.count(pairs)
	if len(pairs) == maxPairs {
		a.Notes = append(a.Notes, fmt.Sprintf("only the first %d pairs of pods were judged: write more labels to narrow it", maxPairs))
	}
	if other := w.other.Judge(&first.question); other.Outcome != first.verdict.Outcome {
		a.Notes = append(a.Notes, fmt.Sprintf("it depends on the network: %s where an ipBlock matches no pod and no node (Cilium), %s where it matches by address (Calico and others); see --network",
			word(w.as(connectivity.ByIdentity, &first, other)), word(w.as(connectivity.ByAddress, &first, other))))
	}
	return a, nil
}

// as is the outcome on a network.
func (w *World) as(n connectivity.Network, p *pair, other connectivity.Verdict) connectivity.Outcome {
	if w.then.Network() == n {
		return p.verdict.Outcome
	}
	return other.Outcome
}

// rank orders outcomes, the worst first.
var rank = map[connectivity.Outcome]int{connectivity.Denied: 0, connectivity.Partly: 1, connectivity.Undecided: 2, connectivity.Allowed: 3}

func (w *World) judge(sources, destinations []resolve.Target, port resolve.Port) []pair {
	var out, apart []pair
	for _, from := range sources {
		for _, to := range destinations {
			p := pair{from: from, to: to, question: connectivity.Connection{Source: from.Endpoint, Destination: to.Endpoint, Protocol: port.Protocol, Port: to.Port}}
			p.verdict = w.verdict(w.then, &p.question)
			if p.verdict.Unknown&connectivity.Family != 0 {
				apart = append(apart, p)
				continue
			}
			if out = append(out, p); len(out) == maxPairs {
				return out
			}
		}
	}
	// Ends without a common address family matter only if there are no others: internet is an address of each.
	if len(out) == 0 {
		return apart
	}
	return out
}

// verdict leaves open what the policies of a namespace decide that could not be read.
func (w *World) verdict(s *connectivity.Set, c *connectivity.Connection) connectivity.Verdict {
	v := s.Judge(c)
	hidden := func(e connectivity.Endpoint, side *connectivity.Side) bool {
		if e.Pod == nil || side.Basis == connectivity.Loopback || side.Basis == connectivity.OwnNode || w.snapshot.Unreadable[e.Pod.Namespace] == nil {
			return false
		}
		side.Outcome, side.Isolated, side.Basis = connectivity.Undecided, false, unreadable
		return true
	}
	egress, ingress := hidden(c.Source, &v.Egress), hidden(c.Destination, &v.Ingress)
	if (egress || ingress) && v.Outcome != connectivity.Denied {
		v.Outcome = connectivity.Undecided
	}
	return v
}

// unreadable: the NetworkPolicies of the namespace could not be read.
const unreadable connectivity.Basis = "PoliciesUnreadable"

// ownerOf says whose policy it is, by its labels.
func ownerOf(p *networkingv1.NetworkPolicy) (baseline, component string) {
	if p.Labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedByValue {
		return "", ""
	}
	return p.Labels[v1alpha1.BaselineLabel], p.Labels[v1alpha1.ComponentLabel]
}
