// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func versioned(uid, resourceVersion string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "deny", UID: types.UID(uid), ResourceVersion: resourceVersion,
	}}
}

func beingDeleted(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	return p
}

// inCache is what the cache holds at the time of a write.
func inCache(p *networkingv1.NetworkPolicy) func() *networkingv1.NetworkPolicy {
	return func() *networkingv1.NetworkPolicy { return p }
}

func TestInflight(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*inflight)
		want bool // waits
	}{
		{"nothing written", func(*inflight) {}, false},
		{"created, the cache behind", func(f *inflight) { f.wrote(versioned("a", "5"), inCache(nil)) }, true},
		{"created, the cache there already", func(f *inflight) { f.wrote(versioned("a", "5"), inCache(versioned("a", "5"))) }, false},
		{"created, then seen", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.seen(versioned("a", "5"), false)
		}, false},
		{"updated, the cache at the version before", func(f *inflight) { f.wrote(versioned("a", "10"), inCache(versioned("a", "9"))) }, true},
		{"updated, an older version seen", func(f *inflight) {
			f.wrote(versioned("a", "10"), inCache(versioned("a", "8")))
			f.seen(versioned("a", "9"), false)
		}, true},
		{"updated, a later version seen: somebody wrote after us", func(f *inflight) {
			f.wrote(versioned("a", "9"), inCache(versioned("a", "8")))
			f.seen(versioned("a", "10"), false)
		}, false},
		{"written twice, only the first seen", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wrote(versioned("a", "6"), inCache(versioned("a", "5")))
			f.seen(versioned("a", "5"), false)
		}, true},
		{"created, and deleted by somebody", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.seen(versioned("a", "6"), true)
		}, false},
		{"created, the delete of one before it seen", func(f *inflight) {
			f.wrote(versioned("b", "5"), inCache(versioned("a", "3")))
			f.seen(versioned("a", "4"), true)
		}, true},
		{"deleted, the cache behind", func(f *inflight) { f.deleted(versioned("a", "5"), inCache(versioned("a", "5"))) }, true},
		{"deleted, the cache there already", func(f *inflight) { f.deleted(versioned("a", "5"), inCache(nil)) }, false},
		{"deleted, another in its place already", func(f *inflight) { f.deleted(versioned("a", "5"), inCache(versioned("b", "7"))) }, false},
		{"deleted, then seen", func(f *inflight) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.seen(versioned("a", "6"), true)
		}, false},
		{"deleted, another in its place seen", func(f *inflight) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.seen(versioned("b", "7"), false)
		}, false},
		{"deleted, an older change seen", func(f *inflight) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "4")))
			f.seen(versioned("a", "5"), false)
		}, true},
		{"deleted, and held by a finalizer: it will not go soon", func(f *inflight) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.seen(beingDeleted(versioned("a", "6")), false)
		}, false},
		{"deleted, and seen held before the answer came", func(f *inflight) {
			f.deleted(versioned("a", "5"), inCache(beingDeleted(versioned("a", "6"))))
		}, false},
		{"a policy of another name seen", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			other := versioned("a", "5")
			other.Name = "other"
			f.seen(other, false)
		}, true},
		{"the namespace is gone", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.forget("shop")
		}, false},
		{"a version that is no number", func(f *inflight) {
			f.wrote(versioned("a", "x"), inCache(nil))
			f.seen(versioned("a", "y"), false)
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newInflight()
			test.do(f)
			if got := f.waiting("shop") > 0; got != test.want {
				t.Errorf("waits: %t, want %t", got, test.want)
			}
			if f.waiting("blog") != 0 {
				t.Error("another namespace waits")
			}
		})
	}
}

func TestInflightLosesPatience(t *testing.T) {
	now := time.Unix(1000, 0)
	f := newInflight()
	f.now = func() time.Time { return now }
	f.wrote(versioned("a", "5"), inCache(nil))
	now = now.Add(5 * time.Second)
	if got := f.waiting("shop"); got != 10*time.Second {
		t.Errorf("after 5 s it waits for %s, want 10 s", got)
	}
	now = now.Add(10 * time.Second)
	if got := f.waiting("shop"); got != 0 {
		t.Errorf("after 15 s it waits for %s", got)
	}
	if len(f.byNamespace) != 0 {
		t.Error("what is not waited for any more is kept")
	}
}

func TestInflightForgetsWhatItHasSeen(t *testing.T) {
	f := newInflight()
	f.wrote(versioned("a", "5"), inCache(nil))
	f.wroteAll("shop")
	f.seen(versioned("a", "5"), false)
	if len(f.byNamespace) != 0 {
		t.Error("it grows with every namespace ever written to")
	}
}

func TestInflightSaysWhenToLookAgain(t *testing.T) {
	f := newInflight()
	if got := f.wroteAll("shop"); got != 0 {
		t.Errorf("nothing was written, and it wants to look again after %s", got)
	}
	f.wrote(versioned("a", "5"), inCache(nil))
	if got := f.wroteAll("shop"); got != inflightPatience {
		t.Errorf("the event is to come, and it wants to look again after %s", got)
	}
	f = newInflight()
	f.wrote(versioned("a", "6"), inCache(nil))
	f.seen(versioned("a", "6"), false)
	if got := f.wroteAll("shop"); got <= 0 || got >= staleDelay {
		t.Errorf("all events came, and it wants to look again after %s, want soon", got)
	}
}

func TestInflightWakes(t *testing.T) {
	other := func(resourceVersion string) *networkingv1.NetworkPolicy {
		p := versioned("b", resourceVersion)
		p.Name = "other"
		return p
	}
	for _, test := range []struct {
		name string
		do   func(*inflight)
		// event, and whether it is a delete
		event *networkingv1.NetworkPolicy
		gone  bool
		want  wake
	}{
		{"nothing of ours", func(*inflight) {}, versioned("a", "5"), false, wakeIfChanged},
		{"ours, and the pass goes on", func(f *inflight) { f.wrote(versioned("a", "5"), inCache(nil)) }, versioned("a", "5"), false, wakeNot},
		{"ours, and another of ours is to come", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wrote(other("6"), inCache(nil))
			f.wroteAll("shop")
		}, versioned("a", "5"), false, wakeNot},
		{"our last", func(f *inflight) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, versioned("a", "5"), false, wakeLater},
		{"our last, a delete", func(f *inflight) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.wroteAll("shop")
		}, versioned("a", "6"), true, wakeLater},
		{"our first of two of one policy", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wrote(versioned("a", "6"), inCache(nil))
			f.wroteAll("shop")
		}, versioned("a", "5"), false, wakeNot},
		{"somebody's, while ours is to come", func(f *inflight) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, other("6"), false, wakeIfChanged},
		{"our last, after somebody's", func(f *inflight) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wroteAll("shop")
			f.seen(other("4"), false)
		}, versioned("a", "5"), false, wakeNow},
		{"somebody's, on top of our last, which was never told", func(f *inflight) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, versioned("a", "6"), false, wakeNow},
		{"somebody's delete of what we wrote", func(f *inflight) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, versioned("a", "6"), true, wakeNow},
	} {
		f := newInflight()
		test.do(f)
		if got := f.seen(test.event, test.gone); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
