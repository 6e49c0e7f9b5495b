// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

// memory is what this process remembers of namespaces. It decides whose a stripped policy is and whether a write is
// told as a repair; what is written comes from rendering alone.
type memory struct {
	mu          sync.Mutex
	byNamespace map[string]remembered
}

type remembered struct {
	// key of what was rendered when the namespace was last in sync.
	key string
	// ours are the UIDs of the policies that were ours then.
	ours []types.UID
}

func newMemory() *memory { return &memory{byNamespace: map[string]remembered{}} }

// seen returns the UIDs of the policies that were ours.
func (m *memory) seen(namespace string) map[types.UID]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[types.UID]bool{}
	for _, uid := range m.byNamespace[namespace].ours {
		out[uid] = true
	}
	return out
}

// settled says of a baseline whether the namespace held what is rendered now. After a restart it goes by the status,
// and by the policies that are there.
func (m *memory) settled(s *situation, key string) func(baseline string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.byNamespace[s.namespace]; ok {
		return func(string) bool { return known.key == key }
	}
	return func(name string) bool {
		b := s.byName[name]
		return b != nil && b.Status.ObservedGeneration == b.Generation &&
			slices.ContainsFunc(s.policies, func(p *networkingv1.NetworkPolicy) bool { return policy.BaselineOf(p) == name })
	}
}

// remember notes how a pass ended. What could not be written for an obstacle is no repair when it can.
func (m *memory) remember(s *situation, key string, live policy.Live, plan *policy.Plan, result applied) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := remembered{key: key}
	if len(result.failures) > 0 {
		now.key = m.byNamespace[s.namespace].key
	}
	if len(plan.Obstacles) > 0 {
		now.key = ""
	}
	for _, p := range live.Ours {
		now.ours = append(now.ours, p.UID)
	}
	if len(now.ours) == 0 && len(result.done) == 0 && len(s.enforcing) == 0 {
		delete(m.byNamespace, s.namespace)
		return
	}
	m.byNamespace[s.namespace] = now
}

func (m *memory) forget(namespace string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byNamespace, namespace)
}

// renderer renders once for all namespaces in the same situation.
type renderer struct {
	mu    sync.Mutex
	byKey map[string]*policy.Rendered
}

// rendererCapacity bounds the number of different situations that are kept; a cluster has a handful.
const rendererCapacity = 512

func newRenderer() *renderer { return &renderer{byKey: map[string]*policy.Rendered{}} }

// render returns what the namespace should hold, and a key that changes whenever that may change.
func (r *renderer) render(s *situation) (*policy.Rendered, string) {
	key := keyOf(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if rendered, ok := r.byKey[key]; ok {
		return rendered, key
	}
	rendered := policy.Render(inputOf(s))
	for i := range rendered.Policies {
		shared.share(rendered.Policies[i].NetworkPolicy)
	}
	makeRoom(r.byKey, rendererCapacity)
	r.byKey[key] = rendered
	return rendered, key
}

// makeRoom keeps what is remembered for speed alone below a bound. All of it goes at once: what is still needed comes back
// with the next look.
func makeRoom[K comparable, V any](pool map[K]V, capacity int) {
	if len(pool) >= capacity {
		clear(pool)
	}
}

func inputOf(s *situation) policy.Input {
	return policy.Input{
		Baselines:        s.enforcing,
		NamespaceLabels:  s.labels,
		Facts:            s.facts,
		EgressRestricted: s.surroundings.EgressRestricted,
		AlsoDenied:       s.surroundings.Denied,
	}
}

func keyOf(s *situation) string {
	var key strings.Builder
	for _, b := range s.enforcing {
		fmt.Fprintf(&key, "%s/%d ", b.UID, b.Generation)
	}
	fmt.Fprintf(&key, "%s %v %v", policy.Sides(s.enforcing, s.labels), s.surroundings.Denied, s.surroundings.EgressRestricted)
	fmt.Fprintf(&key, " %d", s.factsVersion)
	return key.String()
}
