// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// maxOfNamespace is how many problems of one namespace a status lists, so that none crowds the others out.
const maxOfNamespace = 10

// Problems are listed in the order of what they mean.
const (
	rankFailure = iota
	rankOverride
	rankFinding
	rankHeld
	rankWarning
	rankNote
)

type ranked struct {
	v1alpha1.Problem
	rank int
}

// listProblems lists what keeps namespaces from being in sync, what undoes the baseline, what is missing, and what has no
// effect: the worst first, and a few of one namespace.
func listProblems(v *view) (listed []v1alpha1.Problem, more int32) {
	var all []ranked
	add := func(rank int, problems ...v1alpha1.Problem) {
		for _, p := range problems {
			p.Message = bounded(p.Message)
			all = append(all, ranked{p, rank})
		}
	}
	if v.check != nil {
		for _, f := range v.check.findings {
			add(rankFinding, v1alpha1.Problem{Reason: f.Reason, Message: f.Message})
		}
	}
	add(rankWarning, v.warnings...)
	add(rankNote, listNotes(v.results)...)
	for i := range v.results {
		r := &v.results[i]
		add(rankFailure, withWebhooks(r.Failures, v.mutating)...)
		add(rankOverride, r.Overrides...)
		add(rankHeld, r.Problems...)
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Policy, b.Policy),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	perNamespace := map[string]int{}
	for _, p := range all {
		if len(listed) == maxProblems || p.Namespace != "" && perNamespace[p.Namespace] == maxOfNamespace {
			more++
			continue
		}
		perNamespace[p.Namespace]++
		listed = append(listed, p.Problem)
	}
	return listed, more
}

// withWebhooks names the webhooks that may have altered a write.
func withWebhooks(failures []v1alpha1.Problem, mutating []string) []v1alpha1.Problem {
	out := slices.Clone(failures)
	for i := range out {
		if out[i].Reason == v1alpha1.ReasonWriteAltered && len(mutating) > 0 {
			out[i].Message += "; mutating webhooks that match NetworkPolicies: " + strings.Join(mutating[:min(len(mutating), 5)], ", ")
		}
	}
	return out
}

// listNotes says once what holds for many namespaces.
func listNotes(results []result.Result) []v1alpha1.Problem {
	counts := map[policy.Note]int{}
	for i := range results {
		seen := map[policy.Note]bool{}
		for _, note := range results[i].Notes {
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
