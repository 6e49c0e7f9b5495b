// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// statusWrite is a change of a baseline's status.
type statusWrite struct {
	at   time.Time
	name string
}

// register follows the baselines by one watch.
type register struct {
	watch *watchtools.RetryWatcher
	ended chan struct{}

	mu      sync.Mutex
	current map[string]*v1alpha1.NetworkBaseline
	writes  []statusWrite
	changed chan struct{} // closed at the next change
}

func newRegister(ctx context.Context, c client.WithWatch) (*register, error) {
	var list v1alpha1.NetworkBaselineList
	if err := c.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing baselines: %w", err)
	}
	w, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &v1alpha1.NetworkBaselineList{}, &client.ListOptions{Raw: &o})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching baselines: %w", err)
	}
	r := &register{watch: w, ended: make(chan struct{}), current: map[string]*v1alpha1.NetworkBaseline{}, changed: make(chan struct{})}
	go func() {
		defer close(r.ended)
		for e := range w.ResultChan() {
			if b, ok := e.Object.(*v1alpha1.NetworkBaseline); ok {
				r.see(b, e.Type)
			}
		}
	}()
	return r, nil
}

func (r *register) stop() {
	r.watch.Stop()
	<-r.ended
}

func (r *register) see(b *v1alpha1.NetworkBaseline, kind watch.EventType) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.current[b.Name]; kind == watch.Modified && before != nil && !equality.Semantic.DeepEqual(before.Status, b.Status) {
		r.writes = append(r.writes, statusWrite{time.Now(), b.Name})
	}
	if kind == watch.Deleted {
		delete(r.current, b.Name)
	} else {
		r.current[b.Name] = b
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// get returns a baseline, nil when it is gone, and a channel that is closed when any changes.
func (r *register) get(name string) (*v1alpha1.NetworkBaseline, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current[name], r.changed
}

func (r *register) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.writes)
}

// since are the times at which a baseline's status was written after a mark.
func (r *register) since(mark int, name string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []time.Time
	for _, w := range r.writes[mark:] {
		if w.name == name {
			out = append(out, w.at)
		}
	}
	return out
}

// isReady says whether a baseline is in sync at its generation, and at least at the given one.
func isReady(b *v1alpha1.NetworkBaseline, generation int64) bool {
	return b != nil && b.Generation >= generation && b.Status.ObservedGeneration == b.Generation &&
		meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionReady)
}

// describe is what a baseline says of itself, for an error.
func describe(b *v1alpha1.NetworkBaseline) string {
	if b == nil {
		return "it does not exist"
	}
	parts := []string{fmt.Sprintf("generation %d, observed %d", b.Generation, b.Status.ObservedGeneration)}
	for _, c := range b.Status.Conditions {
		parts = append(parts, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(parts, "; ")
}
