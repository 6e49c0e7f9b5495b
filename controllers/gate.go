// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// gate keeps baselines whose preflight has not passed out of namespaces that they do not enforce yet.
type gate struct {
	mu     sync.Mutex
	judged map[types.UID]int64 // the generation whose preflight was made
	passed map[types.UID]int64 // the generation that passed
	opened func(*v1alpha1.NetworkBaseline)
}

// newGate returns a closed gate that calls opened for each baseline that it lets through, or has judged for the first
// time.
func newGate(opened func(*v1alpha1.NetworkBaseline)) *gate {
	return &gate{judged: map[types.UID]int64{}, passed: map[types.UID]int64{}, opened: opened}
}

// blocks says whether the baseline may not be enforced where it is not yet. Unknown blocks too: the preflight runs as
// soon as a baseline is seen.
func (g *gate) blocks(b *v1alpha1.NetworkBaseline) bool {
	if b.Spec.Preflight == v1alpha1.PreflightWarn {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed[b.UID] != b.Generation
}

// undecided says whether the baseline's preflight is still to be made, so that nobody knows whether it will be let in.
func (g *gate) undecided(b *v1alpha1.NetworkBaseline) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return b.Spec.Preflight != v1alpha1.PreflightWarn && g.judged[b.UID] != b.Generation
}

// set tells how a preflight ended.
func (g *gate) set(b *v1alpha1.NetworkBaseline, passed bool) {
	g.mu.Lock()
	was, first := g.passed[b.UID] == b.Generation, g.judged[b.UID] != b.Generation
	g.judged[b.UID] = b.Generation
	if passed {
		g.passed[b.UID] = b.Generation
	} else {
		delete(g.passed, b.UID)
	}
	g.mu.Unlock()
	if passed && !was || first {
		g.opened(b)
	}
}

// forget drops a baseline that is gone.
func (g *gate) forget(uid types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.passed, uid)
	delete(g.judged, uid)
}
