// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func newQueue(t *testing.T) priorityqueue.PriorityQueue[reconcile.Request] {
	t.Helper()
	q := priorityqueue.New[reconcile.Request](t.Name())
	t.Cleanup(q.ShutDown)
	return q
}

// next takes the next request out of a queue.
func next(q priorityqueue.PriorityQueue[reconcile.Request]) (name string, priority int) {
	request, priority, _ := q.GetWithPriority()
	q.Done(request)
	return request.Name, priority
}

func TestTrigger(t *testing.T) {
	b := &trigger{}
	b.fire("nobody listens yet")
	b.fireAll([]reconcile.Request{requestFor("nobody listens yet")})
	q := newQueue(t)
	if err := b.Start(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		b.fire("production")
	}
	b.fire("staging")
	var got []string
	for range 2 {
		name, _ := next(q)
		got = append(got, name)
	}
	slices.Sort(got)
	if want := []string{"production", "staging"}; !slices.Equal(got, want) || q.Len() != 0 {
		t.Errorf("woke %v and %d more, want %v once each", got, q.Len(), want)
	}
	b.fireAll([]reconcile.Request{requestFor("shop")})
	if name, priority := next(q); name != "shop" || priority >= 0 {
		t.Errorf("woke %s at priority %d, want shop below drift", name, priority)
	}
}

// A backlog of the timed queue is overtaken by events, and what comes again by itself comes at its time.
func TestTimedQueue(t *testing.T) {
	q := newTimedQueue(newRecords(), logr.Discard())("test", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(q.ShutDown)
	pq, ok := q.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok {
		t.Fatal("drift cannot overtake a backlog")
	}
	addBacklog(q, 0, []reconcile.Request{requestFor("backlog")})
	pq.AddWithOpts(priorityqueue.AddOpts{After: time.Hour}, requestFor("later"))
	q.AddAfter(requestFor("later still"), time.Hour)
	q.Add(requestFor("event"))
	for _, want := range []string{"event", "backlog"} {
		if got, priority := next(pq); got != want {
			t.Errorf("%s comes at priority %d, want %s", got, priority, want)
		}
	}
	if q.Len() != 0 {
		t.Errorf("%d more are ready", q.Len())
	}
}
