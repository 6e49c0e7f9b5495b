// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/suggest"
)

func (a *Answer) write(out io.Writer, format string) error {
	var text []byte
	var err error
	switch format {
	case "json":
		if text, err = json.MarshalIndent(a, "", "  "); err == nil {
			text = append(text, '\n')
		}
	case "yaml":
		text, err = yaml.Marshal(a)
	default:
		var plain string
		plain, err = a.text()
		text = []byte(plain)
	}
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

// words of outcomes within a sentence.
func word(o connectivity.Outcome) string {
	switch o {
	case connectivity.Partly:
		return "allowed in part"
	case connectivity.Undecided:
		return "not certain"
	default:
		return strings.ToLower(string(o))
	}
}

func title(o string) string {
	switch connectivity.Outcome(o) {
	case connectivity.Partly:
		return "Allowed in part"
	case connectivity.Undecided:
		return "Not certain"
	default:
		return o
	}
}

// Summary is the connection and its outcome in a line.
func (a *Answer) Summary() string {
	out := fmt.Sprintf("%s: %s -> %s on %s %d", title(a.Outcome), a.Source, a.Destination, a.Protocol, a.Port)
	if len(a.AllowedFamilies) > 0 {
		out += ", over " + strings.Join(a.AllowedFamilies, " and ") + " only"
	}
	if len(a.Baselines) > 0 {
		out += fmt.Sprintf(", with NetworkBaseline %s in force (today: %s)", strings.Join(a.Baselines, ", "), word(connectivity.Outcome(a.Today)))
	}
	return out
}

// Reasons are the two sides, and the notes.
func (a *Answer) Reasons() string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	a.Egress.write(line, "Egress")
	line("")
	a.Ingress.write(line, "Ingress")
	if len(a.Notes) > 0 {
		line("")
	}
	for _, n := range a.Notes {
		line("Note: %s.", n)
	}
	return out.String()
}

func (a *Answer) text() (string, error) {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("%s", a.Summary())
	if a.Why != "" {
		line("  %s", a.Why)
	}
	line("")
	out.WriteString(a.Reasons())
	if a.ToAllow == nil {
		return out.String(), nil
	}
	line("")
	suggestion, err := a.ToAllow.text()
	return out.String() + suggestion, err
}

func (s *Side) write(line func(string, ...any), direction string) {
	line("%s of %s: %s", direction, s.Of, word(connectivity.Outcome(s.Outcome)))
	switch connectivity.Basis(s.Basis) {
	case connectivity.NotAPod:
		line("  no pod: NetworkPolicies do not apply")
	case connectivity.Loopback:
		line("  a pod can always reach itself")
	case connectivity.OwnNode:
		line("  a pod is always reachable from the node on which it runs")
	case connectivity.NotIsolated:
		line("  not isolated: no NetworkPolicy selects the pod in this direction")
	}
	for i, p := range s.IsolatedBy {
		line("  %-12s %s", first(i, "isolated by"), p)
	}
	for i, r := range s.AllowedBy {
		line("  %-12s %s", first(i, "allowed by"), r.text(direction))
	}
	for i, r := range s.DependsOn {
		line("  %-12s %s", first(i, "depends on"), r.text(direction))
	}
	for i, m := range s.NearMisses {
		line("  %-12s %s: its %s do not match", first(i, "near miss"), m.text(direction), m.DiffersIn)
	}
	if s.Missing != "" {
		line("  %-12s %s", "missing", s.Missing)
	}
	if s.Why != "" {
		line("  %-12s %s", "not known", s.Why)
	}
}

// first is the label in front of the first of several lines.
func first(i int, label string) string {
	if i > 0 {
		return ""
	}
	return label
}

func (p Policy) String() string {
	out := p.Namespace + "/" + p.Name
	if p.Baseline != "" {
		out += fmt.Sprintf(" (NetworkBaseline %s, %s)", p.Baseline, p.Component)
	}
	return out
}

func (r Rule) text(direction string) string {
	out := fmt.Sprintf("%s, spec.%s[%d]", r.Policy, strings.ToLower(direction), r.Rule)
	if len(r.Families) > 0 {
		out += " over " + strings.Join(r.Families, " and ")
	}
	return out
}

func (t *ToAllow) text() (string, error) {
	var out strings.Builder
	policies := "To allow it, create:\n"
	if t.Flow != nil {
		flow, err := suggest.FlowsYAML([]v1alpha1.Flow{*t.Flow})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "To allow it, add to spec of NetworkBaseline %s:\n%s\n", strings.Join(t.Baselines, " and of "), indent(flow))
		policies = "Or, without rights on baselines, create:\n"
	}
	out.WriteString(policies)
	for i, p := range t.Policies {
		text, err := yaml.Marshal(p)
		if err != nil {
			return "", err
		}
		if i > 0 {
			out.WriteString("  ---\n")
		}
		out.WriteString(indent(string(text)))
	}
	return out.String(), nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
