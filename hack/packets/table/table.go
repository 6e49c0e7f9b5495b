// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package table reads the tables of hack/conformance: for each sample a small cluster, and which connections are allowed
// and denied in it. There two evaluators judge them; here packets do.
package table

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/hack/packets/standin"
)

// Table is one file. Its fields are those of the types World and table in hack/conformance.
type Table struct {
	Namespaces map[string]*Namespace `json:"namespaces,omitempty"`
	Nodes      map[string]netip.Addr `json:"nodes,omitempty"`
	Addresses  map[string]netip.Addr `json:"addresses,omitempty"`

	Sample  string       `json:"sample,omitempty"`
	Notes   []string     `json:"notes,omitempty"`
	Allowed []string     `json:"allowed,omitempty"`
	Denied  []string     `json:"denied,omitempty"`
	Differs []Difference `json:"differs,omitempty"`
}

// Namespace is a namespace with what is in it.
type Namespace struct {
	Labels   map[string]string                         `json:"labels,omitempty"`
	Pods     map[string]*Pod                           `json:"pods,omitempty"`
	Services map[string]*Service                       `json:"services,omitempty"`
	Policies map[string]networkingv1.NetworkPolicySpec `json:"policies,omitempty"`
}

// Pod is a pod.
type Pod struct {
	Labels map[string]string `json:"labels,omitempty"`
	IP     netip.Addr        `json:"ip,omitzero"` // ignored: the kubelet gives addresses
	Ports  map[string]string `json:"ports,omitempty"`
}

// Service is a Service: pods by selector, or addresses.
type Service struct {
	Labels    map[string]string `json:"labels,omitempty"`
	Selector  map[string]string `json:"selector,omitempty"`
	Endpoints []string          `json:"endpoints,omitempty"`
	IPs       []netip.Addr      `json:"ips,omitempty"`
	Ports     map[string]int32  `json:"ports"` // the target by port: TCP/80: 8080
}

// Difference is connections that networks judge differently.
type Difference struct {
	Connections []string `json:"connections"`
	Allowed     []string `json:"allowed"` // the readings under which they are allowed
	Because     string   `json:"because"`
}

// Reading is that of kube-router: an address range matches whatever has the address, after a Service's address was
// translated.
const Reading = "byIP"

// Read reads a table, strictly: a field that is new there has to be understood here.
func Read(file string) (*Table, error) {
	data, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	t := &Table{}
	if err := yaml.UnmarshalStrict(data, t); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

// Expectation is a connection and whether it is allowed.
type Expectation struct {
	Connection
	Allowed bool
}

// Expectations are all that the table says, as kube-router reads policies.
func (t *Table) Expectations() ([]Expectation, error) {
	var out []Expectation
	add := func(lines []string, allowed bool) error {
		for _, line := range lines {
			connections, err := Parse(line)
			if err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			for _, c := range connections {
				out = append(out, Expectation{c, allowed})
			}
		}
		return nil
	}
	if err := add(t.Allowed, true); err != nil {
		return nil, err
	}
	if err := add(t.Denied, false); err != nil {
		return nil, err
	}
	for _, d := range t.Differs {
		if err := add(d.Connections, slices.Contains(d.Allowed, Reading)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Address finds a node or an address by its name, or an address as it is.
func (t *Table) Address(name string) (netip.Addr, error) {
	for _, known := range []map[string]netip.Addr{t.Nodes, t.Addresses} {
		if a, ok := known[name]; ok {
			return a, nil
		}
	}
	a, err := netip.ParseAddr(name)
	if err != nil {
		return a, fmt.Errorf("there is no node or address %s", name)
	}
	return a, nil
}

// Join adds what another table has to this one.
func (t *Table) Join(other *Table) error {
	for name := range other.Namespaces {
		if t.Namespaces[name] != nil {
			return fmt.Errorf("namespace %s is in both tables", name)
		}
	}
	for _, m := range []*map[string]netip.Addr{&t.Nodes, &t.Addresses} {
		if *m == nil {
			*m = map[string]netip.Addr{}
		}
	}
	maps.Copy(t.Nodes, other.Nodes)
	maps.Copy(t.Addresses, other.Addresses)
	return nil
}

// Ports are those that somebody connects to, behind a Service the Service's targets.
func (t *Table) Ports() ([]standin.Port, error) {
	expectations, err := t.Expectations()
	if err != nil {
		return nil, err
	}
	ports := map[standin.Port]bool{}
	for _, e := range expectations {
		if e.Service == "" {
			ports[e.Port] = true
		}
	}
	for _, ns := range t.Namespaces {
		for _, s := range ns.Services {
			for text, target := range s.Ports {
				p, err := standin.ParsePort(text)
				if err != nil {
					return nil, err
				}
				ports[standin.Port{Network: p.Network, Number: int(target)}] = true
			}
		}
	}
	return slices.Collect(maps.Keys(ports)), nil
}
