// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

// grace is how long an address or a port stays allowed after it was withdrawn: connections outlive the rollover of a
// control plane, and a Service that is being replaced must not take DNS away from every pod.
const grace = 5 * time.Minute

// Tracker follows the facts. Each address and each port that is lost stays for the grace. Where nothing at all is found any
// more, the last known good stays.
type Tracker struct {
	reader client.Reader // cached
	now    func() time.Time

	mu      sync.Mutex
	version int64 // 0: never looked
	facts   policy.Facts
	current policy.Facts // as discovered, without what is leaving
	dns     leaving
	api     leaving
}

// NewTracker returns a tracker that reads from a cache holding the Services and EndpointSlices of Namespaces.
func NewTracker(reader client.Reader) *Tracker {
	return &Tracker{reader: reader, now: time.Now, dns: leaving{}, api: leaving{}}
}

// Current returns the facts and a version that grows with every change. The facts are shared: never change them.
func (t *Tracker) Current(ctx context.Context) (policy.Facts, int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.version == 0 {
		// The cache answers; should it not, DefaultDNS holds until an event comes.
		_, _, _ = t.refresh(ctx)
	}
	return t.facts, t.version
}

// Refresh looks again. changed says whether the facts are others now, and again, unless 0, when to look again without
// an event, because a withdrawn address is to be dropped.
func (t *Tracker) Refresh(ctx context.Context) (changed bool, again time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refresh(ctx)
}

func (t *Tracker) refresh(ctx context.Context) (changed bool, again time.Duration, err error) {
	var services corev1.ServiceList
	var endpoints discoveryv1.EndpointSliceList
	for _, namespace := range Namespaces {
		var s corev1.ServiceList
		if err := t.reader.List(ctx, &s, client.InNamespace(namespace)); err != nil {
			return false, 0, fmt.Errorf("listing Services of %s: %w", namespace, err)
		}
		services.Items = append(services.Items, s.Items...)
		var e discoveryv1.EndpointSliceList
		if err := t.reader.List(ctx, &e, client.InNamespace(namespace)); err != nil {
			return false, 0, fmt.Errorf("listing EndpointSlices of %s: %w", namespace, err)
		}
		endpoints.Items = append(endpoints.Items, e.Items...)
	}
	changed, again = t.take(Discover(services.Items, endpoints.Items))
	return changed, again, nil
}

// take makes what was discovered the facts, keeping what was lost.
func (t *Tracker) take(found policy.Facts) (changed bool, again time.Duration) {
	if len(found.DNS) == 0 {
		found.DNS = t.current.DNS
	}
	if len(found.KubeAPIServer) == 0 {
		found.KubeAPIServer = t.current.KubeAPIServer
	}
	now := t.now()
	t.dns.withdraw(t.current.DNS, found.DNS, now.Add(grace))
	t.api.withdraw(t.current.KubeAPIServer, found.KubeAPIServer, now.Add(grace))
	t.current = found

	dns, againDNS := t.dns.addTo(found.DNS, now)
	api, againAPI := t.api.addTo(found.KubeAPIServer, now)
	if again = againDNS; again == 0 || againAPI > 0 && againAPI < again {
		again = againAPI
	}
	facts := policy.Facts{DNS: dns, KubeAPIServer: api}
	if t.version > 0 && reflect.DeepEqual(facts, t.facts) {
		return false, again
	}
	first := t.version == 0
	t.version++
	t.facts = facts
	return !first, again
}
