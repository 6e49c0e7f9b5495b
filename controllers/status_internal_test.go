// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

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
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// said are conditions as "<type>=<status>/<reason>: <message>", in order.
func said(conditions []metav1.Condition) []string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return out
}

func in(s state, desired, inSync int32) share {
	return share{State: s, Desired: desired, InSync: inSync}
}

func problem(namespace, name, reason, message string) v1alpha1.Problem {
	return v1alpha1.Problem{Namespace: namespace, Policy: name, Reason: reason, Message: message}
}

const (
	effective   = "Effective=True/NothingUndoesIt: no foreign policy undoes the baseline"
	nothingSeen = "Effective=Unknown/Converging: "
)

func TestNewStatus(t *testing.T) {
	refused := problem("shop", "p-deny", "WriteRefused", "creating: no")
	taken := problem("shop", "p-deny", "NameConflict", "taken")
	held := problem("shop", "p-deny", "PolicyTerminating", "held")
	undone := problem("shop", "theirs", "OpensEverything", "opens")
	failed, conflicted, terminated := in(stateFailed, 3, 1), in(stateConflicted, 3, 2), in(stateConflicted, 3, 2)
	failed.Problems = []v1alpha1.Problem{refused}
	conflicted.Problems = []v1alpha1.Problem{taken}
	terminated.Problems = []v1alpha1.Problem{held}
	leaving, stuck := share{State: statePending, Leaving: true}, share{State: stateFailed, Leaving: true, Problems: []v1alpha1.Problem{refused}}
	kept := share{State: statePending, Leaving: true, Problems: []v1alpha1.Problem{held}}
	waiting := share{State: statePending, Waiting: true}
	opened := in(stateInSync, 3, 3)
	opened.Undone = []v1alpha1.Problem{undone}
	pointless, impossible := in(stateInSync, 1, 1), in(stateInSync, 1, 1)
	pointless.Notes = []policy.Note{{Baseline: "production", Component: "allow-dns", Reason: "WithoutEffect", Message: "nothing is denied"}}
	impossible.Notes = []policy.Note{{Baseline: "production", Component: "allow-dns", Reason: "InvalidSpec", Message: "no range is left"}}
	missing := finding{Reason: "NotFound", Message: "allow-dns: the resolvers were not found"}
	passed := "Preflight=True/Found: everything that must be reachable was found"
	deleted := func(b *v1alpha1.NetworkBaseline) { b.DeletionTimestamp = &somewhen }
	audited := func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }
	repair := &v1alpha1.Repair{Time: metav1.NewTime(noon), Namespace: "shop", Policy: "p-deny", Action: "Deleted"}

	for _, test := range []struct {
		name       string
		baseline   func(*v1alpha1.NetworkBaseline)
		view       view
		want       v1alpha1.NetworkBaselineStatus
		conditions []string
	}{
		{"nothing looked at yet", nil, view{unseen: 3, protected: 2},
			v1alpha1.NetworkBaselineStatus{Namespaces: v1alpha1.NamespaceCounts{Selected: 3, Pending: 3, Protected: 2}},
			[]string{nothingSeen + "3 namespaces not looked at yet", "Ready=Unknown/Converging: 0 of 3 namespaces in sync", "Reconciling=True/Converging: 0 of 3 namespaces in sync"}},
		{"half-way", nil, view{unseen: 1, shares: []share{in(stateInSync, 3, 3), in(statePending, 3, 1)}},
			v1alpha1.NetworkBaselineStatus{Namespaces: v1alpha1.NamespaceCounts{Selected: 3, InSync: 1, Pending: 2}, Policies: v1alpha1.PolicyCounts{Desired: 6, InSync: 4}},
			[]string{nothingSeen + "1 namespace not looked at yet", "Ready=Unknown/Converging: 1 of 3 namespaces in sync", "Reconciling=True/Converging: 1 of 3 namespaces in sync"}},
		{"in sync", nil, view{checked: true, shares: []share{in(stateInSync, 3, 3), in(stateInSync, 2, 2)}},
			v1alpha1.NetworkBaselineStatus{Namespaces: v1alpha1.NamespaceCounts{Selected: 2, InSync: 2}, Policies: v1alpha1.PolicyCounts{Desired: 5, InSync: 5}},
			[]string{effective, passed, "Ready=True/InSync: 2 of 2 namespaces in sync"}},
		{"no namespaces", nil, view{protected: 1},
			v1alpha1.NetworkBaselineStatus{Namespaces: v1alpha1.NamespaceCounts{Protected: 1}},
			[]string{effective, "Ready=True/NoNamespacesSelected: no namespace matches namespaceSelector, so there is nothing to do"}},
		{"a refused write, beside a conflict and namespaces to come", nil, view{unseen: 1, shares: []share{in(stateInSync, 3, 3), conflicted, failed}},
			v1alpha1.NetworkBaselineStatus{
				Namespaces: v1alpha1.NamespaceCounts{Selected: 4, InSync: 1, Pending: 1, Failed: 1, Conflicted: 1},
				Policies:   v1alpha1.PolicyCounts{Desired: 9, InSync: 6}, Problems: []v1alpha1.Problem{taken, refused},
			},
			[]string{nothingSeen + "1 namespace not looked at yet", "Ready=False/WriteRefused: 1 of 4 namespaces in sync; shop/p-deny: creating: no"}},
		{"a conflict", nil, view{shares: []share{conflicted}},
			v1alpha1.NetworkBaselineStatus{Namespaces: v1alpha1.NamespaceCounts{Selected: 1, Conflicted: 1}, Policies: v1alpha1.PolicyCounts{Desired: 3, InSync: 2}, Problems: []v1alpha1.Problem{taken}},
			[]string{effective, "Ready=False/NameConflict: 0 of 1 namespace in sync; shop/p-deny: taken"}},
		{"a policy held in deletion", nil, view{shares: []share{terminated}},
			v1alpha1.NetworkBaselineStatus{Namespaces: v1alpha1.NamespaceCounts{Selected: 1, Conflicted: 1}, Policies: v1alpha1.PolicyCounts{Desired: 3, InSync: 2}, Problems: []v1alpha1.Problem{held}},
			[]string{effective, "Ready=False/PolicyTerminating: 0 of 1 namespace in sync; shop/p-deny: held"}},
		{"namespaces that are left", nil, view{shares: []share{leaving, in(stateInSync, 1, 1)}},
			v1alpha1.NetworkBaselineStatus{Namespaces: v1alpha1.NamespaceCounts{Selected: 1, InSync: 1}, Policies: v1alpha1.PolicyCounts{Desired: 1, InSync: 1}},
			[]string{effective, "Ready=Unknown/Converging: 1 of 1 namespace in sync", "Reconciling=True/Converging: 1 of 1 namespace in sync"}},
		{"a namespace that cannot be left", nil, view{shares: []share{stuck}},
			v1alpha1.NetworkBaselineStatus{Problems: []v1alpha1.Problem{refused}},
			[]string{effective, "Ready=False/WriteRefused: 0 of 0 namespaces in sync; shop/p-deny: creating: no"}},
		{"being deleted", deleted, view{shares: []share{leaving, leaving}},
			v1alpha1.NetworkBaselineStatus{},
			[]string{effective, "Ready=Unknown/Deleting: removing policies, 2 namespaces left", "Reconciling=True/Deleting: removing policies, 2 namespaces left"}},
		{"being deleted, and not looked at since", deleted, view{},
			v1alpha1.NetworkBaselineStatus{},
			[]string{effective, "Ready=Unknown/Deleting: removing policies", "Reconciling=True/Deleting: removing policies"}},
		{"being deleted, and held", deleted, view{shares: []share{leaving, kept}},
			v1alpha1.NetworkBaselineStatus{Problems: []v1alpha1.Problem{held}},
			[]string{effective, "Ready=Unknown/Deleting: removing policies, 2 namespaces left; shop/p-deny: held", "Reconciling=True/Deleting: removing policies, 2 namespaces left; shop/p-deny: held"}},
		{"being deleted, and refused", deleted, view{shares: []share{leaving, stuck}},
			v1alpha1.NetworkBaselineStatus{Problems: []v1alpha1.Problem{refused}},
			[]string{effective, "Ready=False/WriteRefused: 0 of 0 namespaces in sync; shop/p-deny: creating: no"}},
		{"a spec that cannot be followed", nil, view{invalid: errors.New("spec.namespaceSelector: no")},
			v1alpha1.NetworkBaselineStatus{},
			[]string{effective, "Ready=False/InvalidSpec: spec.namespaceSelector: no", "Stalled=True/InvalidSpec: spec.namespaceSelector: no"}},
		{"a component that cannot be rendered", nil, view{shares: []share{impossible, impossible}},
			v1alpha1.NetworkBaselineStatus{
				Namespaces: v1alpha1.NamespaceCounts{Selected: 2, InSync: 2}, Policies: v1alpha1.PolicyCounts{Desired: 2, InSync: 2},
				Problems: []v1alpha1.Problem{problem("", "", "InvalidSpec", "allow-dns: no range is left (2 namespaces)")},
			},
			[]string{effective, "Ready=False/InvalidSpec: allow-dns: no range is left", "Stalled=True/InvalidSpec: allow-dns: no range is left"}},
		{"a component without effect", nil, view{shares: []share{pointless, in(stateInSync, 1, 1)}},
			v1alpha1.NetworkBaselineStatus{
				Namespaces: v1alpha1.NamespaceCounts{Selected: 2, InSync: 2}, Policies: v1alpha1.PolicyCounts{Desired: 2, InSync: 2},
				Problems: []v1alpha1.Problem{problem("", "", "WithoutEffect", "allow-dns: nothing is denied (1 namespace)")},
			},
			[]string{effective, "Ready=True/InSync: 2 of 2 namespaces in sync"}},
		{"waiting for the preflight", nil, view{checked: true, findings: []finding{missing}, shares: []share{waiting, in(stateInSync, 1, 1)}},
			v1alpha1.NetworkBaselineStatus{
				Namespaces: v1alpha1.NamespaceCounts{Selected: 2, InSync: 1, Pending: 1}, Policies: v1alpha1.PolicyCounts{Desired: 1, InSync: 1},
				Problems: []v1alpha1.Problem{problem("", "", "NotFound", missing.Message)},
			},
			[]string{effective, "Preflight=False/NotFound: " + missing.Message, "Ready=False/PreflightFailed: nothing is written in 1 namespace yet: " + missing.Message}},
		{"enforced already when the preflight fails", nil, view{checked: true, findings: []finding{missing}, shares: []share{in(stateInSync, 1, 1)}},
			v1alpha1.NetworkBaselineStatus{
				Namespaces: v1alpha1.NamespaceCounts{Selected: 1, InSync: 1}, Policies: v1alpha1.PolicyCounts{Desired: 1, InSync: 1},
				Problems: []v1alpha1.Problem{problem("", "", "NotFound", missing.Message)},
			},
			[]string{effective, "Preflight=False/NotFound: " + missing.Message, "Ready=True/InSync: 1 of 1 namespace in sync"}},
		{"undone by somebody", nil, view{shares: []share{opened}},
			v1alpha1.NetworkBaselineStatus{
				Namespaces: v1alpha1.NamespaceCounts{Selected: 1, InSync: 1}, Policies: v1alpha1.PolicyCounts{Desired: 3, InSync: 3}, Problems: []v1alpha1.Problem{undone},
			},
			[]string{"Effective=False/OpensEverything: undone in 1 namespace; shop/theirs: opens", "Ready=True/InSync: 1 of 1 namespace in sync"}},
		{"audited", audited, view{shares: []share{
			{State: statePending, Desired: 3, Audit: audit{Create: 2, Change: 1}}, {State: statePending, Audit: audit{Remove: 1}}, in(stateInSync, 3, 3),
		}},
			v1alpha1.NetworkBaselineStatus{
				Namespaces: v1alpha1.NamespaceCounts{Selected: 3, InSync: 1, Pending: 2}, Policies: v1alpha1.PolicyCounts{Desired: 6, InSync: 3},
				Audit: &v1alpha1.AuditCounts{Namespaces: 2, Create: 2, Change: 1, Remove: 1},
			},
			[]string{effective, "Ready=Unknown/Audit: nothing is enforced: mode Enforce would create 2, change 1 and remove 1 policies in 2 namespaces"}},
		{"repairs since the last status", func(b *v1alpha1.NetworkBaseline) { b.Status.Repairs.Total = 4 }, view{repairs: repairs{3, repair}},
			v1alpha1.NetworkBaselineStatus{Repairs: v1alpha1.Repairs{Total: 7, Last: repair}},
			[]string{effective, "Ready=True/NoNamespacesSelected: no namespace matches namespaceSelector, so there is nothing to do"}},
		{"no repairs since", func(b *v1alpha1.NetworkBaseline) { b.Status.Repairs = v1alpha1.Repairs{Total: 4, Last: repair} }, view{},
			v1alpha1.NetworkBaselineStatus{Repairs: v1alpha1.Repairs{Total: 4, Last: repair}},
			[]string{effective, "Ready=True/NoNamespacesSelected: no namespace matches namespaceSelector, so there is nothing to do"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "production", Generation: 5}}
			b.Spec.Mode, b.Status.ObservedGeneration = "Enforce", -1
			if test.baseline != nil {
				test.baseline(b)
			}
			got := newStatus(b, test.view, noon)
			if conditions := said(got.Conditions); !slices.Equal(conditions, test.conditions) {
				t.Errorf("conditions:\n%s\nwant:\n%s", strings.Join(conditions, "\n"), strings.Join(test.conditions, "\n"))
			}
			for _, c := range got.Conditions {
				if c.ObservedGeneration != 5 || !c.LastTransitionTime.Equal(&metav1.Time{Time: noon}) {
					t.Errorf("%s is of generation %d and %s", c.Type, c.ObservedGeneration, c.LastTransitionTime)
				}
			}
			got.Conditions, test.want.ObservedGeneration = nil, 5
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// A status that says the same keeps its times, and is not written; one that does not drops what no longer holds.
func TestNewStatusKeepsAndDrops(t *testing.T) {
	b := &v1alpha1.NetworkBaseline{}
	b.Status = newStatus(b, view{unseen: 1}, noon)
	later := noon.Add(time.Hour)
	if again := newStatus(b, view{unseen: 1}, later); !reflect.DeepEqual(again, b.Status) {
		t.Errorf("nothing changed, and the status did: %+v", again)
	}
	b.Status = newStatus(b, view{shares: []share{in(stateInSync, 1, 1)}}, later)
	if got := said(b.Status.Conditions); !slices.Equal(got, []string{effective, "Ready=True/InSync: 1 of 1 namespace in sync"}) {
		t.Errorf("%v", got)
	}
	if at := b.Status.Conditions[1].LastTransitionTime; !at.Time.Equal(later) {
		t.Errorf("Ready changed at %s, want %s", at, later)
	}
}

func TestNewStatusDoesNotDependOnOrder(t *testing.T) {
	var v view
	for i := range 80 {
		name := fmt.Sprintf("ns-%02d", i)
		v.add(share{
			State: stateFailed, Desired: 1,
			Problems: []v1alpha1.Problem{problem(name, "p", "WriteRefused", "no"), problem(name, "q", "WriteRefused", "no")},
			Undone:   []v1alpha1.Problem{problem(name, "theirs", "OpensEverything", "opens")},
			Notes:    []policy.Note{{Component: "allow-dns", Reason: "InvalidSpec", Message: fmt.Sprint(i % 7)}, {Component: "allow-dns", Reason: "WithoutEffect", Message: fmt.Sprint(i % 5)}},
		})
	}
	want := newStatus(&v1alpha1.NetworkBaseline{}, v, noon)
	if len(want.Problems) != 50 || want.MoreProblems != 80*3+7+5-50 {
		t.Errorf("%d problems and %d more", len(want.Problems), want.MoreProblems)
	}
	if !slices.IsSortedFunc(want.Problems, func(a, b v1alpha1.Problem) int {
		return strings.Compare(a.Namespace+"\x00"+a.Policy, b.Namespace+"\x00"+b.Policy)
	}) {
		t.Error("the problems are not sorted")
	}
	for range 20 {
		rand.Shuffle(len(v.shares), func(i, j int) { v.shares[i], v.shares[j] = v.shares[j], v.shares[i] })
		if got := newStatus(&v1alpha1.NetworkBaseline{}, v, noon); !reflect.DeepEqual(got, want) {
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
