// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// sharesOf tells what a pass over a namespace means for each of its baselines.
func sharesOf(s *situation, rendered *policy.Rendered, live policy.Live, plan *policy.Plan, result applied) []share {
	var shares []share
	for _, b := range s.enforcing {
		out := shareOf(b, s.namespace, rendered, live, plan)
		missing := left(plan, result)[b.Name]
		out.InSync = out.Desired - count32(missing)
		refused := refusals(b, s.namespace, result.failures)
		out.Problems = append(out.Problems, refused...)
		switch {
		case len(refused) > 0:
			out.State = stateFailed
		case len(out.Problems) > 0:
			out.State = stateConflicted
		case len(missing) > 0 || len(result.failures) > 0:
			out.State = statePending
		}
		shares = append(shares, out)
	}
	for _, b := range s.waiting {
		shares = append(shares, share{Baseline: b.Name, UID: b.UID, Generation: b.Generation, State: statePending, Waiting: true})
	}
	shares = append(shares, leavingShares(s, plan, result)...)
	return append(shares, heldShares(s, live, shares)...)
}

// shareOf is what holds whether or not anything is written: what is asked for, what is in the way, and what others undo.
func shareOf(b *v1alpha1.NetworkBaseline, namespace string, rendered *policy.Rendered, live policy.Live, plan *policy.Plan) share {
	out := share{Baseline: b.Name, UID: b.UID, Generation: b.Generation, State: stateInSync}
	for i := range rendered.Policies {
		if rendered.Policies[i].Baseline == b.Name {
			out.Desired++
		}
	}
	out.Problems = obstacleProblems(b, namespace, plan)
	for _, u := range policy.Undoings(&b.Spec.Profile, live.Foreign) {
		out.Undone = append(out.Undone, v1alpha1.Problem{Namespace: namespace, Policy: u.Policy, Reason: u.Reason, Message: u.Message})
	}
	for _, note := range rendered.Notes {
		if note.Baseline != b.Name {
			continue
		}
		problem := v1alpha1.Problem{Namespace: namespace, Reason: note.Reason, Message: note.Component + ": " + note.Message}
		switch note.Reason {
		case v1alpha1.ReasonWithheld:
			problem.Policy = policy.Restricting(b.Spec.Profile.BlockMetadata, live.Foreign)
			out.Undone = append(out.Undone, problem)
		case v1alpha1.ReasonNameConflict:
			out.Problems = append(out.Problems, problem)
		default:
			out.Notes = append(out.Notes, note)
		}
	}
	return out
}

// auditShare tells what enforcing a baseline would change in the namespace. Nothing is written for it.
func auditShare(s *situation, b *v1alpha1.NetworkBaseline, rendered *policy.Rendered, live policy.Live) share {
	plan := policy.NewPlan(rendered, live)
	out := shareOf(b, s.namespace, rendered, live, plan)
	for _, phase := range plan.Phases {
		for _, step := range phase {
			switch {
			case step.Passing:
			case step.Live == nil:
				out.Audit.Create++
			case step.Verb == policy.Delete:
				out.Audit.Remove++
			default:
				out.Audit.Change++
			}
		}
	}
	out.InSync = out.Desired - count32(left(plan, applied{})[b.Name])
	if len(out.Problems) > 0 {
		out.State = stateConflicted
	} else if !plan.Empty() {
		out.State = statePending
	}
	return out
}

// count32 is a length as the API has it; a namespace has a handful of policies.
func count32(names map[string]bool) int32 { return int32(len(names)) }

// left are the names of the policies, by baseline, that are not as they should be after a pass.
func left(plan *policy.Plan, result applied) map[string]map[string]bool {
	missing := map[string]map[string]bool{}
	add := func(baseline, name string) {
		if missing[baseline] == nil {
			missing[baseline] = map[string]bool{}
		}
		missing[baseline][name] = true
	}
	for _, phase := range plan.Phases {
		for _, step := range phase {
			if step.Verb != policy.Delete {
				add(step.Baseline, step.Name)
			}
		}
	}
	for _, step := range result.done {
		if !step.Passing {
			delete(missing[step.Baseline], step.Name)
		}
	}
	for _, o := range plan.Obstacles {
		add(o.Baseline, o.Name)
	}
	for _, p := range plan.Withheld {
		add(p.Baseline, p.Name)
	}
	return missing
}

func refusals(b *v1alpha1.NetworkBaseline, namespace string, failures []failure) []v1alpha1.Problem {
	var out []v1alpha1.Problem
	for _, f := range failures {
		if f.step.Baseline == b.Name && !terminating(f.err) && !stale(f.err) {
			out = append(out, v1alpha1.Problem{Namespace: namespace, Policy: f.step.Name, Reason: v1alpha1.ReasonWriteRefused, Message: f.err.Error()})
		}
	}
	return out
}

func obstacleProblems(b *v1alpha1.NetworkBaseline, namespace string, plan *policy.Plan) []v1alpha1.Problem {
	var out []v1alpha1.Problem
	for _, o := range plan.Obstacles {
		if o.Baseline != b.Name {
			continue
		}
		problem := v1alpha1.Problem{Namespace: namespace, Policy: o.Name, Reason: v1alpha1.ReasonNameConflict,
			Message: "a NetworkPolicy of this name exists that netbaseline did not create, and is left alone: rename or delete it"}
		if o.Terminating {
			problem.Reason = v1alpha1.ReasonTerminating
			problem.Message = fmt.Sprintf("the policy is being deleted and held by finalizers %v: remove them, and it is created again", o.Live.Finalizers)
		}
		out = append(out, problem)
	}
	for _, p := range plan.Withheld {
		if p.Baseline == b.Name {
			out = append(out, v1alpha1.Problem{Namespace: namespace, Policy: p.Name, Reason: v1alpha1.ReasonNameConflict,
				Message: "not created, because without the default deny, whose name is taken, it would deny all other traffic"})
		}
	}
	return out
}

// leavingShares speak for the baselines that do not select the namespace and still have policies in it.
func leavingShares(s *situation, plan *policy.Plan, result applied) []share {
	done := map[string]bool{}
	for _, step := range result.done {
		if step.Verb == policy.Delete {
			done[step.Name] = true
		}
	}
	enforcing := map[string]bool{}
	for _, b := range s.enforcing {
		enforcing[b.Name] = true
	}
	var out []share
	for _, phase := range plan.Phases {
		for _, step := range phase {
			b := s.byName[step.Baseline]
			if step.Verb != policy.Delete || done[step.Name] || b == nil || enforcing[step.Baseline] {
				continue
			}
			enforcing[step.Baseline] = true // once
			leaving := share{Baseline: b.Name, UID: b.UID, Generation: b.Generation, State: statePending, Leaving: true}
			if leaving.Problems = refusals(b, s.namespace, result.failures); len(leaving.Problems) > 0 {
				leaving.State = stateFailed
			}
			out = append(out, leaving)
		}
	}
	return out
}

// heldShares speak for the deleted baselines whose last policies here are deleted too, and held by somebody's finalizers:
// there is nothing left to do for us, and they cannot go.
func heldShares(s *situation, live policy.Live, told []share) []share {
	var out []share
	for _, name := range sortedKeys(live.Ours) {
		p := live.Ours[name]
		b := s.byName[policy.BaselineOf(p)]
		of := func(s share) bool { return s.UID == b.UID }
		if p.DeletionTimestamp == nil || b == nil || b.DeletionTimestamp == nil || slices.ContainsFunc(told, of) {
			continue
		}
		held := v1alpha1.Problem{Namespace: s.namespace, Policy: name, Reason: v1alpha1.ReasonTerminating,
			Message: fmt.Sprintf("the policy is being deleted and held by finalizers %v: remove them, and the baseline goes", p.Finalizers)}
		i := slices.IndexFunc(out, of)
		if i < 0 {
			i = len(out)
			out = append(out, share{Baseline: b.Name, UID: b.UID, Generation: b.Generation, State: statePending, Leaving: true})
		}
		out[i].Problems = append(out[i].Problems, held)
	}
	return out
}
