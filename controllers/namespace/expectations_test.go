// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

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

// newRecords are records that tell nobody of their changes.
func newRecords() *Records { return NewRecords(func(string) {}) }

// waits is for how long a pass over the namespace has to wait for its own writes.
func waits(r *Records, namespace string) time.Duration {
	_, wait := r.begin(namespace)
	r.end(namespace)
	return wait
}

func TestExpectations(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*Records)
		want bool // waits
	}{
		{"nothing written", func(*Records) {}, false},
		{"created, the cache behind", func(f *Records) { f.wrote(versioned("a", "5"), inCache(nil)) }, true},
		{"created, the cache there already", func(f *Records) { f.wrote(versioned("a", "5"), inCache(versioned("a", "5"))) }, false},
		{"created, then seen", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.Observed(versioned("a", "5"), false)
		}, false},
		{"updated, the cache at the version before", func(f *Records) { f.wrote(versioned("a", "10"), inCache(versioned("a", "9"))) }, true},
		{"updated, an older version seen", func(f *Records) {
			f.wrote(versioned("a", "10"), inCache(versioned("a", "8")))
			f.Observed(versioned("a", "9"), false)
		}, true},
		{"updated, a later version seen: somebody wrote after us", func(f *Records) {
			f.wrote(versioned("a", "9"), inCache(versioned("a", "8")))
			f.Observed(versioned("a", "10"), false)
		}, false},
		{"written twice, only the first seen", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wrote(versioned("a", "6"), inCache(versioned("a", "5")))
			f.Observed(versioned("a", "5"), false)
		}, true},
		{"created, and deleted by somebody", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.Observed(versioned("a", "6"), true)
		}, false},
		{"created, the delete of one before it seen", func(f *Records) {
			f.wrote(versioned("b", "5"), inCache(versioned("a", "3")))
			f.Observed(versioned("a", "4"), true)
		}, true},
		{"deleted, the cache behind", func(f *Records) { f.deleted(versioned("a", "5"), inCache(versioned("a", "5"))) }, true},
		{"deleted, the cache there already", func(f *Records) { f.deleted(versioned("a", "5"), inCache(nil)) }, false},
		{"deleted, another in its place already", func(f *Records) { f.deleted(versioned("a", "5"), inCache(versioned("b", "7"))) }, false},
		{"deleted, then seen", func(f *Records) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.Observed(versioned("a", "6"), true)
		}, false},
		{"deleted, another in its place seen", func(f *Records) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.Observed(versioned("b", "7"), false)
		}, false},
		{"deleted, an older change seen", func(f *Records) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "4")))
			f.Observed(versioned("a", "5"), false)
		}, true},
		{"deleted, and held by a finalizer: it will not go soon", func(f *Records) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.Observed(beingDeleted(versioned("a", "6")), false)
		}, false},
		{"deleted, and seen held before the answer came", func(f *Records) {
			f.deleted(versioned("a", "5"), inCache(beingDeleted(versioned("a", "6"))))
		}, false},
		{"a policy of another name seen", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			other := versioned("a", "5")
			other.Name = "other"
			f.Observed(other, false)
		}, true},
		{"the namespace is gone", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.forget("shop")
		}, false},
		{"a version that is no number", func(f *Records) {
			f.wrote(versioned("a", "x"), inCache(nil))
			f.Observed(versioned("a", "y"), false)
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newRecords()
			test.do(f)
			if got := waits(f, "shop") > 0; got != test.want {
				t.Errorf("waits: %t, want %t", got, test.want)
			}
			if waits(f, "blog") != 0 {
				t.Error("another namespace waits")
			}
		})
	}
}

func TestExpectationsTimeOut(t *testing.T) {
	now := time.Unix(1000, 0)
	f := newRecords()
	f.now = func() time.Time { return now }
	f.wrote(versioned("a", "5"), inCache(nil))
	now = now.Add(5 * time.Second)
	if got := waits(f, "shop"); got != 10*time.Second {
		t.Errorf("after 5 s it waits for %s, want 10 s", got)
	}
	now = now.Add(10 * time.Second)
	if got := waits(f, "shop"); got != 0 {
		t.Errorf("after 15 s it waits for %s", got)
	}
	if f.byNamespace["shop"].expected != nil {
		t.Error("expectations that timed out are kept")
	}
}

func TestExpectationsEnd(t *testing.T) {
	f := newRecords()
	f.wrote(versioned("a", "5"), inCache(nil))
	f.wroteAll("shop")
	f.Observed(versioned("a", "5"), false)
	if f.byNamespace["shop"].expected != nil {
		t.Error("expectations that were met are kept")
	}
}

func TestWroteAllSaysWhenToComeAgain(t *testing.T) {
	f := newRecords()
	if got := f.wroteAll("shop"); got != 0 {
		t.Errorf("nothing was written, and it wants to look again after %s", got)
	}
	f.wrote(versioned("a", "5"), inCache(nil))
	if got := f.wroteAll("shop"); got != 15*time.Second {
		t.Errorf("the event is to come, and it wants to look again after %s", got)
	}
	f = newRecords()
	f.wrote(versioned("a", "6"), inCache(nil))
	f.Observed(versioned("a", "6"), false)
	if got := f.wroteAll("shop"); got != time.Millisecond {
		t.Errorf("all events came, and it wants to look again after %s, want soon", got)
	}
}

func TestObserved(t *testing.T) {
	other := func(resourceVersion string) *networkingv1.NetworkPolicy {
		p := versioned("b", resourceVersion)
		p.Name = "other"
		return p
	}
	for _, test := range []struct {
		name string
		do   func(*Records)
		// event, and whether it is a delete
		event *networkingv1.NetworkPolicy
		gone  bool
		want  Wake
	}{
		{"nothing of ours", func(*Records) {}, versioned("a", "5"), false, WakeIfChanged},
		{"ours, and the pass goes on", func(f *Records) { f.wrote(versioned("a", "5"), inCache(nil)) }, versioned("a", "5"), false, WakeNot},
		{"ours, and another of ours is to come", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wrote(other("6"), inCache(nil))
			f.wroteAll("shop")
		}, versioned("a", "5"), false, WakeNot},
		{"our last", func(f *Records) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, versioned("a", "5"), false, WakeLater},
		{"our last, a delete", func(f *Records) {
			f.deleted(versioned("a", "5"), inCache(versioned("a", "5")))
			f.wroteAll("shop")
		}, versioned("a", "6"), true, WakeLater},
		{"our first of two of one policy", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wrote(versioned("a", "6"), inCache(nil))
			f.wroteAll("shop")
		}, versioned("a", "5"), false, WakeNot},
		{"somebody's, while ours is to come", func(f *Records) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, other("6"), false, WakeIfChanged},
		{"our last, after somebody's", func(f *Records) {
			f.wrote(versioned("a", "5"), inCache(nil))
			f.wroteAll("shop")
			f.Observed(other("4"), false)
		}, versioned("a", "5"), false, WakeNow},
		{"somebody's, on top of our last, which was never told", func(f *Records) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, versioned("a", "6"), false, WakeNow},
		{"somebody's delete of what we wrote", func(f *Records) { f.wrote(versioned("a", "5"), inCache(nil)); f.wroteAll("shop") }, versioned("a", "6"), true, WakeNow},
	} {
		f := newRecords()
		test.do(f)
		if got := f.Observed(test.event, test.gone); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
