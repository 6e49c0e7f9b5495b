// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
)

// follower has the facts looked at again when a Service or an EndpointSlice changes, and wakes everything that is
// rendered from them when they did.
type follower struct {
	tracker               *facts.Tracker
	reader                client.Reader
	baselines, namespaces *bell

	mu    sync.Mutex
	timer *time.Timer
}

// +kubebuilder:rbac:groups="",resources=services,verbs=list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch

// events does not pass on the initial list: what is read for the first time is read when it is complete.
func (f *follower) events() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, _ queue) {
			if !e.IsInInitialList {
				f.look(ctx)
			}
		},
		UpdateFunc: func(ctx context.Context, _ event.UpdateEvent, _ queue) { f.look(ctx) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, _ queue) { f.look(ctx) },
	}
}

func (f *follower) look(ctx context.Context) {
	changed, again, err := f.tracker.Refresh(ctx)
	if err != nil {
		// The facts stay as they are.
		log.FromContext(ctx).Error(err, "Could not read what the cluster runs")
		return
	}
	if again > 0 {
		f.later(ctx, again)
	}
	if changed {
		f.wake(ctx)
	}
}

// later looks again when a withdrawn address is to be dropped. There is one timer: each look says when the next is due.
func (f *follower) later(ctx context.Context, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	f.timer = time.AfterFunc(after+time.Millisecond, func() {
		if ctx.Err() == nil {
			f.look(ctx)
		}
	})
}

func (f *follower) wake(ctx context.Context) {
	var baselines v1alpha1.NetworkBaselineList
	if err := f.reader.List(ctx, &baselines, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Could not list baselines")
	}
	for i := range baselines.Items {
		f.baselines.ring(baselines.Items[i].Name)
	}
	namespaces, err := listNamespaces(ctx, f.reader)
	if err != nil {
		log.FromContext(ctx).Error(err, "Could not list namespaces")
	}
	requests := make([]reconcile.Request, 0, len(namespaces))
	for i := range namespaces {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: namespaces[i].Name}})
	}
	f.namespaces.ringAll(requests)
}
