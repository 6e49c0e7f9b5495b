// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

func setConditions(status *v1alpha1.NetworkBaselineStatus, baseline *v1alpha1.NetworkBaseline, v *view, now time.Time) {
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

// judge decides on Ready. It is never False for something that passes by itself in a normal start, because Argo CD takes that
// for Degraded.
func judge(status *v1alpha1.NetworkBaselineStatus, b *v1alpha1.NetworkBaseline, v *view) verdict {
	n, t := status.Namespaces, tallyOf(v)
	progress := fmt.Sprintf("%d of %s in sync", n.InSync, countNamespaces(int(n.Selected)))
	is := func(status metav1.ConditionStatus, reason, message string) verdict {
		return verdict{condition: condition{status, reason, message}}
	}
	converging := func(reason, message string) verdict {
		return verdict{condition{metav1.ConditionUnknown, reason, message}, true, false}
	}
	switch {
	case v.invalid != nil:
		return verdict{condition{metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, v.invalid.Error()}, false, true}
	case t.invalid != "":
		return verdict{condition{metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, t.invalid}, false, true}
	case v.unstored != nil:
		return is(metav1.ConditionFalse, v1alpha1.ReasonRevision, v.unstored.Error()+": the operator needs this namespace, and the right to write ControllerRevisions there")
	case t.lost != "":
		return is(metav1.ConditionFalse, v1alpha1.ReasonRevision, fmt.Sprintf(
			"revision %s, which is in force, cannot be read: its policies stay as they are, unrepaired, until the spec's own revision is admitted", t.lost))
	case t.failed > 0:
		worst := status.Problems[0]
		return is(metav1.ConditionFalse, worst.Reason, progress+"; "+inOneLine(worst)+remedy(worst))
	case b.DeletionTimestamp != nil:
		return converging(v1alpha1.ReasonDeleting, removing(v, t))
	case b.Spec.Mode == v1alpha1.ModeAudit && v.pending == 0:
		return is(metav1.ConditionUnknown, v1alpha1.ReasonAudit, auditMessage(status, t))
	case !admitted(status, v.update):
		return notAdmitted(status, b, v)
	case t.waiting != "":
		return converging(v1alpha1.ReasonWaitingForBaseline, fmt.Sprintf(
			"%s; %s for the admission of baseline %s, which selects them too: one baseline's deny without the other's allows would cut traffic",
			progress, wait(int(n.Waiting)), t.waiting))
	case n.Pending > 0 || n.Waiting > 0 || t.leaving > 0:
		return converging(v1alpha1.ReasonConverging, progress)
	case n.Selected == 0 && len(v.protected) > 0:
		return is(metav1.ConditionTrue, v1alpha1.ReasonNoNamespacesSelected, "namespaceSelector matches nothing else, so there is nothing to do"+leftAlone(v.protected))
	case n.Selected == 0:
		return is(metav1.ConditionTrue, v1alpha1.ReasonNoNamespacesSelected, "no namespace matches namespaceSelector, so there is nothing to do")
	default:
		return is(metav1.ConditionTrue, v1alpha1.ReasonInSync, progress+leftAlone(v.protected))
	}
}

func wait(namespaces int) string {
	if namespaces == 1 {
		return "1 namespace waits"
	}
	return fmt.Sprintf("%d namespaces wait", namespaces)
}

// notAdmitted says why the revision of the spec is not in force, and what is.
func notAdmitted(status *v1alpha1.NetworkBaselineStatus, b *v1alpha1.NetworkBaseline, v *view) verdict {
	effect := fmt.Sprintf("nothing is written in %s yet", countNamespaces(int(status.Namespaces.Selected)))
	if status.CurrentRevision != "" {
		effect = fmt.Sprintf("revision %s stays in force", status.CurrentRevision)
	}
	switch {
	case v.check == nil || b.Spec.Mode == v1alpha1.ModeAudit:
		return verdict{condition{metav1.ConditionUnknown, v1alpha1.ReasonConverging, effect}, true, false}
	case v.check.err != nil:
		return verdict{condition{metav1.ConditionUnknown, v1alpha1.ReasonCheckFailed, effect + ": the preflight could not be made: " + v.check.err.Error()}, true, false}
	case len(v.check.findings) == 0:
		return verdict{condition{metav1.ConditionUnknown, v1alpha1.ReasonConverging, effect}, true, false}
	}
	return verdict{condition: condition{metav1.ConditionFalse, v1alpha1.ReasonPreflightFailed, effect + ": " + v.check.findings[0].Message}}
}

// auditMessage says what is in force, and what enforcing would change.
func auditMessage(status *v1alpha1.NetworkBaselineStatus, t tally) string {
	a := status.Audit
	inForce := "nothing of the baseline is in force"
	if t.kept > 0 {
		inForce = fmt.Sprintf("%d policies stay in force, unrepaired", t.kept)
	}
	return fmt.Sprintf("%s; mode Enforce would create %d, change %d and remove %d policies in %s",
		inForce, a.Create, a.Change, a.Remove, countNamespaces(int(a.Namespaces)))
}

// removing says how far the removal of a deleted baseline's policies has come. While its namespaces have not been looked at
// since it was deleted, it is not known how many are left.
func removing(v *view, t tally) string {
	if t.leaving == 0 {
		return "removing policies"
	}
	out := "removing policies, " + countNamespaces(t.leaving) + " left"
	for i := range v.results {
		if r := &v.results[i]; r.Held != "" {
			return out + "; " + r.Held
		}
	}
	for i := range v.results {
		for _, p := range v.results[i].Problems {
			if p.Reason == v1alpha1.ReasonTerminating {
				return out + "; " + inOneLine(p)
			}
		}
	}
	return out
}

// tally counts what the API's counts do not tell apart.
type tally struct {
	leaving, failed int
	kept            int32
	waiting         string // a baseline that namespaces wait for
	lost            string // a revision that cannot be read
	invalid         string
}

func tallyOf(v *view) tally {
	var t tally
	for i := range v.results {
		r := &v.results[i]
		if r.Leaving {
			t.leaving++
		}
		if len(r.Failures) > 0 {
			t.failed++
		}
		t.kept += r.Kept
		// Of several the first: namespaces come in any order, and a status that follows it is never still.
		t.waiting = least(t.waiting, r.For.Baseline)
		t.lost = least(t.lost, r.For.Revision)
		for _, note := range r.Notes {
			if note.Reason == v1alpha1.ReasonInvalidSpec {
				t.invalid = least(t.invalid, note.Component+": "+note.Message)
			}
		}
	}
	return t
}

func least(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

// judgeEffect decides on Effective: whether anything undoes what the baseline denies.
func judgeEffect(v *view) condition {
	var namespaces int
	var worst *v1alpha1.Problem
	for i := range v.results {
		if overrides := v.results[i].Overrides; len(overrides) > 0 {
			namespaces++
			if worst == nil || overrides[0].Namespace < worst.Namespace {
				worst = &overrides[0]
			}
		}
	}
	switch pending := int(v.pending + v.waiting); {
	case worst != nil:
		return condition{metav1.ConditionFalse, worst.Reason, fmt.Sprintf("overridden in %s; %s", countNamespaces(namespaces), inOneLine(*worst))}
	case pending > 0:
		return condition{metav1.ConditionUnknown, v1alpha1.ReasonConverging, countNamespaces(pending) + " not evaluated yet"}
	default:
		return condition{metav1.ConditionTrue, v1alpha1.ReasonEffective, "no live policy overrides the baseline"}
	}
}

// judgePreflight decides on Preflight: whether what must be reachable was found.
func judgePreflight(v *view) condition {
	switch {
	case v.check == nil:
		return condition{}
	case v.check.err != nil:
		return condition{metav1.ConditionUnknown, v1alpha1.ReasonCheckFailed, v.check.err.Error()}
	case len(v.check.findings) > 0:
		messages := make([]string, len(v.check.findings))
		for i, f := range v.check.findings {
			messages[i] = f.Message
		}
		return condition{metav1.ConditionFalse, v.check.findings[0].Reason, strings.Join(messages, "\n")}
	default:
		return condition{metav1.ConditionTrue, v1alpha1.ReasonPreflightPassed, "everything that must be reachable was found"}
	}
}

// inOneLine is a problem with the place where it is.
func inOneLine(p v1alpha1.Problem) string {
	if p.Policy == "" {
		return fmt.Sprintf("%s: %s", p.Namespace, p.Message)
	}
	return fmt.Sprintf("%s/%s: %s", p.Namespace, p.Policy, p.Message)
}

// remedy is what helps against a failed write, as far as the API server's words tell why it failed.
func remedy(p v1alpha1.Problem) string {
	switch {
	case p.Reason == v1alpha1.ReasonWriteAltered:
		return "; exempt the generated policies, or the user that the operator runs as, from the webhook. It is tried again by itself"
	case p.Reason == v1alpha1.ReasonWriteBudget:
		return "; find out who changes them: see the Events of the policies"
	case strings.Contains(p.Message, "exceeded quota"):
		return "; raise the quota, or name the namespace in spec.excludedNamespaces. It is tried again by itself"
	case strings.Contains(p.Message, "webhook"), strings.Contains(p.Message, "ValidatingAdmissionPolicy"):
		return "; let whoever refuses admit the user that the operator runs as. It is tried again by itself"
	case strings.Contains(p.Message, "forbidden: User "):
		return "; give the operator that right: config/rbac/role.yaml has them all. It is tried again by itself"
	}
	return ""
}
