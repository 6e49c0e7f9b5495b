// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is a whole Kubernetes cluster of one node, with real packets: a control plane on loopback, a kubelet
// and a network of our own, kube-router, and the operator built from this tree.
package cluster
