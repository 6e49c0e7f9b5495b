// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops runs the operator as a process on a real control plane and asks the tools of GitOps what they make of
// it: Argo CD's health script and sync engine, kstatus, which Flux and kpt go by, Flux' health expressions, and kubectl.
//
// The statuses that they judge are the operator's own. Those under config/argocd were recorded from it; the tests compare
// them with what it writes now. To record them again, after a change of words:
//
//	make gitops TESTFLAGS=-update
package gitops
