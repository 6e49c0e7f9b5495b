// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// state is what a namespace is to a baseline that selects it.
type state string

const (
	stateInSync     state = "inSync"
	statePending    state = "pending"
	stateFailed     state = "failed"
	stateConflicted state = "conflicted"
)

// share is what one namespace says of one baseline.
type share struct {
	Baseline   string
	UID        types.UID
	Generation int64
	State      state
	// Waiting: nothing is written yet, because the preflight has not passed.
	Waiting bool
	// Leaving: the namespace is not selected, and still holds policies of the baseline.
	Leaving  bool
	Desired  int32
	InSync   int32
	Problems []v1alpha1.Problem
	// Undone is what foreign policies undo here, or what the baseline cannot do without undoing theirs.
	Undone []v1alpha1.Problem
	// Notes say which components are not rendered, and why.
	Notes []policy.Note
	// Audit is what enforcing the baseline would change here; for baselines in audit mode.
	Audit audit
}

// audit counts the policies that enforcing would write.
type audit struct{ Create, Change, Remove int32 }

// repairs is what happened to a baseline's policies since its status was written last.
type repairs struct {
	count int64
	last  *v1alpha1.Repair
}

// outcomes is where the namespaces' outcomes meet the baselines' status. Nothing of it is lost by a restart: every
// namespace is looked at again.
type outcomes struct {
	mu          sync.Mutex
	byNamespace map[string][]share
	repairs     map[types.UID]repairs
	changed     func(baseline string)

	// passes counts the passes that began; running are those that have not ended, by namespace.
	passes  int64
	running map[string]int64
	// barriers are the counts at which baselines were first seen to be deleted.
	barriers map[types.UID]int64
}

// newOutcomes returns an empty store that calls changed, without blocking it, for every baseline whose status may
// have to change.
func newOutcomes(changed func(baseline string)) *outcomes {
	return &outcomes{
		byNamespace: map[string][]share{}, repairs: map[types.UID]repairs{}, changed: changed,
		running: map[string]int64{}, barriers: map[types.UID]int64{},
	}
}

// Begin notes that a pass over a namespace begins, and returns what notes its end.
func (o *outcomes) Begin(namespace string) func() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.passes++
	o.running[namespace] = o.passes
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.running, namespace)
	}
}

// Quiesced says whether every pass has ended that was running when it was first asked for this baseline: a pass that
// began before a deletion was seen may still write for it.
func (o *outcomes) Quiesced(baseline types.UID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	barrier, ok := o.barriers[baseline]
	if !ok {
		barrier = o.passes
		o.barriers[baseline] = barrier
	}
	for _, pass := range o.running {
		if pass <= barrier {
			return false
		}
	}
	return true
}

// Set replaces what a namespace says; no shares mean that the namespace is nobody's concern.
func (o *outcomes) Set(namespace string, shares []share) {
	o.mu.Lock()
	old := o.byNamespace[namespace]
	if len(shares) == 0 {
		delete(o.byNamespace, namespace)
	} else {
		o.byNamespace[namespace] = shares
	}
	o.mu.Unlock()
	if reflect.DeepEqual(old, shares) {
		return
	}
	told := map[string]bool{}
	for _, s := range slices.Concat(old, shares) {
		if !told[s.Baseline] {
			told[s.Baseline] = true
			o.changed(s.Baseline)
		}
	}
}

// Repaired counts a repair.
func (o *outcomes) Repaired(baseline *v1alpha1.NetworkBaseline, repair v1alpha1.Repair) {
	o.mu.Lock()
	o.repairs[baseline.UID] = repairs{o.repairs[baseline.UID].count + 1, &repair}
	o.mu.Unlock()
	o.changed(baseline.Name)
}

// Of returns the shares of a baseline by namespace, and its repairs that Wrote has not settled.
func (o *outcomes) Of(baseline types.UID) (map[string]share, repairs) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[string]share{}
	for namespace, shares := range o.byNamespace {
		for i := range shares {
			if shares[i].UID == baseline {
				out[namespace] = shares[i]
			}
		}
	}
	return out, o.repairs[baseline]
}

// Wrote settles repairs that a status now tells.
func (o *outcomes) Wrote(baseline types.UID, told repairs) {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := o.repairs[baseline]
	left.count -= told.count
	if left.count <= 0 {
		delete(o.repairs, baseline)
		return
	}
	o.repairs[baseline] = left
}

// Forget drops all that is known of a baseline that is gone.
func (o *outcomes) Forget(baseline types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.repairs, baseline)
	delete(o.barriers, baseline)
}
