// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// TestNewStatus is what a status counts and lists. Conditions have tests of their own.
func TestNewStatus(t *testing.T) {
	failed := in("failed", 3, 1)
	failed.Failures = []v1alpha1.Problem{problem("shop", "p-deny", "WriteRefused", "no")}
	stuck := leavingIn("failed", failed.Failures...)
	pointless := in("inSync", 1, 1)
	pointless.Notes = []policy.Note{{Baseline: "production", Component: "allow-dns", Reason: "WithoutEffect", Message: "nothing is denied"}}
	audits := func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }
	repair := &v1alpha1.Repair{Time: metav1.NewTime(noon), Namespace: "shop", Policy: "p-deny", Action: "Deleted"}
	inForce := v1alpha1.NetworkBaselineStatus{CurrentRevision: "r1", UpdateRevision: "r1"}
	with := func(change func(*v1alpha1.NetworkBaselineStatus)) v1alpha1.NetworkBaselineStatus {
		s := *inForce.DeepCopy()
		change(&s)
		return s
	}
	for _, tc := range []struct {
		name     string
		baseline func(*v1alpha1.NetworkBaseline)
		view     view
		want     v1alpha1.NetworkBaselineStatus
	}{
		{"nothing", nil, view{}, inForce},
		{"states", nil, view{pending: 2, waiting: 3, protected: []string{"kube-system"}, results: []result.Result{in("inSync", 3, 3), failed, in("pending", 3, 2), in("waiting", 0, 0)}},
			with(func(s *v1alpha1.NetworkBaselineStatus) {
				s.Namespaces = v1alpha1.NamespaceCounts{Selected: 9, InSync: 1, Pending: 3, Failed: 1, Waiting: 4, Protected: 1}
				s.Policies, s.Problems = v1alpha1.PolicyCounts{Desired: 9, InSync: 6}, failed.Failures
			})},
		{"a namespace that cannot be left does not count as selected", nil, view{results: []result.Result{stuck, in("inSync", 1, 1)}},
			with(func(s *v1alpha1.NetworkBaselineStatus) {
				s.Namespaces, s.Policies, s.Problems = v1alpha1.NamespaceCounts{Selected: 1, InSync: 1}, v1alpha1.PolicyCounts{Desired: 1, InSync: 1}, failed.Failures
			})},
		{"notes are told once", nil, view{results: []result.Result{pointless, pointless}},
			with(func(s *v1alpha1.NetworkBaselineStatus) {
				s.Namespaces, s.Policies = v1alpha1.NamespaceCounts{Selected: 2, InSync: 2}, v1alpha1.PolicyCounts{Desired: 2, InSync: 2}
				s.Problems = []v1alpha1.Problem{problem("", "", "WithoutEffect", "allow-dns: nothing is denied (2 namespaces)")}
			})},
		{"audited", audits, view{results: []result.Result{audited(2, 1, 0), audited(0, 0, 1), audited(0, 0, 0)}},
			with(func(s *v1alpha1.NetworkBaselineStatus) {
				s.Namespaces = v1alpha1.NamespaceCounts{Selected: 3, InSync: 3}
				s.Audit = &v1alpha1.AuditCounts{Namespaces: 2, Create: 2, Change: 1, Remove: 1}
			})},
		{"repairs since the last status", func(b *v1alpha1.NetworkBaseline) { b.Status.Repairs.Total = 4 }, view{repairs: result.Repairs{Count: 3, Last: repair}},
			with(func(s *v1alpha1.NetworkBaselineStatus) { s.Repairs = v1alpha1.Repairs{Total: 7, Last: repair} })},
		{"no repairs since", func(b *v1alpha1.NetworkBaseline) { b.Status.Repairs = v1alpha1.Repairs{Total: 4, Last: repair} }, view{},
			with(func(s *v1alpha1.NetworkBaselineStatus) { s.Repairs = v1alpha1.Repairs{Total: 4, Last: repair} })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := enforced()
			b.Status.ObservedGeneration = 3
			if tc.baseline != nil {
				tc.baseline(b)
			}
			tc.view.update = "r1"
			got := newStatus(b, &tc.view, noon)
			for _, c := range got.Conditions {
				if c.ObservedGeneration != 5 || !c.LastTransitionTime.Time.Equal(noon) {
					t.Errorf("%s is of generation %d and %s", c.Type, c.ObservedGeneration, c.LastTransitionTime)
				}
			}
			got.Conditions, tc.want.ObservedGeneration = nil, 5
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

// The revisions of a status move as its namespaces and its preflight let them.
func TestNewStatusAdvances(t *testing.T) {
	passed, failed := &check{revision: "r2"}, &check{revision: "r2", findings: []finding{{"NotFound", "no"}}}
	leaving := leavingIn("pending")
	for _, tc := range []struct {
		name, from string
		baseline   func(*v1alpha1.NetworkBaseline)
		view       view
		want       string
	}{
		{"admitted", "r1 r1", nil, view{check: passed}, "r1 r2*"},
		{"missing", "r1 r1", nil, view{check: failed}, "r1 r2"},
		{"missing, and only said", "r1 r1", func(b *v1alpha1.NetworkBaseline) { b.Spec.Preflight = "Warn" }, view{check: failed}, "r1 r2*"},
		{"no check yet", "r1 r1", func(b *v1alpha1.NetworkBaseline) { b.Spec.Preflight = "Warn" }, view{}, "r1 r2"},
		{"the check is of the revision before", "r1 r1", nil, view{check: &check{revision: "r1"}}, "r1 r2"},
		{"everywhere", "r1 r2*", nil, view{check: passed, results: []result.Result{in("inSync", 1, 1)}}, "r2 r2"},
		{"everywhere, and the preflight fails", "r1 r2*", nil, view{check: failed, results: []result.Result{in("inSync", 1, 1)}}, "r2 r2"},
		{"no namespace", "r1 r2*", nil, view{check: passed}, "r2 r2"},
		{"one not decided yet", "r1 r2*", nil, view{check: passed, pending: 1}, "r1 r2*"},
		{"one waits for another baseline", "r1 r2*", nil, view{check: passed, waiting: 1}, "r1 r2*"},
		{"one refused", "r1 r2*", nil, view{check: passed, results: []result.Result{in("failed", 1, 0)}}, "r1 r2*"},
		{"one still to be left", "r1 r2*", nil, view{check: passed, results: []result.Result{leaving}}, "r1 r2*"},
		{"audit admits nothing", "r1 r1", func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }, view{check: passed}, "r1 r2"},
		{"audit ends no rollout", "r1 r2*", func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }, view{check: passed}, "r1 r2*"},
		{"an invalid spec moves nothing", "r1 r1", nil, view{check: passed, invalid: errors.New("no")}, "r1 r1"},
		{"a revision that is not stored moves nothing", "r1 r1", nil, view{check: passed, unstored: errors.New("no")}, "r1 r1"},
		{"deletion moves nothing", "r1 r1", deleted, view{check: passed}, "r1 r1"},
	} {
		b := enforced()
		b.Status = *statusAt(t, tc.from)
		if tc.baseline != nil {
			tc.baseline(b)
		}
		tc.view.update = "r2"
		status := newStatus(b, &tc.view, noon)
		if got := position(&status); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// A status that says the same keeps its times, and is not written; one that does not drops what no longer holds.
func TestNewStatusKeepsAndDrops(t *testing.T) {
	b := enforced()
	b.Status = newStatus(b, &view{update: "r1", pending: 1}, noon)
	later := noon.Add(time.Hour)
	if again := newStatus(b, &view{update: "r1", pending: 1}, later); !reflect.DeepEqual(again, b.Status) {
		t.Errorf("nothing changed, and the status did: %+v", again)
	}
	b.Status = newStatus(b, &view{update: "r1", results: []result.Result{in("inSync", 1, 1)}}, later)
	if got := said(b.Status.Conditions); !slices.Equal(got, []string{effective, "Ready=True/InSync: 1 of 1 namespace in sync"}) {
		t.Errorf("%v", got)
	}
	if at := b.Status.Conditions[1].LastTransitionTime; !at.Time.Equal(later) {
		t.Errorf("Ready changed at %s, want %s", at, later)
	}
}

func TestNewStatusDoesNotDependOnOrder(t *testing.T) {
	v := view{update: "r1"}
	for i := range 80 {
		name := fmt.Sprintf("ns-%02d", i)
		r := in("failed", 1, 0)
		r.For.Baseline = fmt.Sprintf("other-%d", i%3)
		r.Failures = []v1alpha1.Problem{problem(name, "p", "WriteRefused", "no"), problem(name, "q", "WriteRefused", "no")}
		r.Overrides = []v1alpha1.Problem{problem(name, "theirs", "OpenToEveryone", "opens")}
		r.Notes = []policy.Note{{Component: "allow-dns", Reason: "InvalidSpec", Message: fmt.Sprint(i % 7)}, {Component: "allow-dns", Reason: "WithoutEffect", Message: fmt.Sprint(i % 5)}}
		v.results = append(v.results, r)
	}
	want := newStatus(enforced(), &v, noon)
	for range 20 {
		rand.Shuffle(len(v.results), func(i, j int) { v.results[i], v.results[j] = v.results[j], v.results[i] })
		if got := newStatus(enforced(), &v, noon); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order, another status:\n%v\n%v", said(got.Conditions), said(want.Conditions))
		}
	}
}

func TestBounded(t *testing.T) {
	for _, test := range []struct {
		name, message string
		length        int
	}{
		{"short", "no", 2},
		{"as long as may be", strings.Repeat("a", 1024), 1024},
		{"one too long", strings.Repeat("a", 1025), 1024},
		{"characters of two bytes", strings.Repeat("é", 600), 1023},
		{"of two bytes, shifted", "a" + strings.Repeat("é", 600), 1024},
		{"of three bytes", strings.Repeat("…", 400), 1023},
		{"of four bytes", strings.Repeat("😀", 300), 1023},
		{"of four bytes, shifted", "abc" + strings.Repeat("😀", 300), 1022},
	} {
		got := bounded(test.message)
		if len(got) != test.length || !utf8.ValidString(got) {
			t.Errorf("%s: %d bytes, want %d; valid: %t", test.name, len(got), test.length, utf8.ValidString(got))
		}
		if len(test.message) > 1024 && (!strings.HasSuffix(got, "…") || !strings.HasPrefix(test.message, strings.TrimSuffix(got, "…"))) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
