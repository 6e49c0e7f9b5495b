// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	networkingv1 "k8s.io/api/networking/v1"
)

// Reading is a way in which networks read a NetworkPolicy, where its text leaves them the choice.
type Reading string

// The readings.
const (
	// ByIP is Calico's, kube-router's and kindnet's: an ipBlock matches whatever has the address, after a Service's
	// address was translated.
	ByIP Reading = "byIP"
	// Cilium matches pods and nodes by what they are and never by address: an ipBlock is the world outside. Also GKE
	// Dataplane V2 and Azure's.
	Cilium Reading = "cilium"
	// BeforeDNAT is the AWS VPC CNI's: it filters egress at the pod's own interface, where a connection to a Service
	// still has the ClusterIP. Its controller adds the ClusterIP of every Service whose own selector the peer's
	// podSelector matches, and translates the port (getMatchingServiceClusterIPs in
	// aws/amazon-network-policy-controller-k8s pkg/resolvers/endpoints.go).
	BeforeDNAT Reading = "beforeDNAT"
)

// Readings in the order of messages.
var Readings = []Reading{ByIP, Cilium, BeforeDNAT}

// enforcer is one evaluator with the policies of a cluster.
type enforcer struct {
	all           Judge
	withoutBlocks Judge // peers by address left out
	onlyBlocks    Judge // peers by selector left out
	services      Judge // peers by selector only, with the ports that are looked up in Services
}

func newEnforcer(e Evaluator, policies []*networkingv1.NetworkPolicy) enforcer {
	isBlock := func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil }
	isSelector := func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock == nil }
	return enforcer{
		all:           e.Load(policies),
		withoutBlocks: e.Load(without(policies, isBlock, false)),
		onlyBlocks:    e.Load(without(policies, isSelector, false)),
		services:      e.Load(without(policies, isBlock, true)),
	}
}

// allows answers one direction of a connection to service, or to a pod or an address if service is nil.
func (e enforcer) allows(r Reading, q Question, service *Service) bool {
	switch {
	case r == Cilium && (q.Peer.IsPod() || q.Peer.Node):
		return e.withoutBlocks(q)
	case r == BeforeDNAT && service != nil && q.Direction == networkingv1.PolicyTypeEgress:
		byAddress, bySelector := q, q
		byAddress.Peer = &Endpoint{Name: service.Name, Address: service.Address}
		byAddress.Port = service.Port
		bySelector.Peer = &Endpoint{
			Name: service.Name, Address: service.Address,
			Namespace: service.Namespace, NamespaceLabels: service.NamespaceLabels, Labels: service.Selector,
			Named: q.Peer.Named,
		}
		return e.onlyBlocks(byAddress) || e.services(bySelector)
	default:
		return e.all(q)
	}
}

// without leaves peers out, and with the last of its peers the rule: a rule without peers means everyone. With
// oneService rules without peers go too, and of a range of ports only the first is looked up.
func without(policies []*networkingv1.NetworkPolicy, drop func(networkingv1.NetworkPolicyPeer) bool, oneService bool) []*networkingv1.NetworkPolicy {
	rest := func(peers []networkingv1.NetworkPolicyPeer) (out []networkingv1.NetworkPolicyPeer, keep bool) {
		for _, p := range peers {
			if !drop(p) {
				out = append(out, p)
			}
		}
		return out, len(out) > 0 || len(peers) == 0 && !oneService
	}
	var out []*networkingv1.NetworkPolicy
	for _, p := range policies {
		p = p.DeepCopy()
		var ingress []networkingv1.NetworkPolicyIngressRule
		for _, rule := range p.Spec.Ingress {
			if from, keep := rest(rule.From); keep {
				rule.From = from
				ingress = append(ingress, rule)
			}
		}
		var egress []networkingv1.NetworkPolicyEgressRule
		for _, rule := range p.Spec.Egress {
			if to, keep := rest(rule.To); keep {
				rule.To = to
				for i := range rule.Ports {
					if oneService {
						rule.Ports[i].EndPort = nil
					}
				}
				egress = append(egress, rule)
			}
		}
		p.Spec.Ingress, p.Spec.Egress = ingress, egress
		out = append(out, p)
	}
	return out
}
