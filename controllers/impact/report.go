// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"cmp"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/suggest"
)

// Class of observed connections.
type Class string

// The classes.
const (
	// ClassCut: they pass today, today's policies do not deny them, and tomorrow's do.
	ClassCut Class = "Cut"
	// ClassDeniedToday: they passed, and the policies of today deny them already: those are newer, or not enforced.
	ClassDeniedToday Class = "DeniedToday"
	ClassAllowed     Class = "Allowed"
	// ClassNotJudged: it depends on something that is not known.
	ClassNotJudged Class = "NotJudged"
	// ClassNotForwarded: they did not pass when they were seen.
	ClassNotForwarded Class = "NotForwarded"
	// ClassNoPod: neither end is a pod.
	ClassNoPod Class = "NoPod"
)

// Span of time.
type Span struct {
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Group is connections between the same workloads, on the same port, with the same outcome.
type Group struct {
	Class       Class  `json:"-"`
	Source      Name   `json:"source"`
	Destination Name   `json:"destination"`
	Protocol    string `json:"protocol"`
	Port        int32  `json:"port,omitempty"`
	// Count of connections.
	Count int64 `json:"count"`
	Span
	// Direction that is denied: Egress, Ingress, or both.
	Direction string `json:"direction,omitempty"`
	// By are the policies that deny, or the rules that allow.
	By []string `json:"by,omitempty"`
	// Why it is not judged, or allowed without a rule; or the verdict of the network.
	Why string `json:"why,omitempty"`

	from, to suggest.End
	question connectivity.Connection
	rest     bool // of what is beyond the limit
}

type groupKey struct {
	class               Class
	source, destination Name
	protocol            string
	port                int32
	direction, by, why  string
	rest                bool
}

func (g *Group) key() groupKey {
	return groupKey{g.Class, g.Source, g.Destination, g.Protocol, g.Port, g.Direction, strings.Join(g.By, " "), g.Why, g.rest}
}

// Report of an analysis.
type Report struct {
	// Span in which the connections were seen. What was not seen in it is not unused.
	Span
	Lines    int64 `json:"lines"`
	BadLines int64 `json:"badLines"`
	// Replies belong to connections that are counted. Of UnknownDirection nothing says which end opened it. Other lines
	// are no connections.
	Replies          int64 `json:"replies"`
	UnknownDirection int64 `json:"unknownDirection"`
	Other            int64 `json:"other"`
	// Lost events were never recorded.
	Lost int64 `json:"lost"`
	// Totals are the numbers of connections by class, Verdicts those that did not pass.
	Totals   map[Class]int64  `json:"totals"`
	Verdicts map[string]int64 `json:"verdicts,omitempty"`
	// Groups by class, the largest first.
	Cut          []*Group `json:"cut"`
	DeniedToday  []*Group `json:"deniedToday"`
	NotJudged    []*Group `json:"notJudged"`
	NotForwarded []*Group `json:"notForwarded"`
	Allowed      []*Group `json:"allowed"`
	// More connections, by class, belong to further groups, which are not kept.
	More map[Class]int64 `json:"more,omitempty"`
	// Components and Flows would keep what is cut, added to the baselines.
	Components []Component     `json:"components,omitempty"`
	Flows      []BaselineFlows `json:"flows"`
	// Uncovered are the groups which they would not keep: no baseline selects the namespace that denies, no peer can name
	// the other end, or the baseline blocks the address.
	Uncovered []*Group `json:"uncovered,omitempty"`
	// Baselines whose being in force is judged.
	Baselines []string `json:"baselines,omitempty"`
}

// Report ends the analysis.
func (a *Analysis) Report() *Report {
	a.flush()
	r := &a.report
	for _, g := range a.groups {
		r.Totals[g.Class] += g.Count
		if g.Class == ClassNotForwarded && !g.rest {
			r.Verdicts[g.Why] += g.Count
		}
		if g.rest {
			r.More[g.Class] += g.Count
			continue
		}
		if list := r.list(g.Class); list != nil {
			*list = append(*list, g)
		}
	}
	for _, class := range []Class{ClassCut, ClassDeniedToday, ClassNotJudged, ClassNotForwarded, ClassAllowed} {
		slices.SortFunc(*r.list(class), func(a, b *Group) int {
			return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Source.String(), b.Source.String()), cmp.Compare(a.Destination.String(), b.Destination.String()),
				cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Why, b.Why), slices.Compare(a.By, b.By))
		})
	}
	return r
}

func (r *Report) list(c Class) *[]*Group {
	return map[Class]*[]*Group{
		ClassCut: &r.Cut, ClassDeniedToday: &r.DeniedToday, ClassNotJudged: &r.NotJudged, ClassNotForwarded: &r.NotForwarded, ClassAllowed: &r.Allowed,
	}[c]
}

// deniedBy names the direction that denies, and the policies that isolate the pod there.
func deniedBy(v *connectivity.Verdict) (direction string, by []string) {
	var directions []string
	for _, s := range []*connectivity.Side{&v.Egress, &v.Ingress} {
		if s.Outcome == connectivity.Denied || s.Outcome == connectivity.Partly {
			directions = append(directions, string(s.Direction))
			by = append(by, denying(s)...)
		}
	}
	return strings.Join(directions, " and "), by
}

// maxNames bounds how many policies are named.
const maxNames = 3

// denying are the policies without rules, which deny and do nothing else, or else all that isolate the pod.
func denying(s *connectivity.Side) []string {
	var denies, all []string
	for _, p := range s.Selecting {
		name := p.Namespace + "/" + p.Name
		all = append(all, name)
		if s.Direction == networkingv1.PolicyTypeIngress && len(p.Spec.Ingress) == 0 || s.Direction == networkingv1.PolicyTypeEgress && len(p.Spec.Egress) == 0 {
			denies = append(denies, name)
		}
	}
	if len(denies) > 0 {
		all = denies
	}
	return all[:min(len(all), maxNames)]
}

// allowedBy names what allows at each side that is isolated.
func allowedBy(v *connectivity.Verdict) []string {
	var out []string
	for _, s := range []*connectivity.Side{&v.Egress, &v.Ingress} {
		for i, r := range s.Allowing {
			if i == maxNames {
				break
			}
			out = append(out, r.Policy.Namespace+"/"+r.Policy.Name)
		}
	}
	return slices.Compact(out)
}

// allowedWhy is why no policy decides.
func allowedWhy(v *connectivity.Verdict) string {
	switch {
	case v.Ingress.Basis == connectivity.Loopback:
		return "a pod can always reach itself"
	case v.Ingress.Basis == connectivity.OwnNode:
		return "a pod is always reachable from its own node"
	case !v.Egress.Isolated && !v.Ingress.Isolated:
		return "not isolated"
	default:
		return ""
	}
}
