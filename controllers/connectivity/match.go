// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

// match says in which address families something matches, and in which it does if what is not known turns out so. The
// two are disjoint.
type match struct {
	yes, maybe Families
	// why it is not known.
	why Unknown
}

// or matches where one of the two does.
func (m match) or(n match) match {
	out := match{yes: m.yes | n.yes, maybe: m.maybe | n.maybe, why: m.why | n.why}
	return out.settle()
}

// and matches where both do.
func (m match) and(n match) match {
	out := match{yes: m.yes & n.yes, maybe: (m.yes | m.maybe) & (n.yes | n.maybe), why: m.why | n.why}
	return out.settle()
}

func (m match) settle() match {
	m.maybe &^= m.yes
	if m.maybe == 0 {
		m.why = 0
	}
	return m
}

// query is a connection as one side sees it.
type query struct {
	connection *Connection
	network    Network
	namespace  string // of the policies
	peer       *Endpoint
	families   Families
}

func (q *query) rule(r *rule) (peers, ports match) {
	return q.peers(r.peers), q.ports(r.ports)
}

func (q *query) peers(all []peer) match {
	if len(all) == 0 {
		return match{yes: q.families}
	}
	var out match
	for i := range all {
		out = out.or(q.onePeer(&all[i]))
	}
	return out
}

func (q *query) onePeer(p *peer) match {
	if p.block != nil {
		return q.block(p.block)
	}
	pod := q.peer.Pod
	switch {
	case pod == nil:
	case p.namespaces == nil && pod.Namespace != q.namespace:
	case p.namespaces != nil && !p.namespaces.matches(pod.NamespaceLabels):
	case !p.pods.matches(pod.Labels):
	case pod.HostNetwork:
		// Whether it is a pod or its node, the API leaves to the network.
		return match{maybe: q.families, why: HostNetwork}
	default:
		return match{yes: q.families}
	}
	return match{}
}

func (q *query) block(b *block) match {
	if q.network == ByIdentity && (q.peer.Pod != nil || q.peer.Node != "") {
		return match{}
	}
	var out match
	for _, f := range []Families{IPv4, IPv6} {
		if q.families&f != 0 && FamilyOf(b.cidr.Addr()) == f {
			out = out.or(b.matches(q.peer, f))
		}
	}
	return out
}

func (b *block) matches(e *Endpoint, f Families) match {
	a := e.address(f)
	if hosted := e.Pod != nil && e.Pod.HostNetwork; !a.IsValid() || hosted {
		switch {
		case b.cidr.Bits() == 0 && len(b.except) == 0:
			return match{yes: f} // whatever the address is
		case hosted:
			return match{maybe: f, why: HostNetwork} // that of the node, of a tunnel, or another one of the node
		default:
			return match{maybe: f, why: Address}
		}
	}
	if !b.cidr.Contains(a) {
		return match{}
	}
	for _, e := range b.except {
		if e.Contains(a) {
			return match{}
		}
	}
	return match{yes: f}
}

func (q *query) ports(all []port) match {
	if !q.connection.hasPolicyProtocol() {
		return match{maybe: q.families, why: Protocol}
	}
	if len(all) == 0 {
		return match{yes: q.families}
	}
	var out match
	for i := range all {
		out = out.or(q.onePort(&all[i]))
	}
	return out
}

func (q *query) onePort(p *port) match {
	c := q.connection
	if p.protocol != c.Protocol {
		return match{}
	}
	if p.name == "" {
		if p.first <= c.Port && c.Port <= p.last {
			return match{yes: q.families}
		}
		return match{}
	}
	// In both directions, a name refers to the ports of the destination.
	pod := c.Destination.Pod
	switch {
	case pod == nil:
		return match{}
	case pod.UnknownPorts:
		return match{maybe: q.families, why: PortNames}
	}
	for _, named := range pod.Ports {
		if named.Name == p.name && named.Protocol == c.Protocol && named.Number == c.Port {
			return match{yes: q.families}
		}
	}
	return match{}
}
