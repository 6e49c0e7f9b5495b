// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

func gated(generation int64, preflight v1alpha1.PreflightPolicy) *v1alpha1.NetworkBaseline {
	return &v1alpha1.NetworkBaseline{
		ObjectMeta: metav1.ObjectMeta{UID: "uid", Generation: generation},
		Spec:       v1alpha1.NetworkBaselineSpec{Preflight: preflight},
	}
}

func TestGate(t *testing.T) {
	opened := 0
	g := newGate(func(*v1alpha1.NetworkBaseline) { opened++ })
	expect := func(step string, b *v1alpha1.NetworkBaseline, blocks bool, wantOpened int) {
		t.Helper()
		if got := g.blocks(b); got != blocks || opened != wantOpened {
			t.Errorf("%s: blocks %v, opened %d times; want %v, %d", step, got, opened, blocks, wantOpened)
		}
	}
	first, second := gated(1, v1alpha1.PreflightRequire), gated(2, v1alpha1.PreflightRequire)
	expect("before the first preflight", first, true, 0)
	expect("Warn is never blocked", gated(1, v1alpha1.PreflightWarn), false, 0)
	if !g.undecided(first) || g.undecided(gated(1, v1alpha1.PreflightWarn)) {
		t.Error("undecided before the first preflight, and never with Warn")
	}
	g.set(first, false)
	expect("it failed, which is news too", first, true, 1)
	g.set(first, false)
	expect("it failed again, which wakes nobody", first, true, 1)
	g.set(first, true)
	expect("it passed", first, false, 2)
	g.set(first, true)
	expect("it passed again, which wakes nobody", first, false, 2)
	expect("a new generation has to pass for itself", second, true, 2)
	if g.undecided(first) || !g.undecided(second) {
		t.Error("the first generation is decided, the second is not")
	}
	g.set(second, true)
	expect("and does", second, false, 3)
	expect("the old one is no more", first, true, 3)
	g.set(second, false)
	expect("what passed can fail", second, true, 3)
	g.set(second, true)
	expect("and pass", second, false, 4)
	g.forget("uid")
	expect("forgotten", second, true, 4)
}

func TestChecksAreDue(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := checks{}
	b := gated(1, v1alpha1.PreflightRequire)
	expect := func(step string, b *v1alpha1.NetworkBaseline, facts int64, after time.Duration, want bool) {
		t.Helper()
		if got := c.due(b, facts, now.Add(after)); got != want {
			t.Errorf("%s: due %v, want %v", step, got, want)
		}
	}
	expect("never made", b, 1, 0, true)
	c.note(b, 1, []finding{{"NotFound", "no DNS"}}, now)
	expect("just failed", b, 1, 4*time.Second, false)
	expect("failed a while ago", b, 1, 5*time.Second, true)
	expect("the facts changed", b, 2, 0, true)
	expect("the spec changed", gated(2, v1alpha1.PreflightRequire), 1, 0, true)
	c.note(b, 1, nil, now)
	expect("passed a minute ago", b, 1, time.Minute, false)
	expect("passed long ago", b, 1, 10*time.Minute, true)
}
