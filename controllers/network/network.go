// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package network recognises which network a cluster runs, and whether that network enforces NetworkPolicies, from
// objects of the Kubernetes API alone. It is pure. Only packets prove that a network enforces: an answer of Yes means that
// the network is configured to.
package network

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Enforces is whether a network enforces NetworkPolicies.
type Enforces string

// The answers. No is certain: the network stores policies and ignores them. Unknown is everything that the API does not
// show.
const (
	Yes     Enforces = "Yes"
	No      Enforces = "No"
	Unknown Enforces = "Unknown"
)

// Network is what is known of a cluster's network.
type Network struct {
	// Name of the network; empty if no known network was found.
	Name string
	// Enforces is whether it enforces NetworkPolicies.
	Enforces Enforces
	// Evidence names the object, and the field in it, that the answer is read from.
	Evidence string
}

// Input is what the network is recognised from. An object that is absent here is absent from the cluster: do not call
// Recognize if a read failed.
type Input struct {
	// DaemonSets of all namespaces.
	DaemonSets []appsv1.DaemonSet
	// ConfigMaps are those of ConfigMapNames that exist.
	ConfigMaps []corev1.ConfigMap
	// Nodes are some nodes of the cluster; their labels and kubelet versions are read.
	Nodes []corev1.Node
}

// Key names a ConfigMap.
type Key struct{ Namespace, Name string }

// ConfigMapNames are the ConfigMaps that are read.
var ConfigMapNames = []Key{{"kube-system", "cilium-config"}, {"kube-system", "amazon-vpc-cni"}}

// Recognize returns the network of a cluster. Where several are found, one of them enforces for all: Calico beside
// flannel or the AWS VPC CNI, for example. So Yes wins over Unknown, and Unknown over No.
func Recognize(in Input) Network {
	in = in.sorted()
	var found []Network
	for _, recognize := range recognizers {
		if n, ok := recognize(in); ok {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		return Network{Enforces: Unknown, Evidence: "no DaemonSet of a known network, and no node label of a known platform"}
	}
	order := []Enforces{Yes, Unknown, No}
	return slices.MinFunc(found, func(a, b Network) int {
		return cmp.Compare(slices.Index(order, a.Enforces), slices.Index(order, b.Enforces))
	})
}

// sorted makes the answer independent of the order of reading.
func (in Input) sorted() Input {
	in.DaemonSets = slices.SortedFunc(slices.Values(in.DaemonSets), func(a, b appsv1.DaemonSet) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	in.Nodes = slices.SortedFunc(slices.Values(in.Nodes), func(a, b corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	return in
}
