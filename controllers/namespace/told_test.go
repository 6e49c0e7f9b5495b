// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// emitted are the Events since the last call.
func (w *world) emitted() []string {
	var out []string
	for len(w.events) > 0 {
		out = append(out, <-w.events)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// samples is how many latencies a histogram has taken.
func samples(t *testing.T, name string) uint64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// A repair is an Event about the baseline and one about the policy, which says who did what; nothing else of a pass is one.
func TestRepairsAreEvents(t *testing.T) {
	w := newWorld(inForce(t, "a", denyAndDNS))
	w.pass(nil)
	if got := w.emitted(); len(got) > 0 {
		t.Errorf("the first writes are Events: %q", got)
	}
	w.edit("a-allow-dns", func(p *networkingv1.NetworkPolicy) {
		opened(p)
		p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl-edit", Time: &metav1.Time{Time: time.Unix(1, 0)}}}
	})
	delete(w.live, "a-default-deny")
	w.pass(nil)
	got := strings.Join(w.emitted(), "\n")
	for _, want := range []string{
		`NetworkPolicy shop/a-allow-dns was changed by field manager "kubectl-edit"; put it right`,
		"NetworkPolicy shop/a-default-deny was deleted by somebody; created it again",
	} {
		if !strings.Contains(got, "Warning Repaired "+want) {
			t.Errorf("no Event %q among\n%s", want, got)
		}
	}
	w.pass(nil)
	if got := w.emitted(); len(got) > 0 {
		t.Errorf("a pass without a write is told: %q", got)
	}
}

// A failure is told once, as long as it stays the same; a race that was lost is not.
func TestFailuresAreEventsOnce(t *testing.T) {
	w := newWorld(inForce(t, "a", denyAndDNS))
	w.pass(map[string]refusal{"a-allow-dns": refusalConflict})
	if got := w.emitted(); len(got) > 0 {
		t.Errorf("a race that was lost is told: %q", got)
	}
	w.pass(map[string]refusal{"a-allow-dns": refusalQuota})
	if got := w.emitted(); len(got) != 1 || got[0] != "Warning WriteRefused NetworkPolicy shop/a-allow-dns: refused: Quota" {
		t.Errorf("told %q", got)
	}
	p := w.reconciler.recall(w.observed(), time.Time{})
	again := outcome{failures: slices.Clone(w.outcome.failures)}
	again.failures[0].again = true
	w.reconciler.tellFailures(t.Context(), p, again)
	if got := w.emitted(); len(got) > 0 {
		t.Errorf("what failed in the same way before is told: %q", got)
	}
}

// A repair is timed as one, everything else that was woken as a convergence, and what failed goes on waiting.
func TestMeasure(t *testing.T) {
	dns := map[string]refusal{"a-allow-dns": refusalQuota}
	for _, tc := range []struct {
		name                string
		do                  func(*world)
		fails               map[string]refusal
		repaired, converged uint64
		waits               bool
	}{
		{"nothing to do", func(*world) {}, nil, 0, 0, false},
		{"new", func(w *world) { w.live = map[string]*networkingv1.NetworkPolicy{}; w.restart() }, nil, 0, 1, false},
		{"leaves", func(w *world) { w.baselines[0].Deleting = true }, nil, 0, 1, false},
		{"two repairs", func(w *world) { w.live = map[string]*networkingv1.NetworkPolicy{} }, nil, 2, 0, false},
		{"refused", func(w *world) { delete(w.live, "a-allow-dns") }, dns, 0, 0, true},
	} {
		w := newWorld(inForce(t, "a", denyAndDNS))
		w.pass(nil)
		w.pass(nil)
		tc.do(w)
		records := w.reconciler.records
		records.Woken("shop")
		repairs, convergences := samples(t, "netbaseline_repair_latency_seconds"), samples(t, "netbaseline_convergence_latency_seconds")
		w.pass(tc.fails)
		if got := samples(t, "netbaseline_repair_latency_seconds") - repairs; got != tc.repaired {
			t.Errorf("%s: %d repairs, want %d", tc.name, got, tc.repaired)
		}
		if got := samples(t, "netbaseline_convergence_latency_seconds") - convergences; got != tc.converged {
			t.Errorf("%s: converged %d times, want %d", tc.name, got, tc.converged)
		}
		if got := !records.byNamespace["shop"].woken.IsZero(); got != tc.waits {
			t.Errorf("%s: goes on waiting: %t, want %t", tc.name, got, tc.waits)
		}
	}
}
