// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// edge is an arrow: what both sides allow, where both are denied by default, or, half, what only one of them does.
type edge struct {
	from, to *node
	ports    []port
	half     bool
}

// edges are the arrows of the links, each once.
func (g *graph) edges() []edge {
	var out []edge
	add := func(e edge) {
		i := slices.IndexFunc(out, func(o edge) bool { return o.from == e.from && o.to == e.to && o.half == e.half })
		if i < 0 {
			out = append(out, e)
			return
		}
		out[i].ports = union(out[i].ports, e.ports)
	}
	for _, l := range g.links {
		for _, p := range l.ports {
			add(edge{l.from, l.to, []port{p}, !g.otherSideAllows(l, p)})
		}
	}
	// What is allowed by both sides on some ports need not be told again as allowed by one.
	for i := range out {
		if out[i].half {
			for _, e := range out {
				if !e.half && e.from == out[i].from && e.to == out[i].to {
					out[i].ports = slices.DeleteFunc(out[i].ports, func(p port) bool { return covers(e.ports, p) })
				}
			}
		}
		slices.SortFunc(out[i].ports, port.compare)
	}
	return slices.DeleteFunc(out, func(e edge) bool { return len(e.ports) == 0 })
}

// otherSideAllows says whether the other end of a link needs no rule, because nothing is denied there that we know of,
// or has one.
func (g *graph) otherSideAllows(l *link, p port) bool {
	end, other := l.to, networkingv1.PolicyTypeIngress
	if l.direction == other {
		end, other = l.from, networkingv1.PolicyTypeEgress
	}
	if end.group == nil || !slices.ContainsFunc(end.group.restricted[other], func(n *node) bool { return n.label == allPods || n == end }) {
		return true
	}
	return slices.ContainsFunc(g.links, func(o *link) bool {
		return o.direction == other && o.from.holds(l.from) && o.to.holds(l.to) && covers(o.ports, p)
	})
}

// holds says whether whatever the other node means is meant by this one, as far as their labels tell.
func (n *node) holds(other *node) bool {
	if n == other || n.group == nil && n.label == anyone {
		return true
	}
	if n.label != allPods || other.group == nil || n.group == nil {
		return false
	}
	return n.group == other.group || n.group.title[0] == everyNamespace
}
