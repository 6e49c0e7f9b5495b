// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Network is the way in which the cluster's network reads an ipBlock, where the API leaves it the choice.
type Network string

const (
	// ByAddress networks: an ipBlock matches whatever has the address, pods and nodes included. Calico, Antrea, kube-router,
	// kindnet, AWS.
	ByAddress Network = "calico"
	// ByIdentity networks: an ipBlock never matches a pod or a node, which have an identity of their own. Cilium, unless its
	// policy-cidr-match-mode says otherwise; GKE Dataplane V2; Azure CNI powered by Cilium.
	ByIdentity Network = "cilium"
)

// Pod is what policies can see of a pod.
type Pod struct {
	Namespace string
	// NamespaceLabels include kubernetes.io/metadata.name, which the API server sets on each namespace.
	NamespaceLabels map[string]string
	Name            string
	Labels          map[string]string
	// Addresses are at most one of each family. Empty: not known.
	Addresses []netip.Addr
	// Ports are the named ports of its containers. They are ignored if UnknownPorts is set.
	Ports        []NamedPort
	UnknownPorts bool
	HostNetwork  bool
	// Node on which it runs; empty: not known.
	Node string
}

// NamedPort is a container port that has a name.
type NamedPort struct {
	Name     string
	Protocol corev1.Protocol
	Number   int32
}

// Endpoint is one end of a connection: a pod, or an address that belongs to no pod.
type Endpoint struct {
	Pod *Pod
	// Address, if Pod is nil. Invalid: not known.
	Address netip.Addr
	// Node is the name of the node that has the address, if one has it.
	Node string
}

// Connection from a source to a port of a destination.
type Connection struct {
	Source, Destination Endpoint
	Protocol            corev1.Protocol
	Port                int32
	// Family limits the connection to one address family; by default it is any that both ends have.
	Family Families
}

// Families is a set of address families.
type Families uint8

// The address families.
const (
	IPv4 Families = 1 << iota
	IPv6
	both = IPv4 | IPv6
)

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Families {
	switch {
	case !a.IsValid():
		return 0
	case a.Unmap().Is4():
		return IPv4
	default:
		return IPv6
	}
}

// Names returns "IPv4", "IPv6" or both.
func (f Families) Names() []string {
	var out []string
	if f&IPv4 != 0 {
		out = append(out, "IPv4")
	}
	if f&IPv6 != 0 {
		out = append(out, "IPv6")
	}
	return out
}

func (f Families) String() string { return strings.Join(f.Names(), " and ") }

// families of the endpoint; both if its addresses are not known.
func (e *Endpoint) families() Families {
	if e.Pod == nil && e.Address.IsValid() {
		return FamilyOf(e.Address)
	}
	if e.Pod == nil || len(e.Pod.Addresses) == 0 {
		return both
	}
	var out Families
	for _, a := range e.Pod.Addresses {
		out |= FamilyOf(a)
	}
	return out
}

// address of the endpoint in one family; invalid if it is not known.
func (e *Endpoint) address(f Families) netip.Addr {
	if e.Pod == nil {
		return e.Address.Unmap()
	}
	for _, a := range e.Pod.Addresses {
		if FamilyOf(a) == f {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}

// families that the connection may use.
func (c *Connection) families() Families {
	out := c.Source.families() & c.Destination.families()
	if c.Family != 0 {
		out &= c.Family
	}
	return out
}

// hasPolicyProtocol reports whether NetworkPolicies are defined for the protocol. For all others, ICMP for example, the
// API says that the behavior varies between networks.
func (c *Connection) hasPolicyProtocol() bool {
	return c.Protocol == corev1.ProtocolTCP || c.Protocol == corev1.ProtocolUDP || c.Protocol == corev1.ProtocolSCTP
}

// isLoopback reports whether a pod connects to itself, which no policy can block.
func (c *Connection) isLoopback() bool {
	a, b := c.Source.Pod, c.Destination.Pod
	return a != nil && b != nil && (a == b || a.Name != "" && a.Name == b.Name && a.Namespace == b.Namespace)
}
