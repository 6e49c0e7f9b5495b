// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	// checkSoon is how long to wait before the next preflight while something is missing, checkLater when not.
	checkSoon  = 5 * time.Second
	checkLater = 10 * time.Minute
)

// wholeShare is the position of a rollout that has reached every namespace.
const wholeShare = 100

// advance is the state machine of a baseline's revisions. update is the revision of the spec; admit says that it may be
// enforced, done that it is in force in every namespace. Everything that it goes by is in the status, so no restart forgets.
func advance(status *v1alpha1.NetworkBaselineStatus, update string, admit, done bool) {
	if status.UpdateRevision != update {
		if status.Rollout != nil && update != status.CurrentRevision {
			// It was rolled out to every namespace: it is what holds until the next one is admitted.
			status.CurrentRevision = status.UpdateRevision
		}
		status.UpdateRevision, status.Rollout = update, nil
	}
	if status.CurrentRevision == update {
		status.Rollout = nil
		return
	}
	if status.Rollout == nil && admit {
		status.Rollout = &v1alpha1.RolloutStatus{Share: wholeShare}
		return
	}
	if status.Rollout != nil && done {
		status.CurrentRevision, status.Rollout = update, nil
	}
}

// upgrade is for a status of a version that knew no revisions: what it calls ready is in force, and stays.
func upgrade(b *v1alpha1.NetworkBaseline, status *v1alpha1.NetworkBaselineStatus, update string) {
	known := b.Status.CurrentRevision != "" || b.Status.UpdateRevision != ""
	if !known && b.Status.ObservedGeneration == b.Generation && meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionReady) {
		status.CurrentRevision, status.UpdateRevision = update, update
	}
}

// admitted reports whether the revision of the spec is in force, or being rolled out.
func admitted(status *v1alpha1.NetworkBaselineStatus, update string) bool {
	return status.UpdateRevision == update && (status.Rollout != nil || status.CurrentRevision == update)
}

// check is a preflight.
type check struct {
	revision string
	facts    int64 // the version that it went by
	findings []finding
	err      error // why it could not be made
	again    time.Time
}

// passed reports whether the check admits a revision under a policy.
func (c *check) passed(revision string, preflight v1alpha1.PreflightPolicy) bool {
	if preflight == v1alpha1.PreflightWarn {
		return true
	}
	return c.revision == revision && c.err == nil && len(c.findings) == 0
}

// check makes the preflight of the spec's revision when it is due. One that fails later takes nothing away: see advance.
func (r *Reconciler) check(ctx context.Context, b *v1alpha1.NetworkBaseline, revision string) *check {
	found, version := r.facts.Current(ctx)
	last := r.state(b.UID).check
	if last != nil && last.revision == revision && last.facts == version && r.now().Before(last.again) {
		return last
	}
	c := &check{revision: revision, facts: version}
	c.findings, c.err = r.preflight.run(ctx, &b.Spec.Profile, found)
	c.again = r.now().Add(checkLater)
	if c.err != nil || len(c.findings) > 0 {
		c.again = r.now().Add(checkSoon)
	}
	r.state(b.UID).check = c
	return c
}

// state is what the one worker of this controller remembers of a baseline.
type state struct {
	check *check
	// written and held are when the status was written last, and since when it is held back.
	written, held time.Time
}

func (r *Reconciler) state(uid types.UID) *state {
	s := r.states[uid]
	if s == nil {
		s = &state{}
		r.states[uid] = s
	}
	return s
}
