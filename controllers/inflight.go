// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// inflightPatience is how long a namespace waits for its own writes to come back through the watch. It is reached
// only when the watch is broken; every write is guarded by UID and resourceVersion, so that acting then is safe.
const inflightPatience = 15 * time.Second

// inflight remembers our own writes until the cache has seen them, like the expectations of kube-controller-manager:
// whoever plans on a cache that lags behind its own writes would write them again.
type inflight struct {
	mu          sync.Mutex
	byNamespace map[string]*expected
	now         func() time.Time
}

// expected are a namespace's writes, until the cache has seen all of them.
type expected struct {
	// writing says that the pass which writes has not ended.
	writing bool
	// disturbed says that somebody else wrote meanwhile.
	disturbed bool
	byName    map[string]write
	// versions are all that we wrote, of policies written twice too.
	versions map[string]bool
}

// idle says that nothing more is to come.
func (e *expected) idle() bool {
	for _, w := range e.byName {
		if !w.seen {
			return false
		}
	}
	return !e.writing
}

type write struct {
	uid             types.UID
	resourceVersion string // empty for a delete
	at              time.Time
	seen            bool
}

// wake is what an event means for its namespace.
type wake int

const (
	// wakeIfChanged: it is somebody else's.
	wakeIfChanged wake = iota
	// wakeNot: it is ours, and more of ours is to come.
	wakeNot
	// wakeNow: our last write has come back, and meanwhile somebody else wrote.
	wakeNow
	// wakeLater: our last write has come back, and all is as we left it. To look once more can wait for whatever has not
	// been looked at yet.
	wakeLater
)

func newInflight() *inflight {
	return &inflight{byNamespace: map[string]*expected{}, now: time.Now}
}

// wrote notes a create or an update, and then looks whether the cache holds it already.
func (f *inflight) wrote(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	f.note(p.Namespace, p.Name, write{uid: p.UID, resourceVersion: p.ResourceVersion, at: f.now()})
	if c := cached(); c != nil {
		f.clear(c, false)
	}
}

// deleted notes a delete, and then looks whether the cache has dropped it already.
func (f *inflight) deleted(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	f.note(p.Namespace, p.Name, write{uid: p.UID, at: f.now()})
	if c := cached(); c == nil {
		f.clear(p, true)
	} else {
		f.clear(c, false)
	}
}

func (f *inflight) note(namespace, name string, w write) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.byNamespace[namespace]
	if e == nil {
		e = &expected{byName: map[string]write{}, versions: map[string]bool{}}
		f.byNamespace[namespace] = e
	}
	e.writing = true
	e.byName[name] = w
	e.versions[w.resourceVersion] = true
}

// seen notes that the cache holds a policy, or, when gone, that it holds it no more, and says what that means.
func (f *inflight) seen(p *networkingv1.NetworkPolicy, gone bool) wake {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.byNamespace[p.Namespace]
	if e == nil {
		return wakeIfChanged
	}
	own := e.own(p, gone)
	e.disturbed = e.disturbed || !own
	e.mark(p, gone)
	switch {
	case !e.idle() && own:
		return wakeNot
	case !e.idle():
		return wakeIfChanged
	case e.disturbed:
		delete(f.byNamespace, p.Namespace)
		return wakeNow
	default:
		delete(f.byNamespace, p.Namespace)
		return wakeLater
	}
}

// clear notes what the cache holds already when an answer comes. The event may be still to come.
func (f *inflight) clear(p *networkingv1.NetworkPolicy, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.byNamespace[p.Namespace]; e != nil {
		e.mark(p, gone)
	}
}

// mark notes that a cache which holds this has come as far as our write of the policy, if it has.
func (e *expected) mark(p *networkingv1.NetworkPolicy, gone bool) {
	if w, ok := e.byName[p.Name]; ok && w.caughtUp(p, gone) {
		w.seen = true
		e.byName[p.Name] = w
	}
}

// own says whether this is the event of a write of ours.
func (e *expected) own(p *networkingv1.NetworkPolicy, gone bool) bool {
	if gone {
		w, ok := e.byName[p.Name]
		return ok && w.resourceVersion == "" && w.uid == p.UID
	}
	return e.versions[p.ResourceVersion]
}

// caughtUp says whether a cache that holds this has come as far as the write.
func (w write) caughtUp(p *networkingv1.NetworkPolicy, gone bool) bool {
	if w.resourceVersion == "" {
		// A finalizer of somebody else may hold what we deleted for as long as it likes.
		return gone || p.UID != w.uid || p.DeletionTimestamp != nil
	}
	// A policy of another UID came after ours, or ours is not there yet; its resourceVersion tells which.
	return reached(p.ResourceVersion, w.resourceVersion) || gone && p.UID == w.uid
}

// wroteAll notes that a pass has ended, and says when the namespace is to be looked at again: soon when the cache has
// seen all its writes already, when patience ends otherwise, unless an event comes first; 0 when it wrote nothing.
func (f *inflight) wroteAll(namespace string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.byNamespace[namespace]
	if e == nil {
		return 0
	}
	e.writing = false
	if e.idle() {
		delete(f.byNamespace, namespace)
		return verifyDelay
	}
	return inflightPatience
}

// waiting says for how long the namespace has still to wait for its own writes; 0 for not at all.
func (f *inflight) waiting(namespace string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left time.Duration
	if e := f.byNamespace[namespace]; e != nil {
		for _, w := range e.byName {
			if !w.seen {
				left = max(left, inflightPatience-f.now().Sub(w.at))
			}
		}
	}
	if left == 0 {
		delete(f.byNamespace, namespace)
	}
	return left
}

// forget drops a namespace that is gone.
func (f *inflight) forget(namespace string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byNamespace, namespace)
}

// reached says whether version a is b or later. Kubernetes promises since 1.35 that versions of one resource are
// ordered numbers (KEP-5504); should one not be, we do not wait for it.
func reached(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || c >= 0
}
