// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// expectationsTimeout is how long a namespace waits for its own writes to come back through the watch. It is reached only
// when the watch is broken; every write is guarded by UID and resourceVersion, so that acting then is safe.
const expectationsTimeout = 15 * time.Second

// VerifyDelay puts the pass that follows our own writes behind those that wait already, and tells it from an event.
const VerifyDelay = time.Millisecond

// expectations are a namespace's writes until the cache has seen all of them, like those of kube-controller-manager: a plan
// made on a cache that lags behind them would write them again.
type expectations struct {
	// writing: the pass which writes has not ended.
	writing bool
	// disturbed: somebody else wrote meanwhile.
	disturbed bool
	byName    map[string]written
	// versions are all that we wrote, of policies written twice too.
	versions map[string]bool
}

type written struct {
	uid             types.UID
	resourceVersion string // empty for a delete
	at              time.Time
	seen            bool
}

// Wake is what an event means for its namespace.
type Wake int

const (
	// WakeIfChanged says that the event is somebody else's.
	WakeIfChanged Wake = iota
	// WakeNot says that it is ours, and more of ours is to come.
	WakeNot
	// WakeNow says that our last write has come back, and meanwhile somebody else wrote.
	WakeNow
	// WakeLater says that our last write has come back, and all is as we left it. The next pass can wait for all others.
	WakeLater
)

// wrote notes a create or an update, and then whether the cache holds it already.
func (r *Records) wrote(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	r.expect(p.Namespace, p.Name, written{uid: p.UID, resourceVersion: p.ResourceVersion, at: r.now()})
	if c := cached(); c != nil {
		r.caughtUp(c, false)
	}
}

// deleted notes a delete, and then whether the cache has dropped it already.
func (r *Records) deleted(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	r.expect(p.Namespace, p.Name, written{uid: p.UID, at: r.now()})
	if c := cached(); c == nil {
		r.caughtUp(p, true)
	} else {
		r.caughtUp(c, false)
	}
}

func (r *Records) expect(namespace, name string, w written) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.of(namespace)
	if rec.expected == nil {
		rec.expected = &expectations{byName: map[string]written{}, versions: map[string]bool{}}
	}
	rec.expected.writing = true
	rec.expected.byName[name] = w
	rec.expected.versions[w.resourceVersion] = true
}

// Observed notes that the cache holds a policy, or, when gone, that it holds it no more, and says what that means.
func (r *Records) Observed(p *networkingv1.NetworkPolicy, gone bool) Wake {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.byNamespace[p.Namespace]
	if rec == nil || rec.expected == nil {
		return WakeIfChanged
	}
	e := rec.expected
	own := e.own(p, gone)
	e.disturbed = e.disturbed || !own
	e.mark(p, gone)
	switch {
	case !e.idle() && own:
		return WakeNot
	case !e.idle():
		return WakeIfChanged
	}
	rec.expected = nil
	if e.disturbed {
		return WakeNow
	}
	return WakeLater
}

// caughtUp notes what the cache holds already when an answer comes. The event may be still to come.
func (r *Records) caughtUp(p *networkingv1.NetworkPolicy, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.byNamespace[p.Namespace]; rec != nil && rec.expected != nil {
		rec.expected.mark(p, gone)
	}
}

// wroteAll notes that a pass writes no more, and says when the next is due: soon when the cache has seen all its writes
// already, when patience ends otherwise, unless an event comes first; 0 when it wrote nothing.
func (r *Records) wroteAll(namespace string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.byNamespace[namespace]
	if rec == nil || rec.expected == nil {
		return 0
	}
	rec.expected.writing = false
	if rec.expected.idle() {
		rec.expected = nil
		return VerifyDelay
	}
	return expectationsTimeout
}

// waiting is for how long the namespace has still to wait for its own writes; 0 for not at all.
func (rec *record) waiting(now time.Time) time.Duration {
	var left time.Duration
	if rec.expected != nil {
		for _, w := range rec.expected.byName {
			if !w.seen {
				left = max(left, expectationsTimeout-now.Sub(w.at))
			}
		}
	}
	if left == 0 {
		rec.expected = nil
	}
	return left
}

// idle reports whether nothing more is to come.
func (e *expectations) idle() bool {
	for _, w := range e.byName {
		if !w.seen {
			return false
		}
	}
	return !e.writing
}

// mark notes that a cache which holds this has come as far as our write of the policy, if it has.
func (e *expectations) mark(p *networkingv1.NetworkPolicy, gone bool) {
	if w, ok := e.byName[p.Name]; ok && w.caughtUp(p, gone) {
		w.seen = true
		e.byName[p.Name] = w
	}
}

// own says whether this is the event of a write of ours.
func (e *expectations) own(p *networkingv1.NetworkPolicy, gone bool) bool {
	if gone {
		w, ok := e.byName[p.Name]
		return ok && w.resourceVersion == "" && w.uid == p.UID
	}
	return e.versions[p.ResourceVersion]
}

// caughtUp says whether a cache that holds this has come as far as the write.
func (w written) caughtUp(p *networkingv1.NetworkPolicy, gone bool) bool {
	if w.resourceVersion == "" {
		// A finalizer of somebody else may hold what we deleted for as long as it likes.
		return gone || p.UID != w.uid || p.DeletionTimestamp != nil
	}
	// A policy of another UID came after ours, or ours is not there yet; its resourceVersion tells which.
	return reached(p.ResourceVersion, w.resourceVersion) || gone && p.UID == w.uid
}

// reached says whether version a is b or later. Kubernetes promises since 1.35 that versions of one resource are
// ordered numbers (KEP-5504); should one not be, we do not wait for it.
func reached(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || c >= 0
}
