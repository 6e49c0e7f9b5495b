// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	production = `namespaceSelector: {matchLabels: {environment: production}}, profile: {defaultDeny: {}}`
	staging    = `namespaceSelector: {matchLabels: {environment: staging}}, profile: {defaultDeny: {}}`
)

// compiled is a spec as a revision of a baseline; nil for "".
func compiled(t *testing.T, name, spec string) *Revision {
	t.Helper()
	if spec == "" {
		return nil
	}
	b := parseBaseline(t, name, "{"+spec+"}")
	revision, _, err := EncodeRevision(name, b.UID, &b.Spec)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRevision(revision, &b.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// everywhere is a baseline whose spec is admitted, and in force in every namespace.
func everywhere(t *testing.T, name, spec string) *Baseline {
	t.Helper()
	r := compiled(t, name, spec)
	return &Baseline{Name: name, UID: types.UID("uid-" + name), Version: r.Name, Current: r, Update: r, Admitted: true, Settled: true}
}

// waiting is a baseline of which nothing was admitted, created at noon of some day.
func waiting(t *testing.T, name, spec string) *Baseline {
	t.Helper()
	return &Baseline{Name: name, UID: types.UID("uid-" + name), Update: compiled(t, name, spec), Created: time.Unix(1000, 0)}
}

// inShort is what a baseline is to a namespace, in a few words.
func (c *Contribution) inShort() string {
	out := string(c.Phase)
	if c.Selected {
		out += " selected"
	}
	switch c.Revision {
	case nil:
	case c.Update:
		out += " update"
	case c.Current:
		out += " current"
	}
	if c.For != (Wait{}) {
		out += fmt.Sprintf(" for %+v", c.For)
	}
	return out
}

func TestPhases(t *testing.T) {
	audit := func(b *Baseline) { b.Mode = "Audit" }
	remove := func(b *Baseline) { b.Deleting = true }
	retain := func(b *Baseline) { b.Deleting, b.DeletionPolicy = true, "Retain" }
	lost := func(b *Baseline) { b.Lost, b.Current = "r-lost", nil }
	exclude := func(b *Baseline) { b.Excluded = []v1alpha1.NamespaceName{"shop"} }
	const all, admission = "{Admission:true Baseline: Revision:}", "{Admission:false Baseline: Revision:r-lost}"
	for _, tc := range []struct {
		name            string
		current, update string
		admitted        bool
		change          func(*Baseline)
		want            string
	}{
		{"in force", production, production, true, nil, "Enforcing selected update"},
		{"in force elsewhere", staging, staging, true, nil, "Leaving"},
		{"excluded", production, production, true, exclude, "Leaving"},
		{"not admitted", "", production, false, nil, "Waiting selected for " + all},
		{"not admitted, elsewhere", "", staging, false, nil, "Leaving"},
		{"admitted, and being rolled out", "", production, true, nil, "Enforcing selected update"},
		{"a new one waits: the current one stays in force", production, production + `, flows: []`, false, nil, "Enforcing selected current"},
		{"a new one waits that selects others: the current one stays in force", production, staging, false, nil, "Enforcing selected current"},
		{"a new one waits that selects this namespace too", staging, production, false, nil, "Waiting selected for " + all},
		{"a new one is in force that selects this namespace too", staging, production, true, nil, "Enforcing selected update"},
		{"a new one is in force that selects others", production, staging, true, nil, "Leaving"},
		{"a spec that does not compile: the current one stays in force", production, "", false, nil, "Enforcing selected current"},
		{"a spec that does not compile, from the start", "", "", false, nil, "Leaving"},

		{"audited", production, production, true, audit, "Auditing selected update"},
		{"audited, and never admitted", "", production, false, audit, "Auditing selected"},
		{"audited, a new one selects others: what is in force stays", production, staging, false, audit, "Auditing selected current"},
		{"audited elsewhere: what is there stays", staging, staging, true, audit, "Auditing"},
		{"excluded while it is audited", production, production, true, func(b *Baseline) { audit(b); exclude(b) }, "Auditing"},

		{"deleted", production, production, true, remove, "Leaving"},
		{"deleted, and retained", production, production, true, retain, "Retained update"},
		{"deleted, and retained, elsewhere", staging, staging, true, retain, "Retained"},
		{"deleted, and retained, before it was admitted", "", production, false, retain, "Retained"},
		{"deleted while it is audited", production, production, true, func(b *Baseline) { audit(b); remove(b) }, "Leaving"},
		{"deletionPolicy alone does nothing", production, production, true, func(b *Baseline) { b.DeletionPolicy = "Retain" }, "Enforcing selected update"},

		{"the revision in force is lost", "", production, false, lost, "Waiting selected for " + admission},
		{"lost: also elsewhere nothing is removed", "", staging, false, lost, "Waiting for " + admission},
		{"deleted while its revision is lost", "", production, false, func(b *Baseline) { lost(b); remove(b) }, "Leaving"},
	} {
		b := &Baseline{Name: "a", UID: "uid-a", Current: compiled(t, "a", tc.current), Update: compiled(t, "a", tc.update), Admitted: tc.admitted}
		if tc.current == tc.update {
			b.Current = b.Update
		}
		if tc.change != nil {
			tc.change(b)
		}
		ns := Namespace{Name: "shop", Labels: map[string]string{"environment": "production"}}
		got := Contributions(ns, []*Baseline{b}, nil, func(*Baseline, time.Time) bool { return false })
		if len(got) != 1 || got[0].inShort() != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got[0].inShort(), tc.want)
		}
		phase, selected := b.Phase(ns, nil)
		if string(phase) != strings.Fields(tc.want)[0] || selected != strings.Contains(tc.want, "selected") {
			t.Errorf("%s: Phase is %s, %t; want %q", tc.name, phase, selected, tc.want)
		}
	}
}

func TestProtectedNamespacesAreNotGoverned(t *testing.T) {
	ns := Namespace{Name: "kube-system", Labels: map[string]string{"environment": "production"}}
	for spec, want := range map[string]Phase{
		production: Leaving,
		production + `, includedProtectedNamespaces: [kube-system]`: Enforcing,
	} {
		if phase, _ := everywhere(t, "a", spec).Phase(ns, Protection{"kube-*"}); phase != want {
			t.Errorf("%s: %s, want %s", spec, phase, want)
		}
	}
}

// One baseline's deny does not arrive before another's allows: but where it is in force it stays.
func TestWaitingForAnotherBaseline(t *testing.T) {
	ns := Namespace{Name: "shop", Labels: map[string]string{"environment": "production"}}
	older, newer := waiting(t, "x", production), waiting(t, "c", production)
	newer.Created = older.Created.Add(time.Hour)
	audited, leaving, elsewhere := waiting(t, "m", production), waiting(t, "m", production), waiting(t, "m", staging)
	audited.Mode, leaving.Deleting = "Audit", true
	lost := waiting(t, "m", production)
	lost.Lost = "m-lost"
	for _, tc := range []struct {
		name     string
		others   []*Baseline
		enforced bool
		want     string
	}{
		{"none", nil, false, "Enforcing selected update"},
		{"another is not admitted", []*Baseline{older}, false, "Waiting selected for {Admission:false Baseline:x Revision:}"},
		{"another is not admitted, and this one is in force", []*Baseline{older}, true, "Enforcing selected update"},
		{"of two the older one is named", []*Baseline{newer, older}, false, "Waiting selected for {Admission:false Baseline:x Revision:}"},
		{"one that is audited holds nothing up", []*Baseline{audited}, false, "Enforcing selected update"},
		{"one that is being deleted holds nothing up", []*Baseline{leaving}, false, "Enforcing selected update"},
		{"one that does not select the namespace holds nothing up", []*Baseline{elsewhere}, false, "Enforcing selected update"},
		{"another's revision is lost, so that its allows cannot come", []*Baseline{lost}, false, "Waiting selected for {Admission:false Baseline:m Revision:}"},
		{"another's revision is lost, and this one is in force", []*Baseline{lost}, true, "Enforcing selected update"},
	} {
		asked := time.Time{}
		got := Contributions(ns, append(slices.Clone(tc.others), everywhere(t, "b", production)), nil, func(b *Baseline, since time.Time) bool {
			if b.Name != "b" {
				t.Errorf("%s: asked whether %s is in force", tc.name, b.Name)
			}
			asked = since
			return tc.enforced
		})
		if !slices.IsSortedFunc(got, func(a, b Contribution) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%s: not by name", tc.name)
		}
		i := slices.IndexFunc(got, func(c Contribution) bool { return c.Name == "b" })
		// A waiting baseline keeps its revision for the cuts, which stay in the policies of others: see TestCutsStay.
		if short := strings.Replace(got[i].inShort(), " update for", " for", 1); short != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, short, tc.want)
		}
		if strings.Contains(tc.want, "x") && !asked.Equal(older.Created) {
			t.Errorf("%s: asked since %s", tc.name, asked)
		}
	}
}

// A fingerprint differs whenever the contributions may, and is the same otherwise.
func TestFingerprint(t *testing.T) {
	ns := Namespace{Name: "shop", Labels: map[string]string{"environment": "production"}}
	a, elsewhere := everywhere(t, "a", production), everywhere(t, "b", staging)
	of := func(ns Namespace, facts int64, baselines ...*Baseline) string {
		return Fingerprint(ns, baselines, nil, facts)
	}
	same := of(ns, 1, a)
	other := *a
	other.Version = "other"
	replaced := *a
	replaced.UID = "uid-replaced"
	joined := waiting(t, "c", production)
	for what, got := range map[string]string{
		"the facts": of(ns, 2, a), "the version": of(ns, 1, &other), "another of the same name": of(ns, 1, &replaced),
		"another baseline": of(ns, 1, a, joined), "none": of(ns, 1), "the labels": of(Namespace{Name: "shop"}, 1, a),
	} {
		if got == same {
			t.Errorf("%s changed, and the fingerprint did not", what)
		}
	}
	// Which end of a flow across namespaces lies here depends on labels that select nothing.
	crossing := everywhere(t, "a", production+`, flows: [{name: x, from: {namespaceSelector: {matchLabels: {team: blue}}, podSelector: {}}, to: {namespaceSelector: {matchLabels: {team: red}}, podSelector: {}}}]`)
	blue := Namespace{Name: "shop", Labels: map[string]string{"environment": "production", "team": "blue"}}
	if of(ns, 1, crossing) == of(blue, 1, crossing) {
		t.Error("the end of a flow changed, and the fingerprint did not")
	}
	audited := *elsewhere
	audited.Mode = v1alpha1.ModeAudit
	for what, got := range map[string]string{
		"one that does not select it, in Audit": of(ns, 1, a, &audited),
		"nothing":                               of(ns, 1, a), "a baseline that does not select it": of(ns, 1, a, elsewhere),
		"a label that selects nothing": of(Namespace{Name: "shop", Labels: map[string]string{"environment": "production", "team": "x"}}, 1, a),
	} {
		if got != same {
			t.Errorf("%s changed, and the fingerprint did: %s", what, got)
		}
	}
}
