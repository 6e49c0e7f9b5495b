// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

// Component of a baseline's profile that would keep what is cut: allowDNS, or one item of the list of another one, such as
// IngressNginx of the controllers of allowIngressController.
type Component struct {
	Baseline string `json:"baseline"`
	Name     string `json:"name"`
	List     string `json:"list,omitempty"`
	Item     string `json:"item,omitempty"`
	// Kinds and Count are the groups and the connections that it would keep.
	Kinds int   `json:"kinds"`
	Count int64 `json:"count"`
}

// Try returns the policies with components and flows added to the baselines.
type Try func(components []Component, flows []BaselineFlows) (*connectivity.Set, error)

// Advice is what suggestions go by.
type Advice struct {
	// Governing returns the baselines that select a namespace, to which can be added.
	Governing func(namespace string) []string
	// Taken are the names of the flows that the baselines have.
	Taken map[string][]string
	// Candidates are lists of alternatives.
	Candidates [][]Component
	Try        Try
}

// Suggest finds components and flows that would keep what is cut, and tries them: what is still cut then is Uncovered.
func (r *Report) Suggest(a Advice) error {
	left := slices.Clone(r.Cut)
	for _, alternatives := range a.Candidates {
		// All at once, first: most components are of no use for what is cut.
		if kept, err := keptBy(left, a.Try, alternatives); err != nil || len(kept) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		for _, c := range alternatives {
			kept, err := keptBy(left, a.Try, []Component{c})
			if err != nil {
				return err
			}
			if len(kept) == 0 {
				continue
			}
			for g := range kept {
				c.Kinds, c.Count = c.Kinds+1, c.Count+g.Count
			}
			r.Components = append(r.Components, c)
			left = slices.DeleteFunc(left, func(g *Group) bool { return kept[g] })
		}
	}
	var uncovered []*Group
	r.Flows, uncovered = suggestFlows(left, a.Governing, a.Taken)
	set, err := a.Try(r.Components, r.Flows)
	if err != nil {
		return err
	}
	isKept := func(g *Group) bool {
		return !slices.Contains(uncovered, g) && set.Judge(&g.question).Outcome == connectivity.Allowed
	}
	r.Uncovered = slices.DeleteFunc(slices.Clone(r.Cut), isKept)
	// Without the flows that turned out to be of no use.
	r.Flows, _ = suggestFlows(slices.DeleteFunc(left, func(g *Group) bool { return !isKept(g) }), a.Governing, a.Taken)
	return nil
}

func keptBy(cut []*Group, try Try, components []Component) (map[*Group]bool, error) {
	if len(cut) == 0 {
		return nil, nil
	}
	set, err := try(components, nil)
	if err != nil {
		return nil, err
	}
	kept := map[*Group]bool{}
	for _, g := range cut {
		if set.Judge(&g.question).Outcome == connectivity.Allowed {
			kept[g] = true
		}
	}
	return kept, nil
}

// Namespaces are those of the pods at the ends of what is cut.
func (r *Report) Namespaces() map[string]bool {
	out := map[string]bool{}
	for _, g := range r.Cut {
		for _, e := range []*connectivity.Endpoint{&g.question.Source, &g.question.Destination} {
			if e.Pod != nil {
				out[e.Pod.Namespace] = true
			}
		}
	}
	return out
}

func (r *Report) componentBaselines() []string {
	out := map[string]bool{}
	for _, c := range r.Components {
		out[c.Baseline] = true
	}
	return slices.Sorted(maps.Keys(out))
}

// componentLines are the components to add to a baseline, as they are written in its profile.
func (r *Report) componentLines(baseline string) []string {
	items := map[string][]string{}
	lists := map[string]string{}
	for _, c := range r.Components {
		if c.Baseline != baseline {
			continue
		}
		lists[c.Name] = c.List
		items[c.Name] = append(items[c.Name], c.Item)
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(items)) {
		if lists[name] == "" {
			out = append(out, name+": {}")
			continue
		}
		out = append(out, fmt.Sprintf("%s: {%s: [%s]}", name, lists[name], strings.Join(items[name], ", ")))
	}
	return out
}
