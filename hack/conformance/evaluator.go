// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// Endpoint is one end of a connection: a pod, a node, or an address outside of the cluster.
type Endpoint struct {
	Name            string // for messages
	Namespace       string // of a pod; empty otherwise
	NamespaceLabels map[string]string
	Labels          map[string]string
	Address         netip.Addr
	Named           map[string]Port // the ports that the pod's containers name
	Node            bool
}

// IsPod says whether selectors can match the endpoint.
func (e *Endpoint) IsPod() bool { return e.Namespace != "" }

// Port is a port of the destination.
type Port struct {
	Protocol corev1.Protocol
	Number   int32
}

func (p Port) String() string { return fmt.Sprintf("%s/%d", p.Protocol, p.Number) }

// Question asks whether the policies let a pod be reached by its peer (Ingress), or reach it (Egress).
type Question struct {
	Direction networkingv1.PolicyType
	Pod, Peer *Endpoint
	Port      Port
}

// destination is the end whose ports names refer to.
func (q *Question) destination() *Endpoint {
	if q.Direction == networkingv1.PolicyTypeIngress {
		return q.Pod
	}
	return q.Peer
}

// Judge answers for the policies that an evaluator was given.
type Judge func(Question) bool

// Evaluator reads NetworkPolicies. It matches pods by address, as Calico does; see Reading for the others.
type Evaluator struct {
	Name string
	Load func([]*networkingv1.NetworkPolicy) Judge
}

// Evaluators are independent of each other and of this project.
var Evaluators = []Evaluator{
	{"cyclonus", cyclonus},
	{"kube-network-policies", kubeNetworkPolicies},
}

// cyclonus is github.com/mattfenwick/cyclonus, made to probe networks for their conformance.
func cyclonus(policies []*networkingv1.NetworkPolicy) Judge {
	var plain []*networkingv1.NetworkPolicy
	for _, p := range policies {
		plain = append(plain, withPlainSelectors(p)...)
	}
	built := matcher.BuildNetworkPolicies(false, plain)
	return func(q Question) bool {
		traffic := &matcher.Traffic{Protocol: q.Port.Protocol, ResolvedPort: int(q.Port.Number)}
		ingress := q.Direction == networkingv1.PolicyTypeIngress
		if ingress {
			traffic.Source, traffic.Destination = trafficPeer(q.Peer), trafficPeer(q.Pod)
		} else {
			traffic.Source, traffic.Destination = trafficPeer(q.Pod), trafficPeer(q.Peer)
		}
		// Its traffic has one port name, and a port may have several: it is asked about each.
		allowed := built.IsIngressOrEgressAllowed(traffic, ingress).IsAllowed()
		for name, port := range q.destination().Named {
			if port == q.Port && !allowed {
				traffic.ResolvedPortName = name
				allowed = built.IsIngressOrEgressAllowed(traffic, ingress).IsAllowed()
			}
		}
		return allowed
	}
}

func trafficPeer(e *Endpoint) *matcher.TrafficPeer {
	peer := &matcher.TrafficPeer{IP: e.Address.String()}
	if e.IsPod() {
		peer.Internal = &matcher.InternalPeer{PodLabels: e.Labels, NamespaceLabels: e.NamespaceLabels, Namespace: e.Namespace}
	}
	return peer
}

// withPlainSelectors says the same without the two things that cyclonus v0.5.6 reads in its own way: its NotIn does
// not match an object without the label (kube.IsMatchExpressionMatchForLabels), and its matchLabels with an empty value
// does (kube.IsLabelsMatchLabelSelector). Kubernetes reads both the other way round.
func withPlainSelectors(p *networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	peers := func(all []networkingv1.NetworkPolicyPeer) []networkingv1.NetworkPolicyPeer {
		var out []networkingv1.NetworkPolicyPeer
		for _, peer := range all {
			for _, namespaces := range plainSelectors(peer.NamespaceSelector) {
				for _, pods := range plainSelectors(peer.PodSelector) {
					out = append(out, networkingv1.NetworkPolicyPeer{IPBlock: peer.IPBlock, NamespaceSelector: namespaces, PodSelector: pods})
				}
			}
		}
		return out
	}
	var out []*networkingv1.NetworkPolicy
	for _, selector := range plainSelectors(&p.Spec.PodSelector) {
		plain := p.DeepCopy()
		plain.Spec.PodSelector = *selector
		for i := range plain.Spec.Ingress {
			plain.Spec.Ingress[i].From = peers(plain.Spec.Ingress[i].From)
		}
		for i := range plain.Spec.Egress {
			plain.Spec.Egress[i].To = peers(plain.Spec.Egress[i].To)
		}
		out = append(out, plain)
	}
	return out
}

// plainSelectors are selectors of which one matches whenever the given one does.
func plainSelectors(s *metav1.LabelSelector) []*metav1.LabelSelector {
	if s == nil {
		return []*metav1.LabelSelector{nil}
	}
	out := []*metav1.LabelSelector{{}}
	require := func(alternatives ...metav1.LabelSelectorRequirement) {
		var next []*metav1.LabelSelector
		for _, selector := range out {
			for _, r := range alternatives {
				longer := selector.DeepCopy()
				longer.MatchExpressions = append(longer.MatchExpressions, r)
				next = append(next, longer)
			}
		}
		out = next
	}
	for key, value := range s.MatchLabels {
		require(metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{value}})
	}
	for _, r := range s.MatchExpressions {
		if r.Operator == metav1.LabelSelectorOpNotIn {
			require(r, metav1.LabelSelectorRequirement{Key: r.Key, Operator: metav1.LabelSelectorOpDoesNotExist})
			continue
		}
		require(r)
	}
	return out
}

// kubeNetworkPolicies is sigs.k8s.io/kube-network-policies, the reference implementation that kindnet runs.
func kubeNetworkPolicies(policies []*networkingv1.NetworkPolicy) Judge {
	type selecting struct {
		policy   *networkingv1.NetworkPolicy
		selector labels.Selector
	}
	var all []selecting
	for _, p := range policies {
		served := asServed(p)
		selector, err := metav1.LabelSelectorAsSelector(&served.Spec.PodSelector)
		if err != nil {
			panic(fmt.Sprintf("policy %s: %v", p.Name, err))
		}
		all = append(all, selecting{served, selector})
	}
	return func(q Question) bool {
		var selected []*networkingv1.NetworkPolicy
		for _, s := range all {
			if s.policy.Namespace == q.Pod.Namespace && s.selector.Matches(labels.Set(q.Pod.Labels)) {
				selected = append(selected, s.policy)
			}
		}
		const fromPort = 40000
		podPort, peerPort := fromPort, int(q.Port.Number)
		if q.Direction == networkingv1.PolicyTypeIngress {
			podPort, peerPort = peerPort, podPort
		}
		return networkpolicy.EvaluatePolicyDirection(context.Background(), selected, q.Direction,
			podInfo(q.Pod), podPort, podInfo(q.Peer), q.Peer.Address.AsSlice(), peerPort, q.Port.Protocol)
	}
}

func podInfo(e *Endpoint) *api.PodInfo {
	if !e.IsPod() {
		return nil
	}
	info := &api.PodInfo{Name: e.Name, Labels: e.Labels, Namespace: &api.Namespace{Name: e.Namespace, Labels: e.NamespaceLabels}}
	for name, port := range e.Named {
		info.ContainerPorts = append(info.ContainerPorts, &api.ContainerPort{Name: name, Port: port.Number, Protocol: string(port.Protocol)})
	}
	slices.SortFunc(info.ContainerPorts, func(a, b *api.ContainerPort) int { return strings.Compare(a.Name, b.Name) })
	return info
}

// asServed is the policy as the API server would hand it out: an empty list of rules is no list, and every port has a
// protocol. This evaluator takes an empty list for one that allows everything.
func asServed(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	out := &networkingv1.NetworkPolicy{}
	if err := json.Unmarshal(data, out); err != nil {
		panic(err)
	}
	withProtocol := func(ports []networkingv1.NetworkPolicyPort) {
		for i := range ports {
			if ports[i].Protocol == nil {
				tcp := corev1.ProtocolTCP
				ports[i].Protocol = &tcp
			}
		}
	}
	for i := range out.Spec.Ingress {
		withProtocol(out.Spec.Ingress[i].Ports)
	}
	for i := range out.Spec.Egress {
		withProtocol(out.Spec.Egress[i].Ports)
	}
	return out
}
