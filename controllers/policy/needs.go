// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Need is something that must be reachable, or must be able to reach, before a namespace is denied the rest: one of
// its peers has to exist.
type Need struct {
	// Component is the field of the profile, and What names the thing: "the cluster's DNS", say.
	Component, What string
	// Peers of which at least one must match a pod. A need with a peer by address is met; one without any peer is not.
	Peers []v1alpha1.Peer
	// Instead is the field to write when the thing is elsewhere, and InPlaceOf what to take out then, if anything.
	Instead, InPlaceOf string
	// OnHost: the peers match the thing on the host network too.
	OnHost bool
}

// Needs are what the profile relies on, in the order of its components: the resolvers, and every preset that is
// named. Peers that a user describes in from are the user's own business.
func Needs(profile *v1alpha1.Profile, facts Facts) []Need {
	var needs []Need
	if dns := profile.AllowDNS; dns != nil {
		need := Need{Component: "allowDNS", What: "the cluster's DNS", Instead: "spec.profile.allowDNS.resolvers"}
		for _, a := range (&scope{facts: facts}).resolvers(dns) {
			for _, peer := range a.Peers {
				// That a Service has an address doesn't mean that anything answers there: on GKE with Cloud DNS, say,
				// kube-dns is left without pods. An address counts where a user has written it.
				if peer.CIDR == "" || len(dns.Resolvers) > 0 {
					need.Peers = append(need.Peers, peer)
				}
			}
		}
		needs = append(needs, need)
	}
	if allow := profile.AllowIngressController; allow != nil {
		for _, name := range slices.Sorted(slices.Values(allow.Controllers)) {
			needs = append(needs, Need{
				Component: "allowIngressController", What: "ingress controller " + string(name),
				Peers: ingressControllers[name].peers, OnHost: ingressControllers[name].onHost,
				Instead: "spec.profile.allowIngressController.from", InPlaceOf: string(name) + " in controllers",
			})
		}
	}
	if allow := profile.AllowMonitoring; allow != nil {
		for _, name := range slices.Sorted(slices.Values(allow.Stacks)) {
			needs = append(needs, Need{
				Component: "allowMonitoring", What: "monitoring stack " + string(name),
				Peers: monitoringStacks[name].peers, OnHost: monitoringStacks[name].onHost,
				Instead: "spec.profile.allowMonitoring.from", InPlaceOf: string(name) + " in stacks",
			})
		}
	}
	if profile.AllowKubeAPIServer != nil {
		need := Need{Component: "allowKubeAPIServer", What: "the Kubernetes API (Service default/kubernetes and its EndpointSlices)", Instead: "spec.flows, with to: {cidr: …}", InPlaceOf: "allowKubeAPIServer"}
		for _, a := range facts.KubeAPIServer {
			need.Peers = append(need.Peers, a.Peers...)
		}
		needs = append(needs, need)
	}
	return needs
}

// InfrastructurePeers are the ingress controllers and monitoring stacks that a profile names. The
// namespaces of these pods are infrastructure: to deny traffic there is rarely meant.
func InfrastructurePeers(profile *v1alpha1.Profile) []v1alpha1.Peer {
	var peers []v1alpha1.Peer
	if allow := profile.AllowIngressController; allow != nil {
		peers = append(peers, presetPeers(ingressControllers, allow.Controllers)...)
		peers = append(peers, allow.From...)
	}
	if allow := profile.AllowMonitoring; allow != nil {
		peers = append(peers, presetPeers(monitoringStacks, allow.Stacks)...)
		peers = append(peers, allow.From...)
	}
	return peers
}
