// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// remark is something that is the same in many namespaces.
type remark struct {
	baseline, text string
	reason         string
	problem        bool
}

// tally collects remarks, with the namespaces that they are about, in the order in which they came.
type tally struct {
	order  []remark
	places map[remark][]string
}

func (t *tally) add(p preview) {
	for _, n := range p.notes {
		// A spec that cannot mean anything stalls its baseline; all other notes are on what is without effect here.
		t.note(p, remark{p.baseline.Name, n.Component + ": " + n.Message, n.Reason, n.Reason == v1alpha1.ReasonInvalidSpec})
	}
	for _, problem := range p.problems {
		text := problem.Message
		if problem.Policy != "" {
			text = "NetworkPolicy " + problem.Policy + ": " + text
		}
		t.note(p, remark{p.baseline.Name, text, problem.Reason, true})
	}
}

func (t *tally) note(p preview, r remark) {
	if t.places == nil {
		t.places = map[remark][]string{}
	}
	if t.places[r] == nil {
		t.order = append(t.order, r)
	}
	t.places[r] = append(t.places[r], p.namespace)
}

// lines are the notes and the problems in words. Without a cluster, what was not found was not looked for.
func (t *tally) lines(looked bool) (notes, problems []string) {
	for _, r := range t.order {
		text := r.text
		if r.reason == v1alpha1.ReasonNotFound && !looked {
			component, _, _ := strings.Cut(text, ":")
			text = component + ": left out, because its addresses are discovered in the cluster: give --kubeconfig to see it"
		}
		text = fmt.Sprintf("NetworkBaseline %s in %s: %s", r.baseline, someOf(t.places[r], 3), text)
		if r.problem {
			problems = append(problems, text)
		} else {
			notes = append(notes, text)
		}
	}
	return notes, problems
}

// someOf names at most so many namespaces, and says how many more there are.
func someOf(names []string, most int) string {
	if len(names) == 1 {
		return "namespace " + names[0]
	}
	if len(names) <= most {
		return "namespaces " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("namespaces %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// madeUp says which namespaces are none.
func madeUp(all []namespace) string {
	if len(all) == 0 {
		return "no namespaces are given"
	}
	var out []string
	for _, ns := range all {
		var l []string
		for k, v := range withoutName(ns.labels) {
			l = append(l, k+"="+v)
		}
		slices.Sort(l)
		text := ns.name
		if len(l) > 0 {
			text += " (" + strings.Join(l, ", ") + ")"
		}
		out = append(out, text)
	}
	return "no namespaces are given: rendered for made-up ones that the baselines select: " + strings.Join(out, "; ")
}
