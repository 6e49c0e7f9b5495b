// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resolve finds the endpoints that users name on the command line and in expectations.
package resolve

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/inventory"
)

// Internet is the word for addresses outside of the cluster.
const Internet = "internet"

// The addresses that the word internet stands for: one of each family that no range for a special purpose holds.
var (
	internet4 = netip.MustParseAddr("1.1.1.1")
	internet6 = netip.MustParseAddr("2606:4700:4700::1111")
)

// Reference is an endpoint as a user names it: namespace/pod, namespace/workload, namespace/service,
// namespace/svc/service if a pod has the same name, namespace/key=value,…, an address, or internet.
type Reference struct {
	Text      string
	Namespace string // of pods; empty otherwise
	Name      string
	Service   bool              // the name is that of a Service
	Labels    map[string]string // instead of a name
	Addresses []netip.Addr      // instead of pods
}

// Parse reads a reference. What names no namespace is in the default one.
func Parse(text, defaultNamespace string) (Reference, error) {
	r := Reference{Text: text}
	if text == Internet {
		r.Addresses = []netip.Addr{internet4, internet6}
		return r, nil
	}
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		r.Addresses = []netip.Addr{a.Unmap().WithZone("")}
		return r, nil
	}
	namespace, rest, found := strings.Cut(text, "/")
	// The prefix of a label key has a slash too: app.kubernetes.io/name=web.
	if !found || strings.Contains(namespace, ".") || strings.Contains(namespace, "=") {
		namespace, rest = defaultNamespace, text
	}
	r.Namespace = namespace
	if strings.Contains(rest, "=") {
		l, err := labels.ConvertSelectorToLabelsMap(rest)
		if err != nil {
			return r, fmt.Errorf("%q: %w: write namespace/key=value,key=value", text, err)
		}
		r.Labels = l
		return r, nil
	}
	rest, r.Service = strings.CutPrefix(rest, "svc/")
	if rest == "" || strings.Contains(rest, "/") {
		return r, fmt.Errorf("%q is no endpoint: write namespace/pod, namespace/workload, namespace/service, namespace/key=value, an address, or internet", text)
	}
	r.Name = rest
	return r, nil
}

// ParseDestination reads an endpoint and its port: db/postgres-0:5432, 8.8.8.8:53/UDP, [2001:db8::1]:443.
func ParseDestination(text, defaultNamespace string) (Reference, Port, error) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 || strings.HasSuffix(text, "]") || strings.Count(text, ":") > 1 && !strings.Contains(text, "]:") {
		return Reference{}, Port{}, fmt.Errorf("%q has no port: write %s:443, or :53/UDP for another protocol than TCP; an IPv6 address goes in brackets", text, text)
	}
	port, err := ParsePort(text[at+1:])
	if err != nil {
		return Reference{}, Port{}, fmt.Errorf("%q: %w", text, err)
	}
	r, err := Parse(text[:at], defaultNamespace)
	return r, port, err
}

// Target is an endpoint that a reference stands for, and the port there.
type Target struct {
	Name     string
	Endpoint connectivity.Endpoint
	Port     int32
}

// Result are the targets of a reference, and what is worth knowing of how they were found.
type Result struct {
	Targets []Target
	Notes   []string
}

// Resolve finds what a reference stands for. port is that of a destination, and nil for a source.
func Resolve(i *inventory.Inventory, r Reference, port *Port) (Result, error) {
	if len(r.Addresses) > 0 {
		return resolveAddresses(i, r, port)
	}
	if _, known := i.Labels(r.Namespace); !known {
		return Result{}, fmt.Errorf("%s: there is no namespace %s; there are %s", r.Text, r.Namespace, some(i.Namespaces()))
	}
	if r.Labels != nil {
		return resolveLabels(i, r, port)
	}
	if e := i.Pod(r.Namespace, r.Name); e != nil && !r.Service {
		return targets(r, []*inventory.Entry{e}, port)
	}
	if all := i.Workload(r.Namespace, r.Name); len(all) > 0 && !r.Service {
		return targets(r, all, port)
	}
	if s := i.Service(r.Namespace, r.Name); s != nil {
		return resolveService(i, r, s, port)
	}
	return Result{}, fmt.Errorf("%s: namespace %s has no pod, workload or Service of this name; it has %s. For pods that do not exist yet, write labels: %s/app=%s",
		r.Text, r.Namespace, some(podNames(i, r.Namespace)), r.Namespace, r.Name)
}

func podNames(i *inventory.Inventory, namespace string) []string {
	var out []string
	for _, e := range i.Select(namespace, nil) {
		out = append(out, e.Name)
	}
	return out
}

// some is a list for a message.
func some(names []string) string {
	const most = 5
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	default:
		return strings.Join(names, ", ")
	}
}

func resolveAddresses(i *inventory.Inventory, r Reference, port *Port) (Result, error) {
	var out Result
	for _, a := range r.Addresses {
		if e := i.At(a); e != nil {
			found, err := targets(r, []*inventory.Entry{e}, port)
			found.Notes = append(found.Notes, fmt.Sprintf("%s is the address of pod %s/%s", a, e.Namespace, e.Name))
			return found, err
		}
		if s := i.ServiceAt(a); s != nil {
			found, err := resolveService(i, r, s, port)
			found.Notes = append(found.Notes, fmt.Sprintf("%s is the ClusterIP of Service %s/%s", a, s.Namespace, s.Name))
			return found, err
		}
		if port != nil && port.Name != "" {
			return out, fmt.Errorf("%s: an address has no port names: write a number for %s", r.Text, port.Name)
		}
		if i.IsPodRange(a) {
			out.Notes = append(out.Notes, fmt.Sprintf("no pod has the address %s, and pods have those beside it: judged as an address outside of the cluster", a))
		}
		t := Target{Name: a.String(), Endpoint: connectivity.Endpoint{Address: a, Node: i.Node(a)}}
		if t.Endpoint.Node != "" {
			t.Name = fmt.Sprintf("node %s (%s)", t.Endpoint.Node, a)
		}
		if port != nil {
			t.Port = port.Number
		}
		out.Targets = append(out.Targets, t)
	}
	if len(r.Addresses) > 1 {
		out.Notes = append(out.Notes, fmt.Sprintf("%s stands for %s and %s: a rule for some other addresses says nothing about it", r.Text, internet4, internet6))
	}
	return out, nil
}

func resolveLabels(i *inventory.Inventory, r Reference, port *Port) (Result, error) {
	if all := i.Select(r.Namespace, r.Labels); len(all) > 0 {
		return targets(r, all, port)
	}
	l, _ := i.Labels(r.Namespace)
	e := &inventory.Entry{Pod: &connectivity.Pod{Namespace: r.Namespace, NamespaceLabels: l, Labels: r.Labels, UnknownPorts: true}}
	out, err := targets(r, []*inventory.Entry{e}, port)
	out.Notes = append(out.Notes, fmt.Sprintf("no pod of namespace %s has the labels %s: judged for one that has these and no others", r.Namespace, labels.Set(r.Labels)))
	return out, err
}

// resolveService finds the pods behind a Service, and their port.
func resolveService(i *inventory.Inventory, r Reference, s *corev1.Service, port *Port) (Result, error) {
	if len(s.Spec.Selector) == 0 {
		return Result{}, fmt.Errorf("%s: Service %s/%s has no selector: name the pods or addresses behind it", r.Text, s.Namespace, s.Name)
	}
	all := i.Select(s.Namespace, s.Spec.Selector)
	if len(all) == 0 {
		return Result{}, fmt.Errorf("%s: no pod is behind Service %s/%s, whose selector is %s", r.Text, s.Namespace, s.Name, labels.Set(s.Spec.Selector))
	}
	if port == nil {
		return Result{}, fmt.Errorf("%s: a Service opens no connections: name the pods behind it", r.Text)
	}
	var known []string
	for _, sp := range s.Spec.Ports {
		protocol := sp.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		known = append(known, fmt.Sprintf("%s %d", protocol, sp.Port))
		if protocol != port.Protocol || sp.Port != port.Number && (port.Name == "" || sp.Name != port.Name) {
			continue
		}
		target := Port{Protocol: protocol, Number: sp.Port}
		if sp.TargetPort != (intstr.IntOrString{}) {
			target.Number, target.Name = sp.TargetPort.IntVal, sp.TargetPort.StrVal
		}
		out, err := targets(r, all, &target)
		out.Notes = append(out.Notes, fmt.Sprintf("Service %s/%s leads to %s on %s; networks that filter before they translate its address (AWS) need a rule for the Service as well", s.Namespace, s.Name, some(entryNames(all)), target))
		return out, err
	}
	return Result{}, fmt.Errorf("%s: Service %s/%s has no port %s; it has %s", r.Text, s.Namespace, s.Name, port, some(known))
}

func entryNames(all []*inventory.Entry) []string {
	var out []string
	for _, e := range all {
		out = append(out, e.Name)
	}
	return out
}

func targets(r Reference, all []*inventory.Entry, port *Port) (Result, error) {
	var out Result
	for _, e := range all {
		t := Target{Name: e.Namespace + "/" + e.Name, Endpoint: connectivity.Endpoint{Pod: e.Pod}}
		if e.Name == "" {
			t.Name = e.Namespace + "/" + labels.Set(e.Labels).String()
		}
		if port != nil {
			number, err := numberAt(e, port)
			if err != nil {
				return out, fmt.Errorf("%s: %w", r.Text, err)
			}
			t.Port = number
		}
		out.Targets = append(out.Targets, t)
	}
	return out, nil
}
