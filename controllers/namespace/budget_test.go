// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	r := newRecords()
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	for i := range 200 {
		if wait := r.spend("shop"); wait != 0 {
			t.Fatalf("write %d has to wait for %s", i+1, wait)
		}
	}
	if wait := r.spend("shop"); wait != 100*time.Millisecond {
		t.Errorf("beyond the burst: a wait of %s, want 100ms", wait)
	}
	if wait := r.spend("blog"); wait != 0 {
		t.Errorf("another namespace has to wait for %s", wait)
	}
	now = now.Add(60 * time.Millisecond)
	if wait := r.spend("shop"); wait < 39*time.Millisecond || wait > 41*time.Millisecond {
		t.Errorf("60ms later: a wait of %s, want 40ms: what is refused uses nothing", wait)
	}
	// However it is asked, no more than ten a second.
	writes := 0
	for range 10_000 {
		now = now.Add(time.Millisecond)
		if r.spend("shop") == 0 {
			writes++
		}
	}
	if writes < 99 || writes > 101 {
		t.Errorf("%d writes in 10 s, want 100", writes)
	}
	now = now.Add(time.Hour)
	writes = 0
	for r.spend("shop") == 0 {
		writes++
	}
	if writes != 200 {
		t.Errorf("after an hour %d writes at once, want 200: the budget does not grow beyond the burst", writes)
	}
}
