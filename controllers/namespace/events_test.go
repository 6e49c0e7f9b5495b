// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/client-go/util/flowcontrol"
)

func TestEventLimit(t *testing.T) {
	e := newEventRecorder(nil)
	now := time.Unix(0, 0)
	e.now = func() time.Time { return now }
	about := func(namespace string) series {
		return series{"uid", namespace, "p-default-deny", eventRepaired, "UndoChanged"}
	}
	if !e.may(about("fight")) {
		t.Error("the first of all is emitted")
	}
	e.limit = flowcontrol.NewFakeNeverRateLimiter()
	for range 2 {
		if e.may(about("news")) {
			t.Error("news is emitted beyond the limit; what was not emitted before is no repetition")
		}
	}
	for range 10 {
		now = now.Add(seriesTimeout - time.Second)
		if !e.may(about("fight")) {
			t.Fatal("a repetition needs no room: it is no new Event")
		}
	}
	now = now.Add(seriesTimeout)
	if e.may(about("fight")) {
		t.Error("the recorder may have ended the series: what may be a new Event needs room")
	}
	e.limit = flowcontrol.NewFakeAlwaysRateLimiter()
	for i := range 5000 {
		e.may(about(fmt.Sprint(i)))
	}
	if len(e.emitted) > seriesCapacity {
		t.Errorf("remembers %d things", len(e.emitted))
	}
}
