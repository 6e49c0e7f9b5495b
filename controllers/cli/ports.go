// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// port is a range of ports of a protocol, or a port by name. The zero value is every port of every protocol.
type port struct {
	protocol    string
	name        string
	first, last int32
}

// portsOf are the ports of a rule, whose defaults are filled in.
func portsOf(ports []networkingv1.NetworkPolicyPort) []port {
	if len(ports) == 0 {
		return []port{{}}
	}
	var out []port
	for _, p := range ports {
		own := port{protocol: string(*p.Protocol)}
		switch {
		case p.Port.Type == intstr.String:
			own.name = p.Port.StrVal
		case p.EndPort != nil:
			own.first, own.last = p.Port.IntVal, *p.EndPort
		default:
			own.first, own.last = p.Port.IntVal, p.Port.IntVal
		}
		out = append(out, own)
	}
	return out
}

func (p port) String() string {
	switch {
	case p == port{}:
		return "all ports"
	case p.name != "":
		return p.protocol + " " + p.name
	case p.first != p.last:
		return fmt.Sprintf("%s %d-%d", p.protocol, p.first, p.last)
	}
	return fmt.Sprintf("%s %d", p.protocol, p.first)
}

func (p port) compare(other port) int {
	return cmp.Or(cmp.Compare(p.first, other.first), cmp.Compare(p.last, other.last), cmp.Compare(p.name, other.name), cmp.Compare(p.protocol, other.protocol))
}

// covers says whether one of the ports holds p.
func covers(ports []port, p port) bool {
	return slices.ContainsFunc(ports, func(o port) bool {
		if o == p || o == (port{}) {
			return true
		}
		return o.protocol == p.protocol && o.name == "" && p.name == "" && o.first <= p.first && p.last <= o.last
	})
}

// union is the ports of both, without those that another one holds.
func union(a, b []port) []port {
	var out []port
	all := slices.Concat(a, b)
	for i, p := range all {
		rest := slices.Concat(out, all[i+1:])
		if !covers(rest, p) {
			out = append(out, p)
		}
	}
	return out
}

func describePorts(ports []port) string {
	var out []string
	for _, p := range ports {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}
