// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// World is a small cluster.
type World struct {
	Namespaces map[string]*WorldNamespace `json:"namespaces,omitempty"`
	// Nodes and Addresses outside of the cluster, by name.
	Nodes     map[string]netip.Addr `json:"nodes,omitempty"`
	Addresses map[string]netip.Addr `json:"addresses,omitempty"`
}

// WorldNamespace is a namespace with what is in it.
type WorldNamespace struct {
	Labels   map[string]string        `json:"labels,omitempty"`
	Pods     map[string]*WorldPod     `json:"pods,omitempty"`
	Services map[string]*WorldService `json:"services,omitempty"`
	// Policies of somebody else, by name.
	Policies map[string]networkingv1.NetworkPolicySpec `json:"policies,omitempty"`
}

// WorldPod is a pod.
type WorldPod struct {
	Labels map[string]string `json:"labels,omitempty"`
	IP     netip.Addr        `json:"ip,omitzero"`     // the next free one of 10.244.0.0/24 when absent
	Ports  map[string]string `json:"ports,omitempty"` // by name: TCP/8080
}

// WorldService is a Service: pods by selector, or addresses.
type WorldService struct {
	Labels    map[string]string `json:"labels,omitempty"`
	Selector  map[string]string `json:"selector,omitempty"`
	Endpoints []string          `json:"endpoints,omitempty"` // names of nodes or addresses, where there is no selector
	IPs       []netip.Addr      `json:"ips,omitempty"`       // ClusterIPs; the next free one of 10.96.1.0/24 when absent
	Ports     map[string]int32  `json:"ports"`               // the target by port: TCP/80: 8080
}

// Service is a Service at one of its ports.
type Service struct {
	Name, Namespace           string
	NamespaceLabels, Selector map[string]string
	Address                   netip.Addr
	Port                      Port
}

// ReadWorld reads a world, strictly.
func ReadWorld(file string) (*World, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	w := &World{}
	if err := yaml.UnmarshalStrict(data, w); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return w, nil
}

// Join adds the other world to this one, and gives addresses to what has none. What the other has under the same name
// replaces what is here.
func (w *World) Join(other *World) *World {
	out := &World{Namespaces: map[string]*WorldNamespace{}, Nodes: map[string]netip.Addr{}, Addresses: map[string]netip.Addr{}}
	for _, from := range []*World{w, other} {
		maps.Copy(out.Namespaces, from.Namespaces)
		maps.Copy(out.Nodes, from.Nodes)
		maps.Copy(out.Addresses, from.Addresses)
	}
	nextPod, nextService := netip.MustParseAddr("10.244.0.1"), netip.MustParseAddr("10.96.1.1")
	for _, name := range slices.Sorted(maps.Keys(out.Namespaces)) {
		ns := out.Namespaces[name]
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		ns.Labels[corev1.LabelMetadataName] = name
		for _, pod := range slices.Sorted(maps.Keys(ns.Pods)) {
			if !ns.Pods[pod].IP.IsValid() {
				ns.Pods[pod].IP, nextPod = nextPod, nextPod.Next()
			}
		}
		for _, service := range slices.Sorted(maps.Keys(ns.Services)) {
			if len(ns.Services[service].IPs) == 0 {
				ns.Services[service].IPs, nextService = []netip.Addr{nextService}, nextService.Next()
			}
		}
	}
	return out
}

// ParsePort reads TCP/80, or 80 for the same.
func ParsePort(s string) (Port, error) {
	protocol, number, found := strings.Cut(s, "/")
	if !found {
		protocol, number = string(corev1.ProtocolTCP), s
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || protocol != "TCP" && protocol != "UDP" && protocol != "SCTP" {
		return Port{}, fmt.Errorf("%q is no port such as TCP/80", s)
	}
	return Port{corev1.Protocol(protocol), int32(n)}, nil
}

func mustPort(s string) Port {
	p, err := ParsePort(s)
	if err != nil {
		panic(err)
	}
	return p
}

// Endpoint finds a pod (namespace/pod), a node or an address by its name, or an address as it is.
func (w *World) Endpoint(name string) (*Endpoint, error) {
	if namespace, pod, isPod := strings.Cut(name, "/"); isPod {
		ns := w.Namespaces[namespace]
		if ns == nil || ns.Pods[pod] == nil {
			return nil, fmt.Errorf("there is no pod %s", name)
		}
		e := &Endpoint{Name: name, Namespace: namespace, NamespaceLabels: ns.Labels, Labels: ns.Pods[pod].Labels, Address: ns.Pods[pod].IP, Named: map[string]Port{}}
		for called, port := range ns.Pods[pod].Ports {
			e.Named[called] = mustPort(port)
		}
		return e, nil
	}
	if a, ok := w.Nodes[name]; ok {
		return &Endpoint{Name: name, Address: a, Node: true}, nil
	}
	if a, ok := w.Addresses[name]; ok {
		return &Endpoint{Name: name, Address: a}, nil
	}
	a, err := netip.ParseAddr(name)
	if err != nil {
		return nil, fmt.Errorf("there is no node or address %s", name)
	}
	return &Endpoint{Name: name, Address: a}, nil
}

// Service finds a Service (namespace/service) at one of its ports, and what is behind it, and on which port.
func (w *World) Service(name string, port Port) (*Service, []*Endpoint, Port, error) {
	namespace, called, _ := strings.Cut(name, "/")
	ns := w.Namespaces[namespace]
	if ns == nil || ns.Services[called] == nil {
		return nil, nil, Port{}, fmt.Errorf("there is no service %s", name)
	}
	s := ns.Services[called]
	target, ok := s.Ports[port.String()]
	if !ok {
		return nil, nil, Port{}, fmt.Errorf("service %s has no port %s", name, port)
	}
	var behind []*Endpoint
	for _, e := range s.backends(w, namespace) {
		endpoint, err := w.Endpoint(e)
		if err != nil {
			return nil, nil, Port{}, err
		}
		behind = append(behind, endpoint)
	}
	if len(behind) == 0 {
		return nil, nil, Port{}, fmt.Errorf("nothing is behind service %s", name)
	}
	return &Service{
		Name: "service " + name, Namespace: namespace, NamespaceLabels: ns.Labels, Selector: s.Selector, Address: s.IPs[0], Port: port,
	}, behind, Port{port.Protocol, target}, nil
}

func (s *WorldService) backends(w *World, namespace string) []string {
	if len(s.Selector) == 0 {
		return s.Endpoints
	}
	var out []string
	for _, pod := range slices.Sorted(maps.Keys(w.Namespaces[namespace].Pods)) {
		if labels.SelectorFromSet(s.Selector).Matches(labels.Set(w.Namespaces[namespace].Pods[pod].Labels)) {
			out = append(out, namespace+"/"+pod)
		}
	}
	return out
}

// Facts are what the operator would discover in this cluster.
func (w *World) Facts() policy.Facts {
	var services []corev1.Service
	var endpointSlices []discoveryv1.EndpointSlice
	for _, namespace := range facts.Namespaces {
		ns := w.Namespaces[namespace]
		if ns == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(ns.Services)) {
			s := ns.Services[name]
			object := corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: s.Labels}}
			object.Spec.Selector = s.Selector
			slice := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name},
			}}
			for _, ip := range s.IPs {
				object.Spec.ClusterIPs = append(object.Spec.ClusterIPs, ip.String())
			}
			for _, text := range slices.Sorted(maps.Keys(s.Ports)) {
				port, target, called := mustPort(text), s.Ports[text], strings.ToLower(strings.ReplaceAll(text, "/", "-"))
				object.Spec.Ports = append(object.Spec.Ports, corev1.ServicePort{
					Name: called, Protocol: port.Protocol, Port: port.Number, TargetPort: intstr.FromInt32(target),
				})
				slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &called, Protocol: &port.Protocol, Port: &target})
			}
			for _, backend := range s.backends(w, namespace) {
				e, err := w.Endpoint(backend)
				if err != nil {
					panic(err)
				}
				slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{e.Address.String()}})
			}
			services, endpointSlices = append(services, object), append(endpointSlices, slice)
		}
	}
	return facts.Discover(services, endpointSlices)
}

// Cluster is a world with the policies that the baselines put into it.
type Cluster struct {
	*World
	// Governed are the names of the baselines that govern each namespace that is governed.
	Governed map[string][]string
	// Rendered is what they put into it.
	Rendered  map[string]*policy.Rendered
	enforcers []enforcer
}

// Govern puts the baselines' policies there as the operator does, by policy.Decide.
func (w *World) Govern(baselines []*v1alpha1.NetworkBaseline) (*Cluster, error) {
	c := &Cluster{World: w, Governed: map[string][]string{}, Rendered: map[string]*policy.Rendered{}}
	known := w.Facts()
	var all []*networkingv1.NetworkPolicy
	for _, name := range slices.Sorted(maps.Keys(w.Namespaces)) {
		ns := w.Namespaces[name]
		var foreign []*networkingv1.NetworkPolicy
		for _, called := range slices.Sorted(maps.Keys(ns.Policies)) {
			foreign = append(foreign, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: called}, Spec: ns.Policies[called]})
		}
		all = append(all, foreign...)
		state := &policy.State{
			Namespace: policy.Namespace{Name: name, Labels: ns.Labels}, Protection: policy.DefaultProtection, Facts: known, Policies: foreign,
		}
		for _, b := range baselines {
			observed, err := policy.Admitted(b)
			if err != nil {
				return nil, fmt.Errorf("baseline %s: %w", b.Name, err)
			}
			observed.UID = types.UID("uid-" + b.Name)
			state.Baselines = append(state.Baselines, observed)
		}
		decision := policy.Decide(state)
		for _, contribution := range decision.Contributions {
			if contribution.Phase == policy.Enforcing {
				c.Governed[name] = append(c.Governed[name], contribution.Name)
			}
		}
		if len(c.Governed[name]) == 0 {
			continue
		}
		c.Rendered[name] = decision.Wanted
		for _, p := range c.Rendered[name].Policies {
			p := p.DeepCopy()
			p.Namespace = name
			all = append(all, p)
		}
	}
	for _, e := range Evaluators {
		c.enforcers = append(c.enforcers, newEnforcer(e, all))
	}
	return c, nil
}

// Side asks one direction of each evaluator, in their order.
func (c *Cluster) Side(r Reading, q Question, service *Service) []bool {
	var out []bool
	for _, e := range c.enforcers {
		out = append(out, !q.Pod.IsPod() || e.allows(r, q, service))
	}
	return out
}

// Connect says of each evaluator, in their order, whether the connection is allowed: by the egress side where it comes
// from, and by the ingress side where it goes. Whatever is not a pod has no policies.
func (c *Cluster) Connect(r Reading, from, to *Endpoint, port Port, service *Service) []bool {
	out := c.Side(r, Question{networkingv1.PolicyTypeEgress, from, to, port}, service)
	for i, ingress := range c.Side(r, Question{networkingv1.PolicyTypeIngress, to, from, port}, service) {
		out[i] = out[i] && ingress
	}
	return out
}

// ReadBaselines reads a file of baselines, strictly.
func ReadBaselines(file string) ([]*v1alpha1.NetworkBaseline, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []*v1alpha1.NetworkBaseline
	for _, text := range strings.Split(string(data), "\n---\n") {
		b := &v1alpha1.NetworkBaseline{}
		if err := yaml.UnmarshalStrict([]byte(text), b); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		b.UID = types.UID("uid-" + b.Name)
		out = append(out, b)
	}
	return out, nil
}
