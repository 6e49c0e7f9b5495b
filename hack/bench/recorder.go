// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// sighting is one event of a NetworkPolicy. form is a hash of its spec; 0 when it is gone.
type sighting struct {
	at              time.Time
	namespace, name string
	form            uint64
}

// recorder is the one watch on NetworkPolicies that all measurements go by, those of the ceiling included.
type recorder struct {
	seed  maphash.Seed
	watch *watchtools.RetryWatcher
	ended chan struct{}

	mu   sync.Mutex
	log  []sighting
	live map[string]map[string]uint64 // form by namespace and name
	// expected are told of the sightings in a namespace until they return true.
	expected map[string][]*expectation
}

type expectation struct {
	fulfilled func(sighting) bool
	at        chan time.Time
}

func newRecorder(ctx context.Context, client kubernetes.Interface) (*recorder, error) {
	policies := client.NetworkingV1().NetworkPolicies("")
	list, err := policies.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("listing policies: %w", err)
	}
	w, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return policies.Watch(ctx, o)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching policies: %w", err)
	}
	r := &recorder{
		seed: maphash.MakeSeed(), watch: w, ended: make(chan struct{}),
		live: map[string]map[string]uint64{}, expected: map[string][]*expectation{},
	}
	go func() {
		defer close(r.ended)
		for e := range w.ResultChan() {
			if p, ok := e.Object.(*networkingv1.NetworkPolicy); ok {
				r.see(p, e.Type == watch.Deleted)
			}
		}
	}()
	return r, nil
}

func (r *recorder) stop() {
	r.watch.Stop()
	<-r.ended
}

// form is a hash of a spec.
func (r *recorder) form(p *networkingv1.NetworkPolicy) uint64 {
	data, err := p.Spec.Marshal()
	if err != nil {
		panic(err) // no spec that came over the wire fails to go back
	}
	return max(maphash.Bytes(r.seed, data), 1)
}

func (r *recorder) see(p *networkingv1.NetworkPolicy, gone bool) {
	s := sighting{at: time.Now(), namespace: p.Namespace, name: p.Name}
	if !gone {
		s.form = r.form(p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, s)
	if r.live[s.namespace] == nil {
		r.live[s.namespace] = map[string]uint64{}
	}
	if gone {
		delete(r.live[s.namespace], s.name)
	} else {
		r.live[s.namespace][s.name] = s.form
	}
	waiting := r.expected[s.namespace]
	if len(waiting) == 0 {
		return
	}
	var left []*expectation
	for _, e := range waiting {
		if e.fulfilled(s) {
			e.at <- s.at
		} else {
			left = append(left, e)
		}
	}
	r.expected[s.namespace] = left
}

// expect sends the time of the first sighting in the namespace that fulfils the condition.
func (r *recorder) expect(namespace string, fulfilled func(sighting) bool) <-chan time.Time {
	e := &expectation{fulfilled, make(chan time.Time, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected[namespace] = append(r.expected[namespace], e)
	return e.at
}

// mark is where the log ends now.
func (r *recorder) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.log)
}

// since returns the sightings after a mark.
func (r *recorder) since(mark int) []sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log[mark:len(r.log):len(r.log)]
}

// forms are the live policies of a namespace.
func (r *recorder) forms(namespace string) map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.live[namespace])
}

// unlike returns a namespace whose policies are not the given ones, and how many there are; "" and 0 for none.
func (r *recorder) unlike(namespaces []string, want map[string]uint64) (example string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, namespace := range namespaces {
		if !maps.Equal(r.live[namespace], want) {
			example = namespace
			n++
		}
	}
	return example, n
}
