// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// retryDelay is how long to wait after a refresh that failed.
const retryDelay = 10 * time.Second

// Watcher refreshes the facts when a Service or an EndpointSlice changes, and when the grace of what was withdrawn ends.
type Watcher struct {
	tracker *Tracker
	changed func(context.Context)

	mu    sync.Mutex
	timer *time.Timer
}

// NewWatcher returns a watcher that calls changed, which must not block, when the facts have changed.
func NewWatcher(tracker *Tracker, changed func(context.Context)) *Watcher {
	return &Watcher{tracker: tracker, changed: changed}
}

// +kubebuilder:rbac:groups="",resources=services,verbs=list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch

// Events does not pass on the initial list: what is read for the first time is read when it is complete.
func (w *Watcher) Events() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, _ queue) {
			if !e.IsInInitialList {
				w.refresh(ctx)
			}
		},
		UpdateFunc: func(ctx context.Context, _ event.UpdateEvent, _ queue) { w.refresh(ctx) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, _ queue) { w.refresh(ctx) },
	}
}

func (w *Watcher) refresh(ctx context.Context) {
	changed, again, err := w.tracker.Refresh(ctx)
	if err != nil {
		// The facts stay as they are.
		log.FromContext(ctx).Error(err, "Could not read Services and EndpointSlices")
		again = retryDelay
	}
	if again > 0 {
		w.later(ctx, again)
	}
	if changed {
		w.changed(ctx)
	}
}

// later refreshes again. There is one timer: each refresh says when the next is due.
func (w *Watcher) later(ctx context.Context, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(after+time.Millisecond, func() {
		if ctx.Err() == nil {
			w.refresh(ctx)
		}
	})
}
