// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// Outcome of a connection, or of one side of it.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "Allowed"
	Denied  Outcome = "Denied"
	// Partly: allowed in one address family, denied in the other.
	Partly Outcome = "Partly"
	// Undecided: it depends on something that is not known; see Unknown.
	Undecided Outcome = "Undecided"
)

// Basis is what the outcome of a side rests on.
type Basis string

// The bases.
const (
	// NotAPod: policies apply to pods alone.
	NotAPod Basis = "NotAPod"
	// Loopback: no policy can block the traffic of a pod to itself.
	Loopback Basis = "Loopback"
	// OwnNode: a pod is always reachable from the node on which it runs, for the probes of its kubelet.
	OwnNode Basis = "OwnNode"
	// NotIsolated: no policy selects the pod in this direction.
	NotIsolated Basis = "NotIsolated"
	// Policies: the rules of the policies that select the pod.
	Policies Basis = "Policies"
)

// Unknown is a set of reasons for which an outcome is undecided.
type Unknown uint8

// The reasons.
const (
	// HostNetwork: networks differ in how they treat pods on the host network.
	HostNetwork Unknown = 1 << iota
	// Address: an address is not known, and an ipBlock might match it.
	Address
	// PortNames: the port names of the destination are not known, and a rule names a port.
	PortNames
	// Protocol: networks differ in how they treat protocols other than TCP, UDP and SCTP.
	Protocol
	// ToOwnNode: the API allows connections from a pod to its own node, and many networks apply policies to them.
	ToOwnNode
	// Family: the two ends have no address family in common.
	Family
)

var unknownWords = []struct {
	reason Unknown
	words  string
}{
	{HostNetwork, "a pod on the host network is not judged: whether policies apply to it, and which peers match it, depends on the network"},
	{Address, "an address is not known, and a rule has an ipBlock that might match it"},
	{PortNames, "the container ports of the destination are not known, and a rule has a named port"},
	{Protocol, "NetworkPolicies are defined for TCP, UDP and SCTP only; other protocols depend on the network"},
	{ToOwnNode, "the destination is the node on which the source runs: whether policies apply depends on the network"},
	{Family, "source and destination have no address family in common"},
}

func (u Unknown) String() string {
	var out []string
	for _, w := range unknownWords {
		if u&w.reason != 0 {
			out = append(out, w.words)
		}
	}
	return strings.Join(out, "; ")
}

// Verdict on a connection.
type Verdict struct {
	Outcome Outcome
	// Families that the connection may use, and those in which it is allowed.
	Families, Allowed Families
	// Unknown is why it is undecided.
	Unknown Unknown
	// Egress is the side of the source, Ingress that of the destination.
	Egress, Ingress Side
}

// Side is one end of a connection, with the policies that apply to it there.
type Side struct {
	Direction networkingv1.PolicyType
	Outcome   Outcome
	Basis     Basis
	// Isolated: at least one policy selects the pod in this direction, so that only what a rule allows is allowed.
	Isolated bool
	// Allowed families, and those that are allowed if what is unknown turns out so.
	Allowed, Possible Families
	Unknown           Unknown
	// Selecting are the policies that select the pod in this direction, by name.
	Selecting []*networkingv1.NetworkPolicy
	// Allowing are the rules that allow the connection; Depending are those that might.
	Allowing, Depending []Rule
	// Near are the rules that match in part.
	Near []NearMiss
}

// Rule of a policy in the direction of its side.
type Rule struct {
	Policy   *networkingv1.NetworkPolicy
	Index    int
	Families Families
}

// Part of a rule.
type Part string

// The parts of a rule.
const (
	Peers Part = "peers"
	Ports Part = "ports"
)

// NearMiss is a rule that would allow the connection but for one part of it.
type NearMiss struct {
	Rule
	Missing Part
}
