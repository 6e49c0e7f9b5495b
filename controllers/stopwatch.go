// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

// stopwatch knows since when a namespace waits to be looked at. It starts where all that wakes namespaces meets, in the
// queue, and so times whatever the reason was, with the wait in the queue.
type stopwatch struct {
	mu    sync.Mutex
	since map[string]time.Time
	// began is when the first namespace was looked at. The queue of a standby fills long before it leads.
	began time.Time
	now   func() time.Time
}

func newStopwatch() *stopwatch { return &stopwatch{since: map[string]time.Time{}, now: time.Now} }

// start notes that namespaces were woken. One that waits already goes on waiting.
func (s *stopwatch) start(requests ...reconcile.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, r := range requests {
		if _, waits := s.since[r.Name]; !waits {
			s.since[r.Name] = now
		}
	}
}

// take returns since when a namespace waited, and forgets it; the zero time when nothing woke it.
func (s *stopwatch) take(namespace string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		s.began = s.now()
	}
	since, ok := s.since[namespace]
	delete(s.since, namespace)
	if ok && since.Before(s.began) {
		return s.began
	}
	return since
}

// resume goes back to an earlier start: what the namespace waited for is not done yet.
func (s *stopwatch) resume(namespace string, since time.Time) {
	if since.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since[namespace] = since
}

// observe adds the time since then to a histogram, once for each of count.
func (s *stopwatch) observe(histogram prometheus.Histogram, since time.Time, count int) {
	if since.IsZero() {
		return
	}
	seconds := s.now().Sub(since).Seconds()
	for range count {
		histogram.Observe(seconds)
	}
}

// measure tells how long a pass's repairs and a namespace's convergence took. A refused write stops no stopwatch.
func (s *stopwatch) measure(namespace string, since time.Time, plan *policy.Plan, result applied, settled func(baseline string) bool) {
	if len(result.failures) > 0 {
		s.resume(namespace, since)
		return
	}
	repaired, converged := 0, false
	for _, step := range result.done {
		if !settled(step.Baseline) {
			converged = true
		} else if isRepair(step) {
			repaired++
		}
	}
	s.observe(repairSeconds, since, repaired)
	if converged && len(plan.Obstacles) == 0 && len(plan.Withheld) == 0 {
		s.observe(convergenceSeconds, since, 1)
	}
}

// timedQueue starts the stopwatch of what is added for an event. What comes again by itself, after a failure say, is
// added with a delay.
type timedQueue struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	stopwatch *stopwatch
}

// queue is a controller's Options.NewQueue: what controller-runtime makes by default, timed.
func (s *stopwatch) queue(logger logr.Logger) func(string, workqueue.TypedRateLimiter[reconcile.Request]) queue {
	return func(controller string, limiter workqueue.TypedRateLimiter[reconcile.Request]) queue {
		return &timedQueue{stopwatch: s, PriorityQueue: priorityqueue.New(controller, func(o *priorityqueue.Opts[reconcile.Request]) {
			o.Log, o.RateLimiter = logger.WithValues("controller", controller), limiter
		})}
	}
}

// Add implements workqueue.TypedInterface.
func (q *timedQueue) Add(request reconcile.Request) {
	q.stopwatch.start(request)
	q.PriorityQueue.Add(request)
}

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q *timedQueue) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	if o.After == 0 && !o.RateLimited {
		q.stopwatch.start(requests...)
	}
	q.PriorityQueue.AddWithOpts(o, requests...)
}
