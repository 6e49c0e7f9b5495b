// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
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

// in is the result of a selected namespace.
func in(s result.State, desired, inSync int32) result.Result {
	return result.Result{State: s, Selected: true, Told: policy.Told{Desired: desired, InSync: inSync}}
}

// leavingIn is the result of a namespace that the baseline leaves.
func leavingIn(s result.State, failures ...v1alpha1.Problem) result.Result {
	return result.Result{State: s, Failures: failures, Told: policy.Told{Leaving: true}}
}

// audited is the result of a namespace that is audited.
func audited(creates, changes, removes int32) result.Result {
	r := in("inSync", 0, 0)
	r.Audit = policy.Audit{Create: creates, Change: changes, Remove: removes}
	return r
}

func problem(namespace, name, reason, message string) v1alpha1.Problem {
	return v1alpha1.Problem{Namespace: namespace, Policy: name, Reason: reason, Message: message}
}

const (
	effective    = "Effective=True/Effective: no live policy overrides the baseline"
	notEvaluated = "Effective=Unknown/Converging: "
)

// enforced is a baseline whose revision r1 is in force everywhere.
func enforced() *v1alpha1.NetworkBaseline {
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "production", Generation: 5}}
	b.Spec.Mode = "Enforce"
	b.Status.CurrentRevision, b.Status.UpdateRevision = "r1", "r1"
	return b
}

func deleted(b *v1alpha1.NetworkBaseline) { b.DeletionTimestamp = &metav1.Time{Time: noon} }

// fresh is a baseline of which nothing was admitted.
func fresh(b *v1alpha1.NetworkBaseline) {
	b.Status.CurrentRevision, b.Status.UpdateRevision = "", ""
}

func TestConditions(t *testing.T) {
	refused := problem("shop", "p-deny", "WriteRefused", "creating: no")
	failed, opened, reopened := in("failed", 3, 1), in("inSync", 3, 3), in("inSync", 3, 3)
	failed.Failures = []v1alpha1.Problem{refused}
	altered := in("failed", 3, 1)
	altered.Failures = []v1alpha1.Problem{problem("shop", "p-deny", "WriteAltered", "another spec.egress")}
	opened.Overrides = []v1alpha1.Problem{problem("shop", "theirs", "OpenToEveryone", "opens")}
	reopened.Overrides = []v1alpha1.Problem{problem("blog", "other", "MetadataReopened", "reopens")}
	leaving, stuck := leavingIn("pending"), leavingIn("failed", failed.Failures...)
	terminating := leavingIn("pending")
	terminating.Problems = []v1alpha1.Problem{problem("shop", "p-deny", "PolicyTerminating", "held by finalizers")}
	kept := leavingIn("inSync")
	kept.Held = "Retain cannot keep its block"
	waiting, waitingFor := in("waiting", 0, 0), in("waiting", 0, 0)
	waiting.For.Admission, waitingFor.For.Baseline = true, "platform"
	lost := in("waiting", 0, 0)
	lost.For.Revision = "production-lost"
	impossible := in("inSync", 1, 1)
	impossible.Notes = []policy.Note{{Baseline: "production", Component: "allow-dns", Reason: "InvalidSpec", Message: "no range is left"}}
	keptPolicies := audited(2, 1, 0)
	keptPolicies.Kept = 3
	missing := &check{revision: "r1", findings: []finding{{"NotFound", "allow-dns: no resolvers"}, {"HostNetwork", "allow-monitoring: on the host"}}}
	broken := &check{revision: "r1", err: errors.New("pods is forbidden")}
	audits := func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }
	next := func(b *v1alpha1.NetworkBaseline) { b.Status.CurrentRevision, b.Status.UpdateRevision = "r0", "r0" }
	const (
		preflightMissing = "Preflight=False/NotFound: allow-dns: no resolvers\nallow-monitoring: on the host"
		preflightBroken  = "Preflight=Unknown/CheckFailed: pods is forbidden"
		inSync           = "Ready=True/InSync: 1 of 1 namespace in sync"
	)
	both := func(says string) []string { return []string{"Ready=Unknown/" + says, "Reconciling=True/" + says} }
	failing := func(says string) []string { return []string{"Ready=False/" + says, "Stalled=True/" + says} }
	one := []result.Result{in("inSync", 1, 1)}
	list := func(first string, more ...string) []string { return append([]string{first}, more...) }
	for _, tc := range []struct {
		name     string
		baseline func(*v1alpha1.NetworkBaseline)
		view     view
		want     []string
	}{
		{"no namespace", nil, view{}, list(effective, "Ready=True/NoNamespacesSelected: no namespace matches namespaceSelector, so there is nothing to do")},
		{"only protected ones", nil, view{protected: []string{"kube-system"}}, list(effective,
			"Ready=True/NoNamespacesSelected: namespaceSelector matches nothing else, so there is nothing to do; protected and left alone: kube-system (to govern one, name it in spec.includedProtectedNamespaces)")},
		{"in sync", nil, view{results: one, check: &check{revision: "r1"}}, list(effective, "Preflight=True/Found: everything that must be reachable was found", inSync)},
		{"in sync, and protected ones", nil, view{results: one, protected: []string{"kube-system"}}, list(effective,
			inSync+"; protected and left alone: kube-system (to govern one, name it in spec.includedProtectedNamespaces)")},
		{"a new namespace", nil, view{results: one, pending: 1}, list(notEvaluated+"1 namespace not evaluated yet", both("Converging: 1 of 2 namespaces in sync")...)},
		{"a namespace that is left", nil, view{results: append(slices.Clone(one), leaving)}, list(effective, both("Converging: 1 of 1 namespace in sync")...)},
		{"refused", nil, view{results: append(slices.Clone(one), failed)}, list(effective, "Ready=False/WriteRefused: 1 of 2 namespaces in sync; shop/p-deny: creating: no")},
		{"altered, and by whom", nil, view{results: []result.Result{altered}, mutating: []string{"a.example.com", "b.example.com"}}, list(effective,
			"Ready=False/WriteAltered: 0 of 1 namespace in sync; shop/p-deny: another spec.egress; mutating webhooks that match NetworkPolicies: a.example.com, b.example.com; exempt the generated policies, or the user that the operator runs as, from the webhook. It is tried again by itself")},
		{"a namespace that cannot be left", nil, view{results: []result.Result{stuck}}, list(effective, "Ready=False/WriteRefused: 0 of 0 namespaces in sync; shop/p-deny: creating: no")},
		{"an invalid spec", nil, view{invalid: errors.New("spec.namespaceSelector: no")}, list(effective, failing("InvalidSpec: spec.namespaceSelector: no")...)},
		{"an invalid component", nil, view{results: []result.Result{impossible, failed}}, list(effective, failing("InvalidSpec: allow-dns: no range is left")...)},
		{"a revision that cannot be stored", nil, view{unstored: errors.New("forbidden")}, list(effective,
			"Ready=False/RevisionUnavailable: forbidden: the operator needs this namespace, and the right to write ControllerRevisions there")},
		{"a revision that cannot be read", nil, view{results: []result.Result{lost}}, list(effective,
			"Ready=False/RevisionUnavailable: revision production-lost, which is in force, cannot be read: its policies stay as they are, unrepaired, until the spec's own revision is admitted")},

		{"not admitted", fresh, view{check: missing, results: []result.Result{waiting}}, list(effective, preflightMissing, "Ready=False/PreflightFailed: nothing is written in 1 namespace yet: allow-dns: no resolvers")},
		{"not admitted, not looked at", fresh, view{check: missing, waiting: 2}, list(notEvaluated+"2 namespaces not evaluated yet", preflightMissing, "Ready=False/PreflightFailed: nothing is written in 2 namespaces yet: allow-dns: no resolvers")},
		{"not checked yet", fresh, view{waiting: 1}, list(notEvaluated+"1 namespace not evaluated yet", both("Converging: nothing is written in 1 namespace yet")...)},
		{"the check fails", fresh, view{check: broken, waiting: 1}, list(notEvaluated+"1 namespace not evaluated yet",
			list(preflightBroken, both("CheckFailed: nothing is written in 1 namespace yet: the preflight could not be made: pods is forbidden")...)...)},
		{"a new revision is not admitted", next, view{check: missing, results: one}, list(effective, preflightMissing, "Ready=False/PreflightFailed: revision r0 stays in force: allow-dns: no resolvers")},
		{"the check of a new revision fails", next, view{check: broken, results: one}, list(effective,
			list(preflightBroken, both("CheckFailed: revision r0 stays in force: the preflight could not be made: pods is forbidden")...)...)},
		{"admitted in this very status", fresh, view{check: &check{revision: "r1"}, waiting: 1}, list(notEvaluated+"1 namespace not evaluated yet",
			list("Preflight=True/Found: everything that must be reachable was found", both("Converging: 0 of 1 namespace in sync")...)...)},
		{"the preflight fails later: it takes nothing away", nil, view{check: missing, results: one}, list(effective, preflightMissing, inSync)},
		{"the check fails later: it takes nothing away", nil, view{check: broken, results: one}, list(effective, preflightBroken, inSync)},
		{"waiting for another baseline", nil, view{results: append(slices.Clone(one), waitingFor)}, list(effective,
			both("WaitingForBaseline: 1 of 2 namespaces in sync; 1 namespace waits for the admission of baseline platform, which selects them too: one baseline's deny without the other's allows would cut traffic")...)},
		{"several are waiting", nil, view{results: []result.Result{waitingFor, waitingFor}}, list(effective,
			both("WaitingForBaseline: 0 of 2 namespaces in sync; 2 namespaces wait for the admission of baseline platform, which selects them too: one baseline's deny without the other's allows would cut traffic")...)},

		{"audited", audits, view{results: []result.Result{audited(2, 1, 0), audited(0, 0, 1)}}, list(effective,
			"Ready=Unknown/Audit: nothing of the baseline is in force; mode Enforce would create 2, change 1 and remove 1 policies in 2 namespaces")},
		{"audited, and in force", audits, view{results: []result.Result{keptPolicies}}, list(effective,
			"Ready=Unknown/Audit: 3 policies stay in force, unrepaired; mode Enforce would create 2, change 1 and remove 0 policies in 1 namespace")},
		{"audited, and never admitted", func(b *v1alpha1.NetworkBaseline) { fresh(b); audits(b) }, view{check: missing, results: []result.Result{audited(2, 0, 0)}}, list(effective, preflightMissing,
			"Ready=Unknown/Audit: nothing of the baseline is in force; mode Enforce would create 2, change 0 and remove 0 policies in 1 namespace")},
		{"audited, and not looked at", audits, view{pending: 1}, list(notEvaluated+"1 namespace not evaluated yet", both("Converging: 0 of 1 namespace in sync")...)},

		{"being deleted", deleted, view{results: []result.Result{leaving, leaving}}, list(effective, both("Deleting: removing policies, 2 namespaces left")...)},
		{"being deleted, and not looked at since", deleted, view{}, list(effective, both("Deleting: removing policies")...)},
		{"being deleted, and held by a finalizer", deleted, view{results: []result.Result{leaving, terminating}}, list(effective,
			both("Deleting: removing policies, 2 namespaces left; shop/p-deny: held by finalizers")...)},
		{"being deleted, and needed by others", deleted, view{results: []result.Result{terminating, kept}}, list(effective,
			both("Deleting: removing policies, 2 namespaces left; Retain cannot keep its block")...)},
		{"being deleted, and refused", deleted, view{results: []result.Result{leaving, stuck}}, list(effective, "Ready=False/WriteRefused: 0 of 0 namespaces in sync; shop/p-deny: creating: no")},

		{"overridden", nil, view{results: []result.Result{opened}}, list("Effective=False/OpenToEveryone: overridden in 1 namespace; shop/theirs: opens", inSync)},
		{"overridden in two, whatever the order", nil, view{results: []result.Result{opened, reopened}}, list(
			"Effective=False/MetadataReopened: overridden in 2 namespaces; blog/other: reopens", "Ready=True/InSync: 2 of 2 namespaces in sync")},
		{"overridden, and others not evaluated", nil, view{results: []result.Result{opened}, pending: 1}, list(
			"Effective=False/OpenToEveryone: overridden in 1 namespace; shop/theirs: opens", both("Converging: 1 of 2 namespaces in sync")...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := enforced()
			if tc.baseline != nil {
				tc.baseline(b)
			}
			tc.view.update = "r1"
			status := newStatus(b, &tc.view, noon)
			if got := said(status.Conditions); !slices.Equal(got, tc.want) {
				t.Errorf("conditions:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}
