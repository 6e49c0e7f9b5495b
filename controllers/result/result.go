// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package result is the contract between the two controllers: what one namespace says of one baseline.
package result

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// State is what a namespace is to a baseline that selects it.
type State string

// The states.
const (
	InSync  State = "inSync"
	Pending State = "pending"
	Failed  State = "failed"
	Waiting State = "waiting"
)

// Result is what one namespace says of one baseline.
type Result struct {
	Baseline string
	UID      types.UID
	// Fingerprint is what the result was decided from: see policy.Fingerprint.
	Fingerprint string
	State       State
	// Selected reports whether the namespace counts as one of the baseline's.
	Selected bool
	// For is what a waiting namespace waits for.
	For policy.Wait
	// Failures are writes that were refused, altered, or held back.
	Failures []v1alpha1.Problem
	policy.Told
}

// Repairs is what happened to a baseline's policies since its status was written last.
type Repairs struct {
	Count int64
	Last  *v1alpha1.Repair
}

// Source is where results are read.
type Source interface {
	// Of returns the results for a baseline by namespace, and its repairs that no status tells.
	Of(baseline types.UID) (map[string]Result, Repairs)
	// Wrote settles repairs that a status now tells.
	Wrote(baseline types.UID, told Repairs)
	// Looked reports whether this process has looked at a namespace.
	Looked(namespace string) bool
	// Quiesced reports whether every pass has ended that was running when it was first asked for this baseline: a pass
	// that began before a deletion was seen may still write for it.
	Quiesced(baseline types.UID) bool
	// Forget drops what is known of a baseline that is gone.
	Forget(baseline types.UID)
}
