// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// record is all that this process remembers of one namespace. What is written never comes from it: it comes from rendering
// alone.
type record struct {
	// woken is since when the namespace waits for a pass; zero when it does not.
	woken time.Time
	// running is the number of the pass that has not ended; 0 for none.
	running int64
	// expected are our own writes that the cache has not shown yet.
	expected *expectations
	// refused are the writes that the API server refused or altered, by Step.Rendered.
	refused map[string]refused
	budget  budget

	// What the last pass left: the policies that were ours, with their baselines; the baselines that were in force; what was
	// wanted since the namespace was last in sync; what was wanted last, nil before the first pass has ended; and which of it
	// was not in place.
	seen     map[types.UID]types.UID
	enforced map[types.UID]bool
	before   []*policy.Rendered
	last     *policy.Rendered
	missing  map[string]bool

	results []result.Result
}

// Records holds a record for each namespace. It is where results meet the baselines' status.
type Records struct {
	// changed is called, without the lock, for every baseline whose status may have to change.
	changed func(baseline string)
	now     func() time.Time

	mu          sync.Mutex
	byNamespace map[string]*record
	repairs     map[types.UID]result.Repairs
	// passes counts the passes that began, and barriers are the counts at which baselines were first seen to be deleted.
	passes   int64
	barriers map[types.UID]int64
	// began is when the first pass did. The queue of a standby fills long before it leads.
	began time.Time
}

var _ result.Source = &Records{}

// NewRecords returns no records. changed must not block.
func NewRecords(changed func(baseline string)) *Records {
	return &Records{
		changed: changed, now: time.Now,
		byNamespace: map[string]*record{}, repairs: map[types.UID]result.Repairs{}, barriers: map[types.UID]int64{},
	}
}

// of is the record of a namespace. The lock is held.
func (r *Records) of(namespace string) *record {
	rec := r.byNamespace[namespace]
	if rec == nil {
		rec = &record{refused: map[string]refused{}}
		r.byNamespace[namespace] = rec
	}
	return rec
}

// begin notes that a pass begins, and since when the namespace waited for it. wait is for how long it has to wait for its
// own writes instead: their events will wake it.
func (r *Records) begin(namespace string) (since time.Time, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.of(namespace)
	if wait = rec.waiting(r.now()); wait > 0 {
		return time.Time{}, wait
	}
	if r.began.IsZero() {
		r.began = r.now()
	}
	r.passes++
	rec.running = r.passes
	since, rec.woken = rec.woken, time.Time{}
	if !since.IsZero() && since.Before(r.began) {
		since = r.began
	}
	return since, 0
}

// end notes that a pass has ended.
func (r *Records) end(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.byNamespace[namespace]; rec != nil {
		rec.running = 0
	}
}

// Woken notes that namespaces wait for a pass. One that waits already goes on waiting.
func (r *Records) Woken(namespace string) { r.wokenAt(namespace, r.now()) }

func (r *Records) wokenAt(namespace string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.of(namespace); rec.woken.IsZero() {
		rec.woken = at
	}
}

// recall adds what is remembered to the state that a pass starts from.
func (r *Records) recall(s *policy.State, p *pass) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.of(s.Namespace.Name)
	s.Seen, s.Enforced, s.Before = rec.seen, rec.enforced, rec.before
	p.last, p.missing = rec.last, rec.missing
}

// remember notes how a pass ended. missing are the policies that are not in place.
func (r *Records) remember(namespace string, d *policy.Decision, missing map[string]bool, done bool, results []result.Result) {
	enforced := map[types.UID]bool{}
	for _, c := range d.Contributions {
		if c.Phase == policy.Enforcing {
			enforced[c.UID] = true
		}
	}
	r.mu.Lock()
	rec := r.of(namespace)
	old := rec.results
	rec.seen, rec.enforced, rec.before, rec.last, rec.missing, rec.results = d.Seen, enforced, d.Before, d.Wanted, missing, results
	if done {
		rec.before = []*policy.Rendered{d.Wanted}
	}
	r.mu.Unlock()
	r.tell(old, results)
}

// Forget drops all that is known of a namespace that is gone.
func (r *Records) forget(namespace string) {
	r.mu.Lock()
	var old []result.Result
	if rec := r.byNamespace[namespace]; rec != nil {
		old = rec.results
	}
	delete(r.byNamespace, namespace)
	r.mu.Unlock()
	r.tell(old, nil)
}

// tell wakes the baselines whose results changed.
func (r *Records) tell(old, now []result.Result) {
	if reflect.DeepEqual(old, now) {
		return
	}
	told := map[string]bool{}
	for _, s := range slices.Concat(old, now) {
		if !told[s.Baseline] {
			told[s.Baseline] = true
			r.changed(s.Baseline)
		}
	}
}

// repaired counts a repair.
func (r *Records) repaired(b *policy.Baseline, repair v1alpha1.Repair) {
	r.mu.Lock()
	r.repairs[b.UID] = result.Repairs{Count: r.repairs[b.UID].Count + 1, Last: &repair}
	r.mu.Unlock()
	r.changed(b.Name)
}

// Of implements result.Source.
func (r *Records) Of(baseline types.UID) (map[string]result.Result, result.Repairs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]result.Result{}
	for namespace, rec := range r.byNamespace {
		for i := range rec.results {
			if rec.results[i].UID == baseline {
				out[namespace] = rec.results[i]
			}
		}
	}
	return out, r.repairs[baseline]
}

// Wrote implements result.Source.
func (r *Records) Wrote(baseline types.UID, told result.Repairs) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.repairs[baseline]
	if left.Count -= told.Count; left.Count <= 0 {
		delete(r.repairs, baseline)
		return
	}
	r.repairs[baseline] = left
}

// Looked implements result.Source.
func (r *Records) Looked(namespace string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.byNamespace[namespace]
	return rec != nil && rec.last != nil
}

// Quiesced implements result.Source.
func (r *Records) Quiesced(baseline types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	barrier, ok := r.barriers[baseline]
	if !ok {
		barrier = r.passes
		r.barriers[baseline] = barrier
	}
	for _, rec := range r.byNamespace {
		if rec.running > 0 && rec.running <= barrier {
			return false
		}
	}
	return true
}

// Forget implements result.Source. Results of a baseline that is gone, whose finalizer somebody took off, go as well.
func (r *Records) Forget(baseline types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.repairs, baseline)
	delete(r.barriers, baseline)
	for _, rec := range r.byNamespace {
		rec.results = slices.DeleteFunc(slices.Clone(rec.results), func(x result.Result) bool { return x.UID == baseline })
		if rec.enforced[baseline] {
			rec.enforced = maps.Clone(rec.enforced) // a pass may be reading it
			delete(rec.enforced, baseline)
		}
	}
}
