// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connectivity judges connections: whether a set of NetworkPolicies allows one, and which policy decides at
// each of its two sides. It is pure: it knows no client, context or logger, and nothing of NetworkBaselines.
//
//	connection.go  the question: two endpoints, a protocol and a port
//	compile.go     policies, compiled once and indexed by namespace
//	match.go       whether one rule matches
//	judge.go       the verdict
//	verdict.go     what a verdict says
//	pod.go         endpoints from Kubernetes objects
//
// A verdict has three values. It is Undecided where the answer depends on something that is not known (the address of a
// pod that is gone) or that the API leaves to the network (host networking, ICMP): it never guesses.
package connectivity
