// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package input reads what the commands explain, test and impact judge: namespaces, pods, NetworkPolicies and
// NetworkBaselines, from files or from a cluster. It writes nothing.
package input

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/inventory"
)

// Snapshot is what files say, or what a cluster held when it was read.
type Snapshot struct {
	namespaces map[string]map[string]string
	pods       []corev1.Pod
	templates  []template
	nodes      []corev1.Node
	services   []corev1.Service
	endpoints  []discoveryv1.EndpointSlice
	// Policies by namespace, as they are today.
	Policies map[string][]networkingv1.NetworkPolicy
	// Declared baselines are those of files; Live ones are those of the cluster.
	Declared, Live []v1alpha1.NetworkBaseline
	// Expectations are documents for the test command.
	Expectations []Document
	// Unreadable says of namespaces why their NetworkPolicies could not be read.
	Unreadable map[string]error
	// Notes are worth telling and change no result.
	Notes []string
}

type template struct {
	kind, namespace, name string
	spec                  corev1.PodTemplateSpec
}

// Document is a document of a file that is no Kubernetes object.
type Document struct {
	File string
	Line int
	Data []byte
}

// Inventory of what was read.
func (s *Snapshot) Inventory() *inventory.Inventory {
	out := &inventory.Inventory{}
	for name, labels := range s.namespaces {
		out.AddNamespace(name, labels)
	}
	for i := range s.pods {
		out.AddPod(&s.pods[i])
	}
	for i := range s.templates {
		t := &s.templates[i]
		out.AddTemplate(t.kind, t.namespace, t.name, &t.spec)
	}
	for i := range s.nodes {
		out.AddNode(&s.nodes[i])
	}
	for i := range s.services {
		out.AddService(&s.services[i])
	}
	return out
}

// Today are the policies as they are.
func (s *Snapshot) Today(network connectivity.Network) (*connectivity.Set, error) {
	return Compile(s.Policies, network)
}

// Tomorrow are the policies once the declared baselines are in force, which are those of today if there are none.
func (s *Snapshot) Tomorrow(network connectivity.Network, render Render) (*connectivity.Set, error) {
	if len(s.Declared) == 0 {
		return s.Today(network)
	}
	return Compile(s.Rendered(render), network)
}

// Rendered are the policies by namespace once the declared baselines are in force.
func (s *Snapshot) Rendered(render Render) map[string][]networkingv1.NetworkPolicy {
	out := map[string][]networkingv1.NetworkPolicy{}
	for namespace, live := range s.Policies {
		if _, known := s.namespaces[namespace]; !known {
			out[namespace] = live
		}
	}
	for namespace, labels := range s.namespaces {
		out[namespace] = render(namespace, labels, s.Policies[namespace])
	}
	return out
}

// With is the same with other declared baselines, and no namespaces but these: what a change of a baseline makes of them.
func (s *Snapshot) With(declared []v1alpha1.NetworkBaseline, namespaces map[string]bool) *Snapshot {
	out := *s
	out.Declared = declared
	out.namespaces, out.Policies = map[string]map[string]string{}, map[string][]networkingv1.NetworkPolicy{}
	for name := range namespaces {
		if labels, known := s.namespaces[name]; known {
			out.namespaces[name] = labels
		}
		if policies := s.Policies[name]; len(policies) > 0 {
			out.Policies[name] = policies
		}
	}
	return &out
}

// Compile compiles policies by namespace.
func Compile(all map[string][]networkingv1.NetworkPolicy, network connectivity.Network) (*connectivity.Set, error) {
	var policies []*networkingv1.NetworkPolicy
	for _, of := range all {
		for i := range of {
			policies = append(policies, &of[i])
		}
	}
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return connectivity.Compile(policies, network)
}
