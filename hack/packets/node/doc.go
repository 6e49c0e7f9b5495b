// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package node is a node and its surroundings, made of network namespaces: a bridge for pods, an outside with whatever
// addresses a test needs, what listens there, and a firewall that enforces NetworkPolicies.
package node
