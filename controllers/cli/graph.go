// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// graph is who may talk to whom, as far as the policies that are shown tell.
type graph struct {
	groups []*group
	nodes  []*node // all, in the order in which they were drawn first
	links  []*link // as the policies declare them: one for each direction
}

// group is a box: governed namespaces that hold the same policies, or others that a policy names.
type group struct {
	title      []string
	namespaces []namespace
	restricted map[networkingv1.PolicyType][]*node // whose traffic is denied unless drawn
}

// node is pods of a group, or, without a group, addresses.
type node struct {
	group *group
	label string
}

// link is what one rule allows.
type link struct {
	from, to  *node
	direction networkingv1.PolicyType // the side that declares it
	ports     []port
}

const (
	allPods        = "all pods"
	anyone         = "anyone"
	everyNamespace = "every namespace"
)

// draw makes the graph of a view.
func draw(v *view) *graph {
	g := &graph{}
	policies := map[*group][]*networkingv1.NetworkPolicy{}
	for _, alike := range alikeNamespaces(v) {
		own := &group{namespaces: alike.namespaces, restricted: map[networkingv1.PolicyType][]*node{}}
		g.groups = append(g.groups, own)
		policies[own] = alike.policies
	}
	governed := slices.Clone(g.groups)
	for _, own := range governed {
		g.node(own, allPods)
		for _, p := range policies[own] {
			pods := g.node(own, podLabel(&p.Spec.PodSelector))
			for _, t := range p.Spec.PolicyTypes {
				if !slices.Contains(own.restricted[t], pods) {
					own.restricted[t] = append(own.restricted[t], pods)
				}
			}
			for _, r := range p.Spec.Ingress {
				for _, peer := range g.peers(v, governed, own, r.From) {
					g.link(peer, pods, networkingv1.PolicyTypeIngress, r.Ports)
				}
			}
			for _, r := range p.Spec.Egress {
				for _, peer := range g.peers(v, governed, own, r.To) {
					g.link(pods, peer, networkingv1.PolicyTypeEgress, r.Ports)
				}
			}
		}
		own.title = append(own.title, titleOf(own.namespaces), own.denied(networkingv1.PolicyTypeIngress), own.denied(networkingv1.PolicyTypeEgress))
	}
	return g
}

// alike are namespaces that hold the same policies.
type alike struct {
	namespaces []namespace
	policies   []*networkingv1.NetworkPolicy
}

func alikeNamespaces(v *view) []*alike {
	held := map[string][]*networkingv1.NetworkPolicy{}
	for _, p := range v.previews {
		held[p.namespace] = append(held[p.namespace], p.policies...)
	}
	governed := map[string]bool{}
	for _, p := range v.previews {
		governed[p.namespace] = true
	}
	byContent := map[string]*alike{}
	var out []*alike
	for _, ns := range v.namespaces {
		if !governed[ns.name] {
			continue
		}
		content := contentOf(held[ns.name])
		known := byContent[content]
		if known == nil {
			known = &alike{policies: held[ns.name]}
			byContent[content] = known
			out = append(out, known)
		}
		known.namespaces = append(known.namespaces, ns)
	}
	return out
}

// contentOf is equal for policies that are equal but for their namespace.
func contentOf(policies []*networkingv1.NetworkPolicy) string {
	var out strings.Builder
	for _, p := range policies {
		// Marshalling plain API structs cannot fail, and maps are written in the order of their keys.
		spec, _ := json.Marshal(p.Spec)
		fmt.Fprintf(&out, "%s %s\n", p.Name, spec)
	}
	return out.String()
}

// node returns the node of this label, drawn once.
func (g *graph) node(own *group, label string) *node {
	for _, n := range g.nodes {
		if n.group == own && n.label == label {
			return n
		}
	}
	n := &node{own, label}
	g.nodes = append(g.nodes, n)
	return n
}

func (g *graph) link(from, to *node, direction networkingv1.PolicyType, ports []networkingv1.NetworkPolicyPort) {
	g.links = append(g.links, &link{from, to, direction, portsOf(ports)})
}

// peers are the nodes that a rule of the group names.
func (g *graph) peers(v *view, governed []*group, own *group, peers []networkingv1.NetworkPolicyPeer) []*node {
	if len(peers) == 0 {
		return []*node{g.node(nil, anyone)}
	}
	var out []*node
	for i := range peers {
		switch p := &peers[i]; {
		case p.IPBlock != nil:
			label := p.IPBlock.CIDR
			if len(p.IPBlock.Except) > 0 {
				label += "\nexcept " + strings.Join(p.IPBlock.Except, "\nexcept ")
			}
			out = append(out, g.node(nil, label))
		case p.NamespaceSelector == nil:
			out = append(out, g.node(own, podLabel(p.PodSelector)))
		default:
			out = append(out, g.node(g.selected(v, governed, p.NamespaceSelector), podLabel(p.PodSelector)))
		}
	}
	return out
}

// selected is the governed group whose namespaces the selector matches, those and no other; or else a box of its own,
// titled by the selector.
func (g *graph) selected(v *view, governed []*group, s *metav1.LabelSelector) *group {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err == nil && !selector.Empty() {
		matched := 0
		for _, ns := range v.namespaces {
			if selector.Matches(labels.Set(ns.labels)) {
				matched++
			}
		}
		for _, own := range governed {
			if matched == len(own.namespaces) && !slices.ContainsFunc(own.namespaces, func(ns namespace) bool { return !selector.Matches(labels.Set(ns.labels)) }) {
				return own
			}
		}
	}
	title := everyNamespace
	switch name := s.MatchLabels[corev1.LabelMetadataName]; {
	case name != "" && len(s.MatchLabels) == 1 && len(s.MatchExpressions) == 0:
		title = "namespace " + name
	case err == nil && !selector.Empty():
		title = "namespaces with " + inWords(s)
	}
	for _, other := range g.groups {
		if other.namespaces == nil && other.title[0] == title {
			return other
		}
	}
	other := &group{title: []string{title}}
	g.groups = append(g.groups, other)
	return other
}

func titleOf(namespaces []namespace) string {
	var names []string
	for _, ns := range namespaces {
		names = append(names, ns.name)
	}
	if len(names) == 1 {
		return "namespace " + names[0]
	}
	return "each of " + someOf(names, 5)
}

// denied says what is denied in a direction: whatever is not drawn, for some pods or for all.
func (own *group) denied(direction networkingv1.PolicyType) string {
	var some []string
	for _, n := range own.restricted[direction] {
		if n.label == allPods {
			return strings.ToLower(string(direction)) + ": denied unless drawn"
		}
		some = append(some, n.label)
	}
	if len(some) == 0 {
		return strings.ToLower(string(direction)) + ": not restricted"
	}
	return fmt.Sprintf("%s: denied unless drawn for %s, not restricted for others", strings.ToLower(string(direction)), strings.Join(some, " and "))
}

func podLabel(s *metav1.LabelSelector) string {
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return allPods
	}
	return "pods with " + inWords(s)
}

// inWords is a selector as kubectl writes it.
func inWords(s *metav1.LabelSelector) string {
	return strings.ReplaceAll(metav1.FormatLabelSelector(s), ",", ", ")
}
