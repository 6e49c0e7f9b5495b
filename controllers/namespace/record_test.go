// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// A namespace waits since the first event after its last pass, but not since before there was a leader.
func TestSince(t *testing.T) {
	start := time.Unix(1000, 0)
	now := start
	r := newRecords()
	r.now = func() time.Time { return now }
	at := func(after time.Duration) { now = start.Add(after) }
	expect := func(what, namespace string, want time.Duration) {
		t.Helper()
		since, _ := r.begin(namespace)
		r.end(namespace)
		if want < 0 && since.IsZero() || want >= 0 && since.Equal(start.Add(want)) {
			return
		}
		t.Errorf("%s: since %s, want %s after the start", what, since, want)
	}
	r.Woken("early")
	at(time.Hour)
	expect("what waited for a leader waits since there is one", "early", time.Hour)
	at(2 * time.Hour)
	r.Woken("a")
	r.Woken("b")
	at(3 * time.Hour)
	r.Woken("a")
	expect("the first event counts", "a", 2*time.Hour)
	expect("it is taken once", "a", -1)
	began, _ := r.begin("b")
	r.Woken("b")
	at(4 * time.Hour)
	r.wokenAt("b", began)
	expect("an event during a pass that failed", "b", 3*time.Hour)
	r.wokenAt("c", time.Time{})
	expect("what nothing woke is not timed", "c", -1)
}

// Every pass has ended that was running when it was first asked; what begins later does not count.
func TestQuiesced(t *testing.T) {
	r := newRecords()
	r.begin("blog")
	r.begin("shop")
	r.end("blog")
	if r.Quiesced("a") {
		t.Error("a pass is running that began before")
	}
	r.begin("blog")
	r.begin("lab")
	if r.Quiesced("a") {
		t.Error("the pass is still running")
	}
	r.end("shop")
	if !r.Quiesced("a") {
		t.Error("only passes are running that began later, and saw the deletion")
	}
	if r.Quiesced("b") {
		t.Error("of another baseline, asked for the first time, they are earlier ones")
	}
	r.end("blog")
	r.begin("shop")
	r.end("lab")
	if !r.Quiesced("b") {
		t.Error("only a later pass is running")
	}
	r.Forget("a")
	if r.Quiesced("a") {
		t.Error("a baseline that was forgotten is asked for the first time")
	}
	r.begin("gone")
	r.forget("gone")
	r.end("gone")
	r.end("shop")
	if !r.Quiesced("a") {
		t.Error("a namespace that is gone holds up a deletion")
	}
}

// A pass that has to wait for its own writes is no pass.
func TestWaitingIsNoPass(t *testing.T) {
	r := newRecords()
	r.Woken("shop")
	r.wrote(versioned("a", "5"), inCache(nil))
	if _, wait := r.begin("shop"); wait <= 0 {
		t.Fatal("it does not wait")
	}
	if !r.Quiesced("a") {
		t.Error("a namespace that waits is taken for one with a pass")
	}
	r.Observed(versioned("a", "5"), false)
	r.wroteAll("shop")
	if since, wait := r.begin("shop"); wait != 0 || since.IsZero() {
		t.Errorf("after the wait: since %s, wait %s; want that the event counts still", since, wait)
	}
}

// Baselines are woken when what a namespace says of them has changed, and only then.
func TestChanged(t *testing.T) {
	var changed []string
	r := NewRecords(func(baseline string) { changed = append(changed, baseline) })
	in := func(baseline string, inSync int32) result.Result {
		return result.Result{Baseline: baseline, UID: types.UID("uid-" + baseline), Told: policy.Told{InSync: inSync}}
	}
	remember := func(results ...result.Result) func() {
		return func() { r.remember("shop", &policy.Decision{Wanted: &policy.Rendered{}}, nil, true, results) }
	}
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"nothing of nobody", remember(), nil},
		{"the first results", remember(in("a", 1), in("b", 1)), []string{"a", "b"}},
		{"the same", remember(in("a", 1), in("b", 1)), nil},
		{"one is gone", remember(in("a", 1)), []string{"a", "b"}},
		{"another", remember(in("a", 2)), []string{"a"}},
		{"a repair", func() {
			r.repaired(&policy.Baseline{Name: "b", UID: "uid-b"}, v1alpha1.Repair{Policy: "b-deny"})
		}, []string{"b"}},
		{"another namespace is gone", func() { r.forget("blog") }, nil},
		{"the namespace is gone", func() { r.forget("shop") }, []string{"a"}},
	} {
		changed = nil
		step.do()
		slices.Sort(changed)
		if !slices.Equal(changed, step.want) {
			t.Errorf("%s: woke %v, want %v", step.name, changed, step.want)
		}
	}
	if len(r.byNamespace) != 0 {
		t.Errorf("records of namespaces that are gone are kept: %v", r.byNamespace)
	}
}

// Repairs are counted until a status tells them; those that happen meanwhile stay.
func TestRepairsUntilTold(t *testing.T) {
	r := newRecords()
	a := &policy.Baseline{Name: "a", UID: "uid-a"}
	r.repaired(a, v1alpha1.Repair{Policy: "first"})
	r.repaired(a, v1alpha1.Repair{Policy: "second"})
	_, told := r.Of("uid-a")
	if told.Count != 2 || told.Last.Policy != "second" {
		t.Errorf("%d repairs, the last of %s; want 2, of second", told.Count, told.Last.Policy)
	}
	r.repaired(a, v1alpha1.Repair{Policy: "third"})
	r.Wrote("uid-a", told)
	_, left := r.Of("uid-a")
	if left.Count != 1 || left.Last.Policy != "third" {
		t.Errorf("%d repairs are left, want the one that happened meanwhile", left.Count)
	}
	r.Wrote("uid-a", left)
	if _, left = r.Of("uid-a"); left.Count != 0 || left.Last != nil || len(r.repairs) != 0 {
		t.Errorf("told repairs are kept: %+v", left)
	}
}

// Nothing of a baseline that is gone is kept, and nothing of another one is lost.
func TestForget(t *testing.T) {
	w := newWorld(inForce(t, "a", denyAndDNS), inForce(t, "b", denyAndDNS))
	r := w.reconciler.records
	if r.Looked("shop") {
		t.Error("the namespace was not looked at yet")
	}
	w.pass(nil)
	if !r.Looked("shop") || r.Looked("blog") {
		t.Error("only shop was looked at")
	}
	delete(w.live, "a-allow-dns")
	w.pass(nil)
	before := r.byNamespace["shop"].enforced
	r.Forget("uid-a")
	if results, repairs := r.Of("uid-a"); len(results)+int(repairs.Count) != 0 {
		t.Errorf("%v and %v are kept of a baseline that is gone", results, repairs)
	}
	if results, _ := r.Of("uid-b"); len(results) != 1 {
		t.Errorf("of another baseline there are %v", results)
	}
	if rec := r.byNamespace["shop"]; rec.enforced["uid-a"] || !rec.enforced["uid-b"] {
		t.Errorf("in force is said to be %v", rec.enforced)
	}
	if !before["uid-a"] {
		t.Error("what a pass may be reading was changed")
	}
	if len(r.barriers) != 0 {
		t.Errorf("barriers are kept: %v", r.barriers)
	}
}
