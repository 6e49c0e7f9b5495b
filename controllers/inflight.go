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

// expected are a namespace's writes that the cache has not seen.
type expected struct {
	// writing says that the pass which writes has not ended.
	writing bool
	byName  map[string]write
}

type write struct {
	uid             types.UID
	resourceVersion string // empty for a delete
	at              time.Time
}

func newInflight() *inflight {
	return &inflight{byNamespace: map[string]*expected{}, now: time.Now}
}

// wrote notes a create or an update, and then looks whether the cache holds it already.
func (f *inflight) wrote(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	f.note(p.Namespace, p.Name, write{p.UID, p.ResourceVersion, f.now()})
	if c := cached(); c != nil {
		f.clear(c, false)
	}
}

// deleted notes a delete, and then looks whether the cache has dropped it already.
func (f *inflight) deleted(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	f.note(p.Namespace, p.Name, write{p.UID, "", f.now()})
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
		e = &expected{byName: map[string]write{}}
		f.byNamespace[namespace] = e
	}
	e.writing = true
	e.byName[name] = w
}

// seen clears what the cache has caught up with; gone says that the policy was deleted. It returns whether the
// namespace is busy: the pass that writes, or the event of its last write, will wake it. The event that ends this
// returns last.
func (f *inflight) seen(p *networkingv1.NetworkPolicy, gone bool) (busy, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byNamespace[p.Namespace] == nil {
		return false, false
	}
	f.clearLocked(p, gone)
	busy = f.byNamespace[p.Namespace] != nil
	return busy, !busy
}

func (f *inflight) clear(p *networkingv1.NetworkPolicy, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clearLocked(p, gone)
}

func (f *inflight) clearLocked(p *networkingv1.NetworkPolicy, gone bool) {
	e := f.byNamespace[p.Namespace]
	if e == nil {
		return
	}
	w, ok := e.byName[p.Name]
	if !ok {
		return
	}
	var caughtUp bool
	if w.resourceVersion == "" {
		// A finalizer of somebody else may hold what we deleted for as long as it likes.
		caughtUp = gone || p.UID != w.uid || p.DeletionTimestamp != nil
	} else {
		// A policy of another UID came after ours, or ours is not there yet; its resourceVersion tells which.
		caughtUp = reached(p.ResourceVersion, w.resourceVersion) || gone && p.UID == w.uid
	}
	if caughtUp {
		delete(e.byName, p.Name)
		f.dropIdle(p.Namespace)
	}
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
	if f.dropIdle(namespace) {
		return time.Millisecond
	}
	return inflightPatience
}

// dropIdle forgets a namespace that waits for nothing.
func (f *inflight) dropIdle(namespace string) bool {
	e := f.byNamespace[namespace]
	idle := !e.writing && len(e.byName) == 0
	if idle {
		delete(f.byNamespace, namespace)
	}
	return idle
}

// waiting says for how long the namespace has still to wait for its own writes; 0 for not at all.
func (f *inflight) waiting(namespace string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left time.Duration
	if e := f.byNamespace[namespace]; e != nil {
		for _, w := range e.byName {
			left = max(left, inflightPatience-f.now().Sub(w.at))
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
