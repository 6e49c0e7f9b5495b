// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func restricting1(app string) []metav1.LabelSelector {
	return []metav1.LabelSelector{{MatchLabels: map[string]string{"app": app}}}
}

// Namespaces in the same situation share what is rendered; in another one they do not.
func TestMemoShares(t *testing.T) {
	m := &Memo{}
	a, b := everywhere(t, "a", denying), everywhere(t, "b", blocking)
	as := func(b *Baseline, phase Phase) Contribution {
		return Contribution{Baseline: b, Phase: phase, Revision: b.Update}
	}
	in := func(change func(*Input)) Input {
		in := Input{Contributions: []Contribution{as(a, Enforcing), as(b, Auditing)}}
		if change != nil {
			change(&in)
		}
		return in
	}
	first := m.render(in(nil), 1)
	if again := m.render(in(nil), 1); again != first {
		t.Error("the same situation is rendered twice")
	}
	if again := m.render(in(func(in *Input) { in.NamespaceLabels = map[string]string{"team": "blue"} }), 1); again != first {
		t.Error("labels that no flow reads make it render again")
	}
	if again := m.render(in(func(in *Input) {
		in.Contributions = append(in.Contributions, Contribution{Baseline: &Baseline{Name: "z"}, Phase: Leaving})
	}), 1); again != first {
		t.Error("a baseline without a revision here makes it render again")
	}
	seen := map[*Rendered]string{first: "itself"}
	next := *a
	next.Update = compiled(t, "a", `profile: {defaultDeny: {}}`)
	replaced := *a
	replaced.UID = "uid-replaced"
	crossing := everywhere(t, "a", `profile: {defaultDeny: {}}, flows: [{name: x, from: {namespaceSelector: {matchLabels: {team: blue}}, podSelector: {}}, to: {namespaceSelector: {}, podSelector: {}}}]`)
	for what, change := range map[string]func(*Input){
		"another phase":             func(in *Input) { in.Contributions[1].Phase = Enforcing },
		"another revision":          func(in *Input) { in.Contributions[0] = as(&next, Enforcing) },
		"another of the same name":  func(in *Input) { in.Contributions[0] = as(&replaced, Enforcing) },
		"one less":                  func(in *Input) { in.Contributions = in.Contributions[:1] },
		"what is denied besides":    func(in *Input) { in.AlsoDenied = directions[:1] },
		"pods that others restrict": func(in *Input) { in.Restricted = restricting1("web") },
		"other pods":                func(in *Input) { in.Restricted = restricting1("db") },
		"a flow across, at one end": func(in *Input) { in.Contributions[0] = as(crossing, Enforcing) },
		"a flow across, at both of its": func(in *Input) {
			in.Contributions[0], in.NamespaceLabels = as(crossing, Enforcing), map[string]string{"team": "blue"}
		},
	} {
		got := m.render(in(change), 1)
		if other, known := seen[got]; known {
			t.Errorf("%s: the same as %s", what, other)
		}
		seen[got] = what
	}
	if m.render(in(nil), 2) == first {
		t.Error("other facts: the same")
	}
	if got := (*Memo)(nil).render(in(nil), 1); got == first || compact(got) != compact(first) {
		t.Error("without a memo something else is rendered")
	}
}

// Two decisions on namespaces in the same situation have one rendering, which Share has seen before anybody else.
func TestMemoIsSharedByDecisions(t *testing.T) {
	shared := map[*networkingv1.NetworkPolicy]int{}
	m := &Memo{Share: func(p *networkingv1.NetworkPolicy) { shared[p]++ }}
	b := []*Baseline{everywhere(t, "a", denying)}
	shop := Decide(&State{Namespace: Namespace{Name: "shop"}, Baselines: b, Memo: m})
	blog := Decide(&State{Namespace: Namespace{Name: "blog"}, Baselines: b, Memo: m})
	if shop.Wanted != blog.Wanted {
		t.Error("each namespace has its own")
	}
	for _, p := range shop.Wanted.Policies {
		if shared[p.NetworkPolicy] != 1 {
			t.Errorf("%s was shared %d times", p.Name, shared[p.NetworkPolicy])
		}
	}
}

// What tenants write bounds neither the number nor the size of what is kept.
func TestMemoIsBounded(t *testing.T) {
	m := &Memo{}
	contributions := enforcing(parseBaseline(t, "a", blocking))
	for i := range 2000 {
		m.render(Input{Contributions: contributions, Restricted: restricting1(fmt.Sprint(i))}, 1)
		if len(m.byKey) > 512 {
			t.Fatalf("it keeps %d situations", len(m.byKey))
		}
	}
	before := len(m.byKey)
	large := Input{Contributions: contributions, Restricted: restricting1(strings.Repeat("x", 5000))}
	if first, second := m.render(large, 1), m.render(large, 1); first == second || len(m.byKey) != before {
		t.Error("it keeps what a tenant made large")
	}
}

func TestMemoIsSafe(t *testing.T) {
	m := &Memo{}
	contributions := enforcing(parseBaseline(t, "a", denying))
	var wait sync.WaitGroup
	got := make([]*Rendered, 8)
	for i := range got {
		wait.Go(func() { got[i] = m.render(Input{Contributions: contributions}, 1) })
	}
	wait.Wait()
	for _, r := range got {
		if r != got[0] {
			t.Error("workers at the same time have different ones")
		}
	}
}
