// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// The worst come first: failures, overrides, what is missing, what is held, warnings, notes.
func TestProblemsWorstFirst(t *testing.T) {
	a, b := in("failed", 1, 0), in("failed", 1, 0)
	b.Failures = []v1alpha1.Problem{problem("b", "p", "WriteRefused", "no")}
	b.Overrides = []v1alpha1.Problem{problem("b", "theirs", "OpenToEveryone", "opens")}
	b.Problems = []v1alpha1.Problem{problem("b", "p", "PolicyTerminating", "held")}
	a.Overrides = []v1alpha1.Problem{problem("a", "theirs", "OpenToEveryone", "opens")}
	a.Notes = []policy.Note{{Component: "allow-dns", Reason: "WithoutEffect", Message: "nothing is denied"}}
	a.Failures = []v1alpha1.Problem{problem("a", "q", "WriteRefused", "no"), problem("a", "p", "WriteRefused", "no")}
	listed, more := listProblems(&view{
		results: []result.Result{b, a}, check: &check{findings: []finding{{"NotFound", "missing"}}},
		warnings: []v1alpha1.Problem{problem("a", "", "InfrastructureSelected", "runs a webhook")},
	})
	var got []string
	for _, p := range listed {
		got = append(got, strings.TrimSpace(p.Namespace+" "+p.Policy+" "+p.Reason))
	}
	want := []string{
		"a p WriteRefused", "a q WriteRefused", "b p WriteRefused", "a theirs OpenToEveryone", "b theirs OpenToEveryone",
		"NotFound", "b p PolicyTerminating", "a  InfrastructureSelected", "WithoutEffect",
	}
	if !slices.Equal(got, want) || more != 0 {
		t.Errorf("got %q and %d more, want %q", got, more, want)
	}
}

// No namespace crowds the others out, and none of all of them makes a status grow.
func TestProblemsAreBounded(t *testing.T) {
	of := func(namespace string, n int) result.Result {
		r := in("inSync", 1, 1)
		for i := range n {
			r.Overrides = append(r.Overrides, problem(namespace, fmt.Sprintf("theirs-%03d", i), "OpenToEveryone", strings.Repeat("é", 2000)))
		}
		return r
	}
	refused := in("failed", 1, 0)
	refused.Failures = []v1alpha1.Problem{problem("zzz", "p", "WriteRefused", "exceeded quota")}
	count := func(listed []v1alpha1.Problem) map[string]int {
		out := map[string]int{}
		for _, p := range listed {
			out[p.Namespace]++
		}
		return out
	}

	listed, more := listProblems(&view{results: []result.Result{of("aaa", 60), of("bbb", 3), refused}})
	if got := count(listed); got["aaa"] != 10 || got["bbb"] != 3 || got["zzz"] != 1 || more != 50 || listed[0].Namespace != "zzz" {
		t.Errorf("listed %v and %d more, the first of %s; want 10 of aaa, 3 of bbb, and zzz first", got, more, listed[0].Namespace)
	}

	many := view{check: &check{}}
	for i := range 60 {
		many.results = append(many.results, of(fmt.Sprintf("ns-%02d", i), 2))
		many.check.findings = append(many.check.findings, finding{"NotFound", fmt.Sprint(i)})
	}
	listed, more = listProblems(&many)
	if len(listed) != 50 || more != 130 {
		t.Errorf("listed %d and %d more, want 50 and 130", len(listed), more)
	}
	for _, p := range listed {
		if len(p.Message) > 1024 {
			t.Errorf("a message of %d bytes", len(p.Message))
		}
	}

	// Those of the baseline as a whole are of no namespace, and so are not limited to four.
	listed, more = listProblems(&view{check: &check{findings: many.check.findings[:10]}})
	if len(listed) != 10 || more != 0 {
		t.Errorf("listed %d and %d more, want all 10", len(listed), more)
	}
}

// A failure names the webhooks that may have altered the write, a few of them.
func TestProblemsNameWebhooks(t *testing.T) {
	r := in("failed", 1, 0)
	r.Failures = []v1alpha1.Problem{problem("shop", "p", "WriteAltered", "another label"), problem("shop", "q", "WriteRefused", "no")}
	listed, _ := listProblems(&view{results: []result.Result{r}, mutating: []string{"a", "b", "c", "d", "e", "f"}})
	if want := "another label; mutating webhooks that match NetworkPolicies: a, b, c, d, e"; listed[0].Message != want || listed[1].Message != "no" {
		t.Errorf("got %q and %q, want %q and no", listed[0].Message, listed[1].Message, want)
	}
	if r.Failures[0].Message != "another label" {
		t.Error("the result itself was changed")
	}
}
