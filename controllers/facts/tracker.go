// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// grace is how long an address of the API server stays allowed after it was withdrawn: connections outlive the
// rollover of a control plane.
const grace = 5 * time.Minute

// Tracker follows the facts. What was found once and cannot be found any more stays as it was: a Service that is
// being replaced must not take DNS away from every pod.
type Tracker struct {
	reader client.Reader // cached
	now    func() time.Time

	mu      sync.Mutex
	version int64 // 0: never looked
	facts   policy.Facts
	// leaving are the API server's withdrawn addresses, by allowance, and until when they stay.
	leaving map[string]withdrawn
	current policy.Facts // as discovered, without what is leaving
}

type withdrawn struct {
	allowance policy.Allowance
	until     time.Time
}

// NewTracker returns a tracker that reads from a cache holding the Services and EndpointSlices of Namespaces.
func NewTracker(reader client.Reader) *Tracker {
	return &Tracker{reader: reader, now: time.Now, leaving: map[string]withdrawn{}}
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
	t.withdraw(found)
	t.current = found

	facts := found
	facts.KubeAPIServer = append([]policy.Allowance{}, found.KubeAPIServer...)
	now := t.now()
	for _, key := range sortedKeys(t.leaving) {
		w := t.leaving[key]
		if left := w.until.Sub(now); left > 0 {
			facts.KubeAPIServer = append(facts.KubeAPIServer, w.allowance)
			if again == 0 || left < again {
				again = left
			}
		} else {
			delete(t.leaving, key)
		}
	}
	if t.version > 0 && reflect.DeepEqual(facts, t.facts) {
		return false, again
	}
	first := t.version == 0
	t.version++
	t.facts = facts
	return !first, again
}

// withdraw notes the addresses of the API server that are gone, and drops those that are back.
func (t *Tracker) withdraw(found policy.Facts) {
	now, before := byAddress(found.KubeAPIServer), byAddress(t.current.KubeAPIServer)
	for key, allowance := range before {
		if _, still := now[key]; !still {
			if _, known := t.leaving[key]; !known {
				t.leaving[key] = withdrawn{allowance, t.now().Add(grace)}
			}
		}
	}
	for key := range now {
		delete(t.leaving, key)
	}
}

// byAddress takes allowances apart into single addresses with their ports.
func byAddress(all []policy.Allowance) map[string]policy.Allowance {
	out := map[string]policy.Allowance{}
	for _, a := range all {
		for _, p := range a.Peers {
			out[fmt.Sprintf("%s %v", p.CIDR, a.Ports)] = policy.Allowance{Peers: []v1alpha1.Peer{p}, Ports: a.Ports}
		}
	}
	return out
}

// Describe puts allowances into words, for status: at most limit lines.
func Describe(all []policy.Allowance, limit int) []string {
	var out []string
	for _, a := range all {
		for i := range a.Peers {
			if len(out) == limit {
				return out
			}
			out = append(out, describePeer(&a.Peers[i])+" on "+describePorts(a.Ports))
		}
	}
	return out
}

func describePeer(p *v1alpha1.Peer) string {
	if p.CIDR != "" {
		if prefix, err := netip.ParsePrefix(string(p.CIDR)); err == nil && prefix.IsSingleIP() {
			return prefix.Addr().String()
		}
		return string(p.CIDR)
	}
	var selected []string
	for _, k := range sortedKeys(p.PodSelector.MatchLabels) {
		selected = append(selected, fmt.Sprintf("%s=%s", k, p.PodSelector.MatchLabels[k]))
	}
	return "pods " + strings.Join(selected, ",") + " in " + string(p.NamespaceSelector.MatchLabels[corev1.LabelMetadataName])
}

func describePorts(ports []v1alpha1.Port) string {
	var out []string
	for _, p := range ports {
		out = append(out, fmt.Sprintf("%s %s", p.Protocol, p.Port.String()))
	}
	return strings.Join(out, ", ")
}
