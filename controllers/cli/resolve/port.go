// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/netbaseline/netbaseline/controllers/inventory"
)

// Port of a destination: a number, or the name of a container port.
type Port struct {
	Protocol corev1.Protocol
	Number   int32
	Name     string
}

func (p Port) String() string {
	if p.Name != "" {
		return string(p.Protocol) + " " + p.Name
	}
	return fmt.Sprintf("%s %d", p.Protocol, p.Number)
}

// ParsePort reads 5432, 53/UDP or http.
func ParsePort(text string) (Port, error) {
	number, protocol, found := strings.Cut(text, "/")
	p := Port{Protocol: corev1.ProtocolTCP}
	if found {
		p.Protocol = corev1.Protocol(strings.ToUpper(protocol))
	}
	if !slices.Contains([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}, p.Protocol) {
		return p, fmt.Errorf("protocol %q: write TCP, UDP or SCTP: NetworkPolicies are defined for no other", protocol)
	}
	n, err := strconv.ParseInt(number, 10, 32)
	switch {
	case err != nil && number != "" && strings.ContainsAny(number, "abcdefghijklmnopqrstuvwxyz"):
		p.Name = number
	case err != nil || n < 1 || n > 65535:
		return p, fmt.Errorf("port %q: write a number from 1 to 65535, or the name of a container port", number)
	default:
		p.Number = int32(n)
	}
	return p, nil
}

// numberAt is the number of a port at a pod.
func numberAt(e *inventory.Entry, port *Port) (int32, error) {
	if port.Name == "" {
		return port.Number, nil
	}
	var known []string
	for _, p := range e.Ports {
		if p.Name == port.Name && p.Protocol == port.Protocol {
			return p.Number, nil
		}
		known = append(known, fmt.Sprintf("%s (%s %d)", p.Name, p.Protocol, p.Number))
	}
	return 0, fmt.Errorf("pod %s/%s has no %s port %s; it has %s", e.Namespace, e.Name, port.Protocol, port.Name, some(known))
}
