// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// position is the position of a baseline's revisions, as "<current> <update>", with a "*" while the update is rolled out.
func position(s *v1alpha1.NetworkBaselineStatus) string {
	out := fmt.Sprintf("%s %s", dash(s.CurrentRevision), dash(s.UpdateRevision))
	if s.Rollout != nil {
		out += "*"
	}
	return out
}

func dash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

func statusAt(t *testing.T, position string) *v1alpha1.NetworkBaselineStatus {
	t.Helper()
	out := &v1alpha1.NetworkBaselineStatus{}
	if _, err := fmt.Sscanf(position, "%s %s", &out.CurrentRevision, &out.UpdateRevision); err != nil {
		t.Fatal(err)
	}
	if n := len(out.UpdateRevision); out.UpdateRevision[n-1] == '*' {
		out.UpdateRevision, out.Rollout = out.UpdateRevision[:n-1], &v1alpha1.RolloutStatus{Share: 100}
	}
	for _, name := range []*string{&out.CurrentRevision, &out.UpdateRevision} {
		if *name == "-" {
			*name = ""
		}
	}
	return out
}

// TestAdvance is the state machine of revisions as a table: where they are, what the spec is now, and where they are then.
func TestAdvance(t *testing.T) {
	const admits, done = true, true
	for _, tc := range []struct {
		name, from, update string
		admit, done        bool
		want               string
		inForce            bool // whether the revision of the spec is in force then
	}{
		{"new, and not admitted", "- -", "r1", !admits, !done, "- r1", false},
		{"still not admitted", "- r1", "r1", !admits, done, "- r1", false},
		{"new, and admitted at once", "- -", "r1", admits, done, "- r1*", true},
		{"admitted", "- r1", "r1", admits, !done, "- r1*", true},
		{"admitted, and not everywhere", "- r1*", "r1", admits, !done, "- r1*", true},
		{"admitted, and everywhere", "- r1*", "r1", admits, done, "r1 r1", true},
		{"the preflight fails while it is rolled out", "- r1*", "r1", !admits, !done, "- r1*", true},
		{"the preflight fails, and it is everywhere", "- r1*", "r1", !admits, done, "r1 r1", true},
		{"the preflight fails later", "r1 r1", "r1", !admits, done, "r1 r1", true},
		{"the preflight fails later, and a namespace is not in sync", "r1 r1", "r1", !admits, !done, "r1 r1", true},
		{"in force", "r1 r1", "r1", admits, done, "r1 r1", true},
		{"another before the first was admitted", "- r1", "r2", !admits, done, "- r2", false},
		{"another, admitted at once", "- r1", "r2", admits, done, "- r2*", true},
		{"a new one, and not admitted", "r1 r1", "r2", !admits, done, "r1 r2", false},
		{"a new one, admitted", "r1 r2", "r2", admits, done, "r1 r2*", true},
		{"a new one, everywhere", "r1 r2*", "r2", admits, done, "r2 r2", true},
		{"yet another, while one waits", "r1 r2", "r3", !admits, done, "r1 r3", false},
		{"yet another, while one is rolled out: that one holds", "r1 r2*", "r3", !admits, !done, "r2 r3", false},
		{"yet another, admitted, while one is rolled out", "r1 r2*", "r3", admits, !done, "r2 r3*", true},
		{"yet another, while the first is rolled out", "- r1*", "r2", !admits, !done, "r1 r2", false},
		{"reverted while the new one waits", "r1 r2", "r1", !admits, done, "r1 r1", true},
		{"reverted while the new one is rolled out: it needs no admission", "r1 r2*", "r1", !admits, !done, "r1 r1", true},
	} {
		status := statusAt(t, tc.from)
		advance(status, tc.update, tc.admit, tc.done)
		if got := position(status); got != tc.want {
			t.Errorf("%s: from %q to %q, want %q", tc.name, tc.from, got, tc.want)
		}
		if got := admitted(status, tc.update); got != tc.inForce {
			t.Errorf("%s: at %q, is the spec in force? %t, want %t", tc.name, tc.want, got, tc.inForce)
		}
		if status.Rollout != nil && status.Rollout.Share != 100 {
			t.Errorf("%s: a rollout that has reached %d%%", tc.name, status.Rollout.Share)
		}
	}
}

// inForce is the revision that namespaces hold by a status.
func inForce(s *v1alpha1.NetworkBaselineStatus) string {
	if s.Rollout != nil {
		return s.UpdateRevision
	}
	return s.CurrentRevision
}

// Whatever happens: only what was admitted is in force, something is from the first admission on, and nothing changes while
// nothing happens.
func TestAdvanceNeverLetsGo(t *testing.T) {
	revisions := []string{"r1", "r2", "r3"}
	type state struct{ position, admitted string }
	seen := map[state]bool{}
	var visit func(at state, depth int)
	visit = func(at state, depth int) {
		if depth == 0 {
			return
		}
		for _, update := range revisions {
			for i := range 4 {
				admit, done := i&1 != 0, i&2 != 0
				status := statusAt(t, at.position)
				before := inForce(status)
				advance(status, update, admit, done)
				after := inForce(status)
				next := state{position(status), at.admitted}
				if admit {
					next.admitted += update
				}
				switch {
				case before != "" && after == "":
					t.Fatalf("%+v, %s: %s is let go", at, update, before)
				case after != before && after != update:
					t.Fatalf("%+v, %s: %s comes into force instead of %s", at, update, after, before)
				case after != before && !admit && update != statusAt(t, at.position).CurrentRevision:
					t.Fatalf("%+v, %s: %s comes into force without an admission", at, update, after)
				case admit && after != update:
					t.Fatalf("%+v, %s: it is admitted, and %s is in force", at, update, after)
				}
				again := status.DeepCopy()
				advance(again, update, false, false)
				if position(again) != position(status) {
					t.Fatalf("%+v, %s: %s becomes %s by itself", at, update, position(status), position(again))
				}
				if !seen[next] {
					seen[next] = true
					visit(next, depth-1)
				}
			}
		}
	}
	visit(state{position: "- -"}, 5)
}

func TestPassed(t *testing.T) {
	missing := []finding{{"NotFound", "allow-dns: no"}}
	for _, tc := range []struct {
		name      string
		check     check
		preflight v1alpha1.PreflightPolicy
		want      bool
	}{
		{"passed", check{revision: "r1"}, "Require", true},
		{"passed for another revision", check{revision: "r0"}, "Require", false},
		{"something is missing", check{revision: "r1", findings: missing}, "Require", false},
		{"it could not be made", check{revision: "r1", err: errors.New("forbidden")}, "Require", false},
		{"Require is the default", check{revision: "r1", findings: missing}, "", false},
		{"something is missing, and that is only said", check{revision: "r1", findings: missing}, "Warn", true},
		{"it could not be made, and that is only said", check{revision: "r1", err: errors.New("forbidden")}, "Warn", true},
	} {
		if got := tc.check.passed("r1", tc.preflight); got != tc.want {
			t.Errorf("%s: %t, want %t", tc.name, got, tc.want)
		}
	}
}

// A status that was true before a restart stays, for a while, until all namespaces were looked at again; one that tells of a
// rollout goes on telling.
func TestHold(t *testing.T) {
	at := func(generation int64) v1alpha1.NetworkBaselineStatus {
		return v1alpha1.NetworkBaselineStatus{ObservedGeneration: generation, CurrentRevision: "r1", UpdateRevision: "r1"}
	}
	rollout := at(5)
	rollout.Rollout = &v1alpha1.RolloutStatus{Share: 100}
	for _, tc := range []struct {
		name     string
		status   v1alpha1.NetworkBaselineStatus
		starting bool
		after    time.Duration
		want     bool
	}{
		{"all looked at", at(5), false, 0, false},
		{"some not yet", at(5), true, 0, true},
		{"some not yet, for long", at(5), true, 29 * time.Second, true},
		{"some not yet, for too long", at(5), true, 30 * time.Second, false},
		{"the spec changed", at(4), true, 0, false},
		{"never written", at(-1), true, 0, false},
		{"a rollout", rollout, true, 0, false},
	} {
		now := noon
		r := &Reconciler{now: func() time.Time { return now }, states: map[types.UID]*state{}}
		b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{UID: "u", Generation: 5}, Status: tc.status}
		r.hold(b, &view{starting: tc.starting})
		now = now.Add(tc.after)
		if got := r.hold(b, &view{starting: tc.starting}); got != tc.want {
			t.Errorf("%s: %t, want %t", tc.name, got, tc.want)
		}
	}
}

// Each start of the wait is its own: once all was looked at, the next is a new one.
func TestHoldBeginsAgain(t *testing.T) {
	now := noon
	r := &Reconciler{now: func() time.Time { return now }, states: map[types.UID]*state{}}
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{UID: "u", Generation: 5}}
	b.Status.ObservedGeneration = 5
	r.hold(b, &view{starting: true})
	now = now.Add(time.Minute)
	r.hold(b, &view{})
	if !r.hold(b, &view{starting: true}) {
		t.Error("the time of the last wait counts")
	}
	other := b.DeepCopy()
	other.UID = "other"
	now = now.Add(20 * time.Second)
	if !r.hold(other, &view{starting: true}) || !r.hold(b, &view{starting: true}) {
		t.Error("two baselines share a wait")
	}
}

func TestDue(t *testing.T) {
	r := &Reconciler{now: func() time.Time { return noon }}
	b, going := &v1alpha1.NetworkBaseline{}, &v1alpha1.NetworkBaseline{}
	going.DeletionTimestamp = &metav1.Time{Time: noon}
	for _, tc := range []struct {
		name string
		b    *v1alpha1.NetworkBaseline
		v    view
		want time.Duration
	}{
		{"no preflight could be made", b, view{}, 5 * time.Second},
		{"the next preflight", b, view{check: &check{again: noon.Add(time.Minute)}}, time.Minute},
		{"it is overdue", b, view{check: &check{again: noon.Add(-time.Minute)}}, time.Millisecond},
		{"being deleted", going, view{}, time.Second},
	} {
		if got := r.due(tc.b, &tc.v); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}
