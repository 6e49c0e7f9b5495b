// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"context"
	"maps"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/metrics"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// pass is what recording needs to know of how a pass began.
type pass struct {
	state *policy.State
	since time.Time
	// last is what was wanted when this process last looked at the namespace, when the policies in missing were not in place;
	// nil when it has not.
	last    *policy.Rendered
	missing map[string]bool
}

// recall adds what is remembered of the namespace to the state.
func (r *Reconciler) recall(s *policy.State, since time.Time) pass {
	p := pass{state: s, since: since}
	r.records.recall(s, &p)
	return p
}

// record tells how a pass ended: in Events, metrics, logs, and the results for each baseline. It returns when to come again.
func (r *Reconciler) record(ctx context.Context, p pass, d *policy.Decision, o outcome) reconcile.Result {
	again := r.records.wroteAll(p.state.Namespace.Name)
	r.tellRepairs(ctx, p, d, o)
	r.tellFailures(ctx, p, o)
	r.measure(p, d, o)
	r.records.remember(p.state.Namespace.Name, d, p.missingAfter(d, o), len(o.left) == 0, results(p.state, d, o))
	if !o.next.IsZero() {
		if left := max(o.next.Sub(r.now()), time.Millisecond); again == 0 || left < again {
			again = left
		}
	}
	return reconcile.Result{RequeueAfter: again}
}

// repair reports whether a step puts right what somebody did: the policy was in this form when the namespace was last looked
// at. Right after a start the status says whether it was.
func (p *pass) repair(d *policy.Decision, s *policy.Step) bool {
	if s.Transitional || s.Want == nil {
		return false
	}
	c := contributionOf(d, s.Baseline)
	if c == nil || c.Phase != policy.Enforcing {
		return false
	}
	if p.last == nil {
		return c.Settled && c.Current == c.Revision && p.holdsPoliciesOf(c.Baseline)
	}
	return !p.missing[s.Name] && p.last.Has(s.Name, s.Want)
}

// missingAfter are the policies that are not in place when the pass ends: putting them there is no repair. One that somebody
// changed or deleted, and whose write failed, is still to be repaired.
func (p *pass) missingAfter(d *policy.Decision, o outcome) map[string]bool {
	if len(o.left) == 0 {
		return nil
	}
	missing := maps.Clone(o.left)
	for i := range d.Plan.Steps {
		if s := &d.Plan.Steps[i]; p.repair(d, s) {
			delete(missing, s.Name)
		}
	}
	return missing
}

func (p *pass) holdsPoliciesOf(b *policy.Baseline) bool {
	for _, o := range p.state.Policies {
		if policy.OwnedBy(o, b) {
			return true
		}
	}
	return false
}

func contributionOf(d *policy.Decision, baseline string) *policy.Contribution {
	for i := range d.Contributions {
		if d.Contributions[i].Name == baseline {
			return &d.Contributions[i]
		}
	}
	return nil
}

func (r *Reconciler) tellRepairs(ctx context.Context, p pass, d *policy.Decision, o outcome) {
	for i := range o.done {
		step := &o.done[i]
		if !p.repair(d, step) {
			continue
		}
		b := contributionOf(d, step.Baseline).Baseline
		repair := repairOf(p.state.Namespace.Name, step, r.now())
		log.FromContext(ctx).Info("Repaired policy", "policy", step.Name, "baseline", b.Name, "action", repair.Action, "manager", repair.Manager)
		metrics.CountRepair(b.Name, step.Component, repair.Action)
		r.events.repaired(b, repair)
		r.records.repaired(b, repair)
	}
}

func (r *Reconciler) tellFailures(ctx context.Context, p pass, o outcome) {
	for i := range o.failures {
		f := &o.failures[i]
		if f.again || f.err.reason.passing() {
			continue
		}
		log.FromContext(ctx).Error(f.err, "Could not write policy", "policy", f.step.Name, "baseline", f.step.Baseline, "reason", f.err.reason)
		for _, b := range p.state.Baselines {
			if b.Name == f.step.Baseline {
				r.events.refused(b, p.state.Namespace.Name, f)
			}
		}
	}
}

// measure tells how long repairs took, or the convergence of the namespace. A failure stops neither.
func (r *Reconciler) measure(p pass, d *policy.Decision, o outcome) {
	if len(o.failures) > 0 {
		r.records.wokenAt(p.state.Namespace.Name, p.since)
		return
	}
	if p.since.IsZero() || len(o.done) == 0 {
		return
	}
	repaired := 0
	for i := range o.done {
		if p.repair(d, &o.done[i]) {
			repaired++
		}
	}
	took := r.now().Sub(p.since)
	if repaired == 0 {
		metrics.ObserveConvergence(took)
	}
	for range repaired {
		metrics.ObserveRepair(took)
	}
}

// results say what the pass means for each baseline.
func results(s *policy.State, d *policy.Decision, o outcome) []result.Result {
	if s.Namespace.Terminating {
		return nil
	}
	fingerprint := policy.Fingerprint(s.Namespace, s.Baselines, s.Protection, s.FactsVersion)
	var out []result.Result
	for i := range d.Contributions {
		c := &d.Contributions[i]
		r := result.Result{Baseline: c.Name, UID: c.UID, Fingerprint: fingerprint, Selected: c.Selected, For: c.For, Told: *d.Told[i]}
		r.Failures = failuresOf(c.Name, s.Namespace.Name, o.failures)
		wanted, left := leftOf(c.Name, d, o)
		switch c.Phase {
		case policy.Enforcing:
			r.InSync = max(0, r.Desired-wanted)
		case policy.Leaving:
			r.Leaving = left > 0
		case policy.Retained:
			r.Leaving = left > 0 || r.Held != ""
		}
		switch {
		case len(r.Failures) > 0:
			r.State = result.Failed
		case c.Phase == policy.Waiting:
			r.State = result.Waiting
		case left > 0, r.Audit != (policy.Audit{}):
			r.State = result.Pending
		default:
			r.State = result.InSync
		}
		if r.Selected || r.Leaving || len(r.Problems) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// leftOf counts the policies of a baseline that are not as they should be, and those among them that are wanted.
func leftOf(baseline string, d *policy.Decision, o outcome) (wanted, left int32) {
	names := map[string]bool{}
	for _, steps := range [][]policy.Step{d.Plan.Steps, d.Release} {
		for i := range steps {
			if s := &steps[i]; s.Baseline == baseline && o.left[s.Name] {
				names[s.Name] = names[s.Name] || d.Wanted.Has(s.Name, s.Want)
			}
		}
	}
	for _, isWanted := range names {
		left++
		if isWanted {
			wanted++
		}
	}
	return wanted, left
}

func failuresOf(baseline, namespace string, failures []failure) []v1alpha1.Problem {
	var out []v1alpha1.Problem
	for i := range failures {
		f := &failures[i]
		if f.step.Baseline != baseline || f.err.reason.passing() {
			continue
		}
		reason := v1alpha1.ReasonWriteRefused
		switch f.err.reason {
		case refusalAltered:
			reason = v1alpha1.ReasonWriteAltered
		case refusalBudget:
			reason = v1alpha1.ReasonWriteBudget
		}
		out = append(out, v1alpha1.Problem{Namespace: namespace, Policy: f.step.Name, Reason: reason, Message: f.err.Error()})
	}
	return out
}
