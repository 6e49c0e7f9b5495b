// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

func request(namespace string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: namespace}}
}

// clocked is a stopwatch that starts at 0 and whose time is set by hand.
func clocked() (s *stopwatch, at func(time.Duration)) {
	now := time.Unix(0, 0)
	s = newStopwatch()
	s.now = func() time.Time { return now }
	return s, func(d time.Duration) { now = time.Unix(0, 0).Add(d) }
}

// waitsSince takes a namespace; -1 when it does not wait.
func waitsSince(s *stopwatch, namespace string) time.Duration {
	if since := s.take(namespace); !since.IsZero() {
		return since.Sub(time.Unix(0, 0))
	}
	return -1
}

func TestStopwatch(t *testing.T) {
	s, at := clocked()
	since := func(namespace string) time.Duration { return waitsSince(s, namespace) }
	expect := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: since %v, want %v", what, got, want)
		}
	}
	s.start(request("early"))
	at(time.Hour)
	expect("what waited for a leader waits since there is one", since("early"), time.Hour)
	at(2 * time.Hour)
	s.start(request("a"), request("b"))
	at(3 * time.Hour)
	s.start(request("a"))
	expect("the first event counts", since("a"), 2*time.Hour)
	expect("taken once", since("a"), -1)
	began := s.take("b")
	s.start(request("b"))
	s.resume("b", began)
	expect("a failure goes on", since("b"), 2*time.Hour)
	s.resume("c", time.Time{})
	expect("what nothing woke is not timed", since("c"), -1)
	if len(s.since) != 0 {
		t.Errorf("remembers %v for ever", s.since)
	}
}

func TestTimedQueue(t *testing.T) {
	s := newStopwatch()
	q := s.queue(logr.Discard())("test", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	pq, ok := q.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok {
		t.Fatal("drift cannot overtake a backlog")
	}
	q.Add(request("event"))
	addBacklog(q, 0, []reconcile.Request{request("backlog")})
	pq.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, request("failed"))
	pq.AddWithOpts(priorityqueue.AddOpts{After: time.Hour}, request("later"))
	q.AddAfter(request("later still"), time.Hour)
	for namespace, want := range map[string]bool{"event": true, "backlog": true, "failed": false, "later": false, "later still": false} {
		if got := !s.take(namespace).IsZero(); got != want {
			t.Errorf("%s: timed is %v, want %v", namespace, got, want)
		}
	}
	if got, _ := q.Get(); got != request("event") {
		t.Errorf("first comes %v, want the event", got)
	}
}

func TestMeasure(t *testing.T) {
	write := policy.Step{Verb: policy.Create, Name: "b-allow-dns", Baseline: "b", Want: versioned("uid", "1")}
	passing := write
	passing.Passing = true
	removal := policy.Step{Verb: policy.Delete, Name: "b-old", Baseline: "b", Live: versioned("uid", "1")}
	for _, tc := range []struct {
		name                string
		plan                policy.Plan
		result              applied
		settled             bool
		repaired, converged uint64
		waits               time.Duration // since when it does
	}{
		{name: "nothing to do", settled: true, waits: -1},
		{name: "new", result: applied{done: []policy.Step{passing, write}}, converged: 1, waits: -1},
		{name: "leaves", result: applied{done: []policy.Step{removal}}, converged: 1, waits: -1},
		{name: "two repairs", result: applied{done: []policy.Step{passing, write, write}}, settled: true, repaired: 2, waits: -1},
		{name: "refused", result: applied{done: []policy.Step{write}, failures: []failure{{write, errors.New("no")}}}, waits: 0},
		{name: "conflict", plan: policy.Plan{Obstacles: make([]policy.Obstacle, 1)}, result: applied{done: []policy.Step{write}}, waits: -1},
		{name: "withheld", plan: policy.Plan{Withheld: make([]policy.Policy, 1)}, result: applied{done: []policy.Step{write}}, waits: -1},
	} {
		s, at := clocked()
		s.start(request("ns"))
		since := s.take("ns")
		at(time.Second)
		repairedBefore, convergedBefore := samples(t, repairSeconds), samples(t, convergenceSeconds)
		s.measure("ns", since, &tc.plan, tc.result, func(string) bool { return tc.settled })
		if got := samples(t, repairSeconds) - repairedBefore; got != tc.repaired {
			t.Errorf("%s: %d repairs, want %d", tc.name, got, tc.repaired)
		}
		if got := samples(t, convergenceSeconds) - convergedBefore; got != tc.converged {
			t.Errorf("%s: converged %d times, want %d", tc.name, got, tc.converged)
		}
		if got := waitsSince(s, "ns"); got != tc.waits {
			t.Errorf("%s: waits since %v, want %v", tc.name, got, tc.waits)
		}
	}
}

func samples(t *testing.T, h prometheus.Histogram) uint64 {
	t.Helper()
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram().GetSampleCount()
}
