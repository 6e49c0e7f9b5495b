// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// maxProblems is how many problems a status lists, and maxMessage how long each may be: no object grows with the
// number of namespaces.
const (
	maxProblems = 50
	maxResolved = 32
	maxMessage  = 1024
)

// view is what is known of a baseline when its status is made.
type view struct {
	shares    []share // of the namespaces that count
	unseen    int32   // selected namespaces that were not looked at since the spec changed
	protected int32
	leftAlone []string // the names of those that are protected
	repairs   repairs
	invalid   error // why the spec cannot be followed
	checked   bool  // a preflight of this generation was made
	findings  []finding
	warnings  []v1alpha1.Problem
	facts     policy.Facts
}

func (v *view) add(s share) { v.shares = append(v.shares, s) }

// newStatus is the status of a baseline, pure. It keeps what the old one says where nothing changed.
func newStatus(baseline *v1alpha1.NetworkBaseline, v view, now time.Time) v1alpha1.NetworkBaselineStatus {
	status := *baseline.Status.DeepCopy()
	status.ObservedGeneration = baseline.Generation
	status.Namespaces, status.Policies = count(v)
	status.Audit = countAudit(baseline, v.shares)
	status.Resolved = resolved(baseline, v.facts)
	status.Problems, status.MoreProblems = listProblems(v)
	status.Repairs.Total += v.repairs.count
	if v.repairs.last != nil {
		status.Repairs.Last = v.repairs.last
	}
	setConditions(&status, baseline, v, now)
	return status
}

func count(v view) (v1alpha1.NamespaceCounts, v1alpha1.PolicyCounts) {
	namespaces := v1alpha1.NamespaceCounts{Selected: v.unseen, Pending: v.unseen, Protected: v.protected}
	var policies v1alpha1.PolicyCounts
	for i := range v.shares {
		s := &v.shares[i]
		if s.Leaving {
			continue
		}
		namespaces.Selected++
		policies.Desired += s.Desired
		policies.InSync += s.InSync
		switch s.State {
		case stateInSync:
			namespaces.InSync++
		case stateFailed:
			namespaces.Failed++
		case stateConflicted:
			namespaces.Waiting++
		default:
			namespaces.Pending++
		}
	}
	return namespaces, policies
}

// resolved tells the facts that the profile asks for; nil for none.
func resolved(baseline *v1alpha1.NetworkBaseline, found policy.Facts) *v1alpha1.Resolved {
	var out v1alpha1.Resolved
	profile := &baseline.Spec.Profile
	if dns := profile.AllowDNS; dns != nil && len(dns.Resolvers) == 0 {
		out.DNS = facts.Describe(found.DNS, maxResolved)
		if len(found.DNS) == 0 {
			for _, line := range facts.Describe(policy.DefaultDNS, maxResolved) {
				out.DNS = append(out.DNS, line+" (assumed: no DNS Service was found)")
			}
		}
	}
	if profile.AllowKubeAPIServer != nil {
		out.KubeAPIServer = facts.Describe(found.KubeAPIServer, maxResolved)
	}
	if out.DNS == nil && out.KubeAPIServer == nil {
		return nil
	}
	return &out
}

func countAudit(baseline *v1alpha1.NetworkBaseline, shares []share) *v1alpha1.AuditCounts {
	if baseline.Spec.Mode != v1alpha1.ModeAudit {
		return nil
	}
	var counts v1alpha1.AuditCounts
	for i := range shares {
		a := shares[i].Audit
		counts.Create += a.Create
		counts.Change += a.Change
		counts.Remove += a.Remove
		if a != (audit{}) {
			counts.Namespaces++
		}
	}
	return &counts
}

// listProblems lists what keeps namespaces from being in sync, what foreign policies undo, what is missing, and what
// has no effect.
func listProblems(v view) (listed []v1alpha1.Problem, more int32) {
	for _, f := range v.findings {
		listed = append(listed, v1alpha1.Problem{Reason: f.Reason, Message: f.Message})
	}
	listed = append(listed, v.warnings...)
	listed = append(listed, listNotes(v.shares)...)
	for i := range v.shares {
		listed = append(listed, v.shares[i].Problems...)
		listed = append(listed, v.shares[i].Undone...)
	}
	slices.SortFunc(listed, func(a, b v1alpha1.Problem) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	for i := range listed {
		listed[i].Message = bounded(listed[i].Message)
	}
	if len(listed) > maxProblems {
		more = int32(len(listed) - maxProblems)
		listed = listed[:maxProblems:maxProblems]
	}
	return listed, more
}

// listNotes says once what holds for many namespaces.
func listNotes(shares []share) []v1alpha1.Problem {
	counts := map[policy.Note]int{}
	for i := range shares {
		seen := map[policy.Note]bool{}
		for _, note := range shares[i].Notes {
			if !seen[note] {
				seen[note] = true
				counts[note]++
			}
		}
	}
	var out []v1alpha1.Problem
	for note, n := range counts {
		out = append(out, v1alpha1.Problem{Reason: note.Reason, Message: fmt.Sprintf("%s: %s (%s)", note.Component, note.Message, countNamespaces(n))})
	}
	return out
}

func countNamespaces(n int) string {
	if n == 1 {
		return "1 namespace"
	}
	return fmt.Sprintf("%d namespaces", n)
}

func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const ellipsis = "…"
	cut := maxMessage - len(ellipsis)
	for cut > 0 && message[cut]&0xC0 == 0x80 { // not in the middle of a character
		cut--
	}
	return message[:cut] + ellipsis
}

func setConditions(status *v1alpha1.NetworkBaselineStatus, baseline *v1alpha1.NetworkBaseline, v view, now time.Time) {
	set := func(conditionType string, c condition) {
		if c.status == "" {
			meta.RemoveStatusCondition(&status.Conditions, conditionType)
			return
		}
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: conditionType, Status: c.status, Reason: c.reason, Message: bounded(c.message),
			ObservedGeneration: baseline.Generation, LastTransitionTime: metav1.NewTime(now),
		})
	}
	ready := judge(status, baseline, v)
	set(v1alpha1.ConditionReady, ready.condition)
	// kstatus takes the first of these that is True: never both.
	set(v1alpha1.ConditionReconciling, ready.when(ready.reconciling))
	set(v1alpha1.ConditionStalled, ready.when(ready.stalled))
	set(v1alpha1.ConditionEffective, judgeEffect(v))
	set(v1alpha1.ConditionPreflight, judgePreflight(v))
	slices.SortFunc(status.Conditions, func(a, b metav1.Condition) int { return cmp.Compare(a.Type, b.Type) })
}

// condition is what is said under a condition's type; without a status the condition is absent.
type condition struct {
	status          metav1.ConditionStatus
	reason, message string
}

// verdict is the Ready condition, and what follows from it for kstatus.
type verdict struct {
	condition
	reconciling, stalled bool
}

// when repeats a verdict under another type, True, if it applies.
func (v verdict) when(applies bool) condition {
	if !applies {
		return condition{}
	}
	return condition{metav1.ConditionTrue, v.reason, v.message}
}

// judge decides on Ready. It is never False for something that passes by itself in a normal start, because Argo CD
// takes that for Degraded.
func judge(status *v1alpha1.NetworkBaselineStatus, baseline *v1alpha1.NetworkBaseline, v view) verdict {
	n, t := status.Namespaces, tallyOf(v)
	progress := fmt.Sprintf("%d of %s in sync", n.InSync, countNamespaces(int(n.Selected)))
	is := func(status metav1.ConditionStatus, reason, message string) verdict {
		return verdict{condition: condition{status, reason, message}}
	}
	switch {
	case v.invalid != nil:
		return verdict{condition{metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, v.invalid.Error()}, false, true}
	case t.invalid != "":
		return verdict{condition{metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, t.invalid}, false, true}
	case t.refused > 0:
		refused := first(status.Problems, v1alpha1.ReasonWriteRefused)
		return is(metav1.ConditionFalse, v1alpha1.ReasonWriteRefused, progress+"; "+refused+remedy(refused))
	case baseline.DeletionTimestamp != nil:
		return verdict{condition{metav1.ConditionUnknown, v1alpha1.ReasonDeleting, removing(status.Problems, t.leaving)}, true, false}
	case t.waiting > 0 && len(v.findings) > 0:
		return is(metav1.ConditionFalse, v1alpha1.ReasonPreflightFailed,
			fmt.Sprintf("nothing is written in %s yet: %s", countNamespaces(t.waiting), v.findings[0].Message))
	case baseline.Spec.Mode == v1alpha1.ModeAudit && v.unseen == 0:
		a := status.Audit
		return is(metav1.ConditionUnknown, v1alpha1.ReasonAudit, fmt.Sprintf(
			"nothing is enforced: mode Enforce would create %d, change %d and remove %d policies in %s", a.Create, a.Change, a.Remove, countNamespaces(int(a.Namespaces))))
	case n.Waiting > 0:
		reason := v1alpha1.ReasonNameConflict
		if !slices.ContainsFunc(status.Problems, func(p v1alpha1.Problem) bool { return p.Reason == reason }) {
			reason = v1alpha1.ReasonTerminating
		}
		return is(metav1.ConditionFalse, reason, progress+"; "+first(status.Problems, reason))
	case n.Pending > 0 || t.leaving > 0:
		return verdict{condition{metav1.ConditionUnknown, v1alpha1.ReasonConverging, progress}, true, false}
	case n.Selected == 0 && len(v.leftAlone) > 0:
		return is(metav1.ConditionTrue, v1alpha1.ReasonNoNamespacesSelected, "namespaceSelector matches nothing else, so there is nothing to do"+leftAlone(v.leftAlone))
	case n.Selected == 0:
		return is(metav1.ConditionTrue, v1alpha1.ReasonNoNamespacesSelected, "no namespace matches namespaceSelector, so there is nothing to do")
	default:
		return is(metav1.ConditionTrue, v1alpha1.ReasonInSync, progress+leftAlone(v.leftAlone))
	}
}

// removing says how far the removal of a deleted baseline's policies has come. While its namespaces have not been looked
// at since it was deleted, it is not known how many are left.
func removing(problems []v1alpha1.Problem, left int) string {
	if left == 0 {
		return "removing policies"
	}
	out := "removing policies, " + countNamespaces(left) + " left"
	if slices.ContainsFunc(problems, func(p v1alpha1.Problem) bool { return p.Reason == v1alpha1.ReasonTerminating }) {
		out += "; " + first(problems, v1alpha1.ReasonTerminating)
	}
	return out
}

// tally counts what the API's counts do not tell apart.
type tally struct {
	leaving, refused, waiting int
	invalid                   string
}

func tallyOf(v view) tally {
	var t tally
	for i := range v.shares {
		s := &v.shares[i]
		if s.Leaving {
			t.leaving++
		}
		if s.Waiting {
			t.waiting++
		}
		if s.State == stateFailed {
			t.refused++
		}
		for _, note := range s.Notes {
			// Of several the first by its words: namespaces come in any order, and a status that follows it is never still.
			if said := note.Component + ": " + note.Message; note.Reason == v1alpha1.ReasonInvalidSpec && (t.invalid == "" || said < t.invalid) {
				t.invalid = said
			}
		}
	}
	return t
}

// judgeEffect decides on Effective: whether anything undoes what the baseline denies.
func judgeEffect(v view) condition {
	var namespaces int
	var worst *v1alpha1.Problem
	for i := range v.shares {
		if undone := v.shares[i].Undone; len(undone) > 0 {
			namespaces++
			if worst == nil || undone[0].Namespace < worst.Namespace {
				worst = &undone[0]
			}
		}
	}
	switch {
	case worst != nil:
		return condition{metav1.ConditionFalse, worst.Reason, fmt.Sprintf("undone in %s; %s/%s: %s", countNamespaces(namespaces), worst.Namespace, worst.Policy, worst.Message)}
	case v.unseen > 0:
		return condition{metav1.ConditionUnknown, v1alpha1.ReasonConverging, countNamespaces(int(v.unseen)) + " not looked at yet"}
	default:
		return condition{metav1.ConditionTrue, v1alpha1.ReasonEffective, "no foreign policy undoes the baseline"}
	}
}

// judgePreflight decides on Preflight: whether what must be reachable was found.
func judgePreflight(v view) condition {
	switch {
	case !v.checked:
		return condition{}
	case len(v.findings) > 0:
		messages := make([]string, len(v.findings))
		for i, f := range v.findings {
			messages[i] = f.Message
		}
		return condition{metav1.ConditionFalse, v.findings[0].Reason, strings.Join(messages, "\n")}
	default:
		return condition{metav1.ConditionTrue, v1alpha1.ReasonPreflightPassed, "everything that must be reachable was found"}
	}
}

// first is the first problem of a reason, in one line.
func first(problems []v1alpha1.Problem, reason string) string {
	for _, p := range problems {
		if p.Reason != reason {
			continue
		}
		if p.Policy == "" {
			return fmt.Sprintf("%s: %s", p.Namespace, p.Message)
		}
		return fmt.Sprintf("%s/%s: %s", p.Namespace, p.Policy, p.Message)
	}
	return "see problems"
}
