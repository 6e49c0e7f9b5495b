// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/controllers/namespace"
)

// trigger is a source through which one part of the operator wakes another: baselines when a namespace's results change, and
// namespaces when the facts do.
type trigger struct{ q atomic.Pointer[queue] }

// triggerDelay makes one of what is close together.
const triggerDelay = 20 * time.Millisecond

// Start implements source.Source.
func (t *trigger) Start(_ context.Context, q queue) error {
	t.q.Store(&q)
	return nil
}

// fire wakes a request. Before its controller starts it does nothing: everything is looked at then anyway.
func (t *trigger) fire(name string) {
	if q := t.q.Load(); q != nil {
		(*q).AddAfter(requestFor(name), triggerDelay)
	}
}

// fireAll wakes many requests that others may overtake.
func (t *trigger) fireAll(requests []reconcile.Request) {
	if q := t.q.Load(); q != nil {
		addBacklog(*q, 0, requests)
	}
}

// addBacklog adds requests that drift overtakes.
func addBacklog(q queue, after time.Duration, requests []reconcile.Request) {
	pq, ok := q.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok {
		for _, request := range requests {
			q.AddAfter(request, after)
		}
		return
	}
	priority := backlogPriority
	pq.AddWithOpts(priorityqueue.AddOpts{Priority: &priority, After: after}, requests...)
}

// timedQueue tells the records since when namespaces wait. What comes again by itself, after a failure for example, is added
// with a delay.
type timedQueue struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	records *namespace.Records
}

// newTimedQueue is a controller's Options.NewQueue: what controller-runtime makes by default, timed.
func newTimedQueue(records *namespace.Records, logger logr.Logger) func(string, workqueue.TypedRateLimiter[reconcile.Request]) queue {
	return func(controller string, limiter workqueue.TypedRateLimiter[reconcile.Request]) queue {
		return &timedQueue{records: records, PriorityQueue: priorityqueue.New(controller, func(o *priorityqueue.Opts[reconcile.Request]) {
			o.Log, o.RateLimiter = logger.WithValues("controller", controller), limiter
		})}
	}
}

// Add implements workqueue.TypedInterface.
func (q *timedQueue) Add(request reconcile.Request) {
	q.records.Woken(request.Name)
	q.PriorityQueue.Add(request)
}

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q *timedQueue) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	if o.After == 0 && !o.RateLimited {
		for _, request := range requests {
			q.records.Woken(request.Name)
		}
	}
	q.PriorityQueue.AddWithOpts(o, requests...)
}
