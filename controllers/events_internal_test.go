// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/client-go/util/flowcontrol"
)

func TestNarratorLimit(t *testing.T) {
	n := newNarrator(nil)
	now := time.Unix(0, 0)
	n.now = func() time.Time { return now }
	about := func(namespace string) tale {
		return tale{"uid", namespace, "p-default-deny", eventRepaired, "UndoChanged"}
	}
	if !n.may(about("fight")) {
		t.Error("the first of all is told")
	}
	n.limit = flowcontrol.NewFakeNeverRateLimiter()
	for range 2 {
		if n.may(about("news")) {
			t.Error("news is told beyond the limit; what was not told before is no repetition")
		}
	}
	for range 10 {
		now = now.Add(seriesPatience - time.Second)
		if !n.may(about("fight")) {
			t.Fatal("a repetition needs no room: it is no new Event")
		}
	}
	now = now.Add(seriesPatience)
	if n.may(about("fight")) {
		t.Error("the recorder may have ended the series: what may be a new Event needs room")
	}
	n.limit = flowcontrol.NewFakeAlwaysRateLimiter()
	for i := range 5000 {
		n.may(about(fmt.Sprint(i)))
	}
	if len(n.told) > toldCapacity {
		t.Errorf("remembers %d things", len(n.told))
	}
}
