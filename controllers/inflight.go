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
	byNamespace map[string]map[string]write
	now         func() time.Time
}

type write struct {
	uid             types.UID
	resourceVersion string // empty for a delete
	at              time.Time
}

func newInflight() *inflight {
	return &inflight{byNamespace: map[string]map[string]write{}, now: time.Now}
}

// wrote notes a create or an update, and then looks whether the cache holds it already.
func (f *inflight) wrote(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	f.note(p.Namespace, p.Name, write{p.UID, p.ResourceVersion, f.now()})
	if c := cached(); c != nil {
		f.seen(c, false)
	}
}

// deleted notes a delete, and then looks whether the cache has dropped it already.
func (f *inflight) deleted(p *networkingv1.NetworkPolicy, cached func() *networkingv1.NetworkPolicy) {
	f.note(p.Namespace, p.Name, write{p.UID, "", f.now()})
	if c := cached(); c == nil {
		f.seen(p, true)
	} else {
		f.seen(c, false)
	}
}

func (f *inflight) note(namespace, name string, w write) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byNamespace[namespace] == nil {
		f.byNamespace[namespace] = map[string]write{}
	}
	f.byNamespace[namespace][name] = w
}

// seen clears what the cache has caught up with. gone says that the policy was deleted.
func (f *inflight) seen(p *networkingv1.NetworkPolicy, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, ok := f.byNamespace[p.Namespace][p.Name]
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
		delete(f.byNamespace[p.Namespace], p.Name)
		if len(f.byNamespace[p.Namespace]) == 0 {
			delete(f.byNamespace, p.Namespace)
		}
	}
}

// waiting says for how long the namespace has still to wait for its own writes; 0 for not at all.
func (f *inflight) waiting(namespace string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left time.Duration
	for _, w := range f.byNamespace[namespace] {
		left = max(left, inflightPatience-f.now().Sub(w.at))
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
