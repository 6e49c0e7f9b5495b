// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance holds what the project renders against two independent evaluators of NetworkPolicies, under the
// three ways in which networks read one. It shares no code with what it judges: it calls policy.Decide, as the
// operator does, and looks at the policies that come out. It also holds the project's own evaluator,
// controllers/connectivity, against those two, on policies of any shape (connectivity_test.go, raw_test.go).
//
//	evaluator.go  the two evaluators behind one interface
//	reading.go    by IP, Cilium, before DNAT
//	world.go      a small cluster in YAML: namespaces, pods, Services, nodes, addresses
//	testdata/     one file per component and per sample: what is allowed, what is denied, where readings differ
package conformance
