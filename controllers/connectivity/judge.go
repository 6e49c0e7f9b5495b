// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import networkingv1 "k8s.io/api/networking/v1"

// Judge returns the verdict on a connection.
func (s *Set) Judge(c *Connection) Verdict {
	v := Verdict{Families: c.families()}
	v.Egress = s.side(networkingv1.PolicyTypeEgress, c, &c.Source, &c.Destination, v.Families)
	v.Ingress = s.side(networkingv1.PolicyTypeIngress, c, &c.Destination, &c.Source, v.Families)
	total := v.Egress.match().and(v.Ingress.match())
	if v.Families == 0 {
		v.Outcome, v.Unknown = Undecided, Family
		return v
	}
	v.Outcome, v.Allowed, v.Unknown = outcome(total, v.Families), total.yes, total.why
	return v
}

// outcome of a match, given the families that are possible.
func outcome(m match, possible Families) Outcome {
	switch {
	case m.yes == possible:
		return Allowed
	case m.maybe != 0:
		return Undecided
	case m.yes != 0:
		return Partly
	default:
		return Denied
	}
}

// match is the side's outcome in the form in which it can be combined.
func (s *Side) match() match {
	return match{yes: s.Allowed, maybe: s.Possible, why: s.Unknown}
}

// side judges one side: that of the endpoint own, from which the other end is peer.
func (s *Set) side(direction networkingv1.PolicyType, c *Connection, own, peer *Endpoint, families Families) Side {
	out := Side{Direction: direction, Outcome: Allowed, Allowed: families}
	pod := own.Pod
	onOwnNode := pod != nil && peer.Pod == nil && peer.Node != "" && peer.Node == pod.Node
	switch {
	case pod == nil:
		out.Basis = NotAPod
		return out
	case c.isLoopback():
		out.Basis = Loopback
		return out
	case onOwnNode && direction == networkingv1.PolicyTypeIngress:
		out.Basis = OwnNode
		return out
	}
	q := &query{connection: c, network: s.network, namespace: pod.Namespace, peer: peer, families: families}
	var total match
	for _, p := range s.namespaces[pod.Namespace].of(direction) {
		if p.pods.matches(pod.Labels) {
			out.Isolated = true
			out.Selecting = append(out.Selecting, p.source)
			total = total.or(out.apply(q, p))
		}
	}
	if !out.Isolated {
		out.Basis = NotIsolated
		return out
	}
	out.Basis = Policies
	// Only what every network allows is certain.
	if pod.HostNetwork {
		total = total.or(match{maybe: families, why: HostNetwork})
	}
	if !c.hasPolicyProtocol() {
		total = total.or(match{maybe: families, why: Protocol})
	}
	if mayShareNode(pod, peer.Pod) {
		total = total.or(match{maybe: families, why: HostNetwork})
	}
	if onOwnNode {
		total = total.or(match{maybe: families, why: ToOwnNode})
	}
	out.Allowed, out.Possible, out.Unknown = total.yes, total.maybe, total.why
	out.Outcome = outcome(total, families)
	return out
}

// mayShareNode reports whether the peer is a pod on the host network of the pod's own node: to some networks, it is that
// node.
func mayShareNode(pod, peer *Pod) bool {
	return peer != nil && peer.HostNetwork && (peer.Node == pod.Node || peer.Node == "" || pod.Node == "")
}

// apply records what the rules of a policy make of the connection.
func (s *Side) apply(q *query, p *policy) match {
	var total match
	for i := range p.rules {
		peers, ports := q.rule(&p.rules[i])
		m := peers.and(ports)
		total = total.or(m)
		at := Rule{Policy: p.source, Index: i}
		if m.yes != 0 {
			s.Allowing = append(s.Allowing, Rule{at.Policy, at.Index, m.yes})
		}
		if m.maybe != 0 {
			s.Depending = append(s.Depending, Rule{at.Policy, at.Index, m.maybe})
		}
		if m.yes|m.maybe == 0 {
			s.nearMiss(at, peers, ports)
		}
	}
	return total
}

func (s *Side) nearMiss(at Rule, peers, ports match) {
	switch {
	case ports.yes == 0 && peers.yes != 0:
		s.Near = append(s.Near, NearMiss{at, Ports})
	case peers.yes == 0 && ports.yes != 0:
		s.Near = append(s.Near, NearMiss{at, Peers})
	}
}
