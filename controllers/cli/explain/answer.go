// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/cli/resolve"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

const allowed = string(connectivity.Allowed)

// Answer on a connection, as it is printed.
type Answer struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Protocol    string `json:"protocol"`
	Port        int32  `json:"port"`
	// Outcome is Allowed, Denied, Partly or Undecided.
	Outcome string `json:"outcome"`
	// AllowedFamilies are the address families in which it is allowed, if it is not in all that are possible.
	AllowedFamilies []string `json:"allowedFamilies,omitempty"`
	// Why it is undecided.
	Why string `json:"why,omitempty"`
	// Baselines are the declared ones, once in force; Today is the outcome without them.
	Baselines []string `json:"baselines,omitempty"`
	Today     string   `json:"today,omitempty"`
	Egress    Side     `json:"egress"`
	Ingress   Side     `json:"ingress"`
	ToAllow   *ToAllow `json:"toAllow,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

// Side is one end of the connection.
type Side struct {
	Of      string `json:"of"`
	Outcome string `json:"outcome"`
	// Basis is NotAPod, Loopback, OwnNode, NotIsolated, PoliciesUnreadable or Policies.
	Basis      string   `json:"basis"`
	Why        string   `json:"why,omitempty"`
	IsolatedBy []Policy `json:"isolatedBy,omitempty"`
	AllowedBy  []Rule   `json:"allowedBy,omitempty"`
	DependsOn  []Rule   `json:"dependsOn,omitempty"`
	NearMisses []Miss   `json:"nearMisses,omitempty"`
	// Missing is what no rule says.
	Missing string `json:"missing,omitempty"`
}

// Policy is a NetworkPolicy and whose it is.
type Policy struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Baseline  string `json:"baseline,omitempty"`
	Component string `json:"component,omitempty"`
}

// Rule of a policy; its number is that of spec.ingress or spec.egress, from 0.
type Rule struct {
	Policy
	Rule int `json:"rule"`
	// Families in which it holds, if not in all.
	Families []string `json:"families,omitempty"`
}

// Miss is a rule that matches but for its peers or its ports.
type Miss struct {
	Rule
	DiffersIn string `json:"differsIn"`
}

// ToAllow is what to add. Flow and Policies are alternatives.
type ToAllow struct {
	// Flow to add to spec.flows of each of the baselines.
	Flow      *v1alpha1.Flow `json:"flow,omitempty"`
	Baselines []string       `json:"baselines,omitempty"`
	// Policies to create.
	Policies []*networkingv1.NetworkPolicy `json:"policies,omitempty"`
}

func (w *World) answer(p *pair, port resolve.Port) *Answer {
	v := &p.verdict
	a := &Answer{
		Source: p.from.Name, Destination: p.to.Name, Protocol: string(port.Protocol), Port: p.to.Port, Outcome: string(v.Outcome),
		Why: v.Unknown.String(),
	}
	if v.Outcome == connectivity.Partly {
		a.AllowedFamilies = v.Allowed.Names()
	}
	for _, b := range w.snapshot.Declared {
		a.Baselines = append(a.Baselines, b.Name)
	}
	if len(a.Baselines) > 0 {
		a.Today = string(w.verdict(w.now, &p.question).Outcome)
	}
	a.Egress = w.side(p.from, &v.Egress, v.Families)
	a.Ingress = w.side(p.to, &v.Ingress, v.Families)
	if a.Egress.denied() {
		a.Egress.Missing = fmt.Sprintf("an egress rule to %s on %s %d", describe(p.to), a.Protocol, a.Port)
	}
	if a.Ingress.denied() {
		a.Ingress.Missing = fmt.Sprintf("an ingress rule from %s on %s %d", describe(p.from), a.Protocol, a.Port)
	}
	a.ToAllow = w.toAllow(p, a)
	return a
}

func (s *Side) denied() bool {
	return s.Outcome == string(connectivity.Denied) || s.Outcome == string(connectivity.Partly)
}

func (w *World) side(t resolve.Target, s *connectivity.Side, possible connectivity.Families) Side {
	out := Side{Of: t.Name, Outcome: string(s.Outcome), Basis: string(s.Basis), Why: s.Unknown.String()}
	if s.Basis == unreadable {
		out.Why = w.snapshot.Unreadable[t.Endpoint.Pod.Namespace].Error()
		return out
	}
	for _, p := range s.Selecting {
		out.IsolatedBy = append(out.IsolatedBy, policyOf(p))
	}
	for _, r := range s.Allowing {
		out.AllowedBy = append(out.AllowedBy, ruleOf(r, possible))
	}
	if s.Outcome == connectivity.Undecided {
		for _, r := range s.Depending {
			out.DependsOn = append(out.DependsOn, ruleOf(r, possible))
		}
	}
	if out.denied() {
		for _, n := range s.Near {
			out.NearMisses = append(out.NearMisses, Miss{ruleOf(n.Rule, n.Families), string(n.Missing)})
		}
	}
	return out
}

func policyOf(p *networkingv1.NetworkPolicy) Policy {
	baseline, component := ownerOf(p)
	return Policy{p.Namespace, p.Name, baseline, component}
}

func ruleOf(r connectivity.Rule, possible connectivity.Families) Rule {
	out := Rule{Policy: policyOf(r.Policy), Rule: r.Index}
	if r.Families != possible {
		out.Families = r.Families.Names()
	}
	return out
}

// count tells of the other pairs, if there are any.
func (a *Answer) count(pairs []pair) {
	if len(pairs) < 2 {
		return
	}
	counts := map[connectivity.Outcome]int{}
	for i := range pairs {
		counts[pairs[i].verdict.Outcome]++
	}
	if len(counts) == 1 {
		a.Notes = append(a.Notes, fmt.Sprintf("the same holds for all %d pairs that were asked about; shown is one", len(pairs)))
		return
	}
	var text []string
	for _, o := range []connectivity.Outcome{connectivity.Denied, connectivity.Partly, connectivity.Undecided, connectivity.Allowed} {
		if counts[o] > 0 {
			text = append(text, fmt.Sprintf("%d %s", counts[o], word(o)))
		}
	}
	a.Notes = append(a.Notes, fmt.Sprintf("of %d pairs that were asked about, %s; shown is one that is %s", len(pairs), strings.Join(text, ", "), word(connectivity.Outcome(a.Outcome))))
}
