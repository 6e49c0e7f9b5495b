// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// prefix of the keys under which kube-apiserver stores NetworkPolicies.
const prefix = "/registry/networkpolicies/"

// change is one event, and what its namespace held after it.
type change struct {
	namespace, name, verb string
	revision              int64
	at                    time.Time
	// was and is are the policy before and after; nil when there was none, or is none.
	was, is *networkingv1.NetworkPolicy
	held    state
}

// state is what a namespace holds.
type state map[string]*networkingv1.NetworkPolicy

// recorder sees every state of every namespace, in etcd itself: no fault of the API server hides one.
type recorder struct {
	client *clientv3.Client

	mu      sync.Mutex
	now     map[string]state
	changes []change
	err     error
}

func newRecorder(ctx context.Context, etcd string) (*recorder, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd}, Context: ctx})
	if err != nil {
		return nil, err
	}
	r := &recorder{client: client, now: map[string]state{}}
	first, err := client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return nil, fmt.Errorf("reading etcd: %w", err)
	}
	if first.Count > 0 {
		return nil, fmt.Errorf("the cluster holds %d policies already", first.Count)
	}
	events := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(first.Header.Revision+1))
	go func() {
		for response := range events {
			for _, e := range response.Events {
				r.take(e)
			}
			if err := response.Err(); err != nil {
				r.fail(err)
			}
		}
		r.fail(errStopped)
	}()
	return r, nil
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *recorder) take(e *clientv3.Event) {
	namespace, name, _ := strings.Cut(strings.TrimPrefix(string(e.Kv.Key), prefix), "/")
	c := change{namespace: namespace, name: name, verb: "deleted", revision: e.Kv.ModRevision, at: time.Now()}
	var written *networkingv1.NetworkPolicy
	if e.Type == clientv3.EventTypePut {
		c.verb = "updated"
		if e.IsCreate() {
			c.verb = "created"
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(e.Kv.Value, nil, nil)
		policy, ok := object.(*networkingv1.NetworkPolicy)
		if err != nil || !ok {
			r.fail(fmt.Errorf("reading %s: %T, %w", e.Kv.Key, object, err))
			return
		}
		written = policy
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	held := maps.Clone(r.now[namespace])
	if held == nil {
		held = state{}
	}
	c.was, c.is = held[name], written
	if written != nil {
		held[name] = written
	} else {
		delete(held, name)
	}
	r.now[namespace], c.held = held, held
	r.changes = append(r.changes, c)
}

// caughtUp waits until the recorder has seen all that etcd holds, and returns the number of changes so far.
func (r *recorder) caughtUp(ctx context.Context) (int, error) {
	for {
		stored, err := r.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return 0, fmt.Errorf("reading etcd: %w", err)
		}
		last := int64(0)
		for _, kv := range stored.Kvs {
			last = max(last, kv.ModRevision)
		}
		r.mu.Lock()
		count, seen, n, err := 0, int64(0), len(r.changes), r.err
		for _, held := range r.now {
			count += len(held)
		}
		if n > 0 {
			seen = r.changes[n-1].revision
		}
		r.mu.Unlock()
		switch {
		case err != nil:
			return 0, fmt.Errorf("recording: %w", err)
		case count == len(stored.Kvs) && seen >= last:
			return n, nil
		}
		wait(ctx, poll)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

// of returns what a namespace holds.
func (r *recorder) of(namespace string) state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now[namespace]
}

// since returns the changes from the n-th on.
func (r *recorder) since(n int) []change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes[n:])
}
