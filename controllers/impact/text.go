// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/controllers/suggest"
)

// Formats in which a report can be written.
var Formats = []string{"text", "json", "yaml", "flows", "html"}

// Write writes the report in one of the formats.
func (r *Report) Write(out io.Writer, format string) error {
	var text []byte
	var err error
	switch format {
	case "json":
		if text, err = json.MarshalIndent(r, "", "  "); err == nil {
			text = append(text, '\n')
		}
	case "yaml":
		text, err = yaml.Marshal(r)
	case "flows":
		var plain string
		plain, err = r.flows(math.MaxInt)
		text = []byte(plain)
	case "html":
		return r.html(out)
	default:
		var plain string
		plain, err = r.text()
		text = []byte(plain)
	}
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

// flows are ready to paste into the spec of each baseline: at most so many for each.
func (r *Report) flows(limit int) (string, error) {
	var out strings.Builder
	for _, b := range r.componentBaselines() {
		fmt.Fprintf(&out, "# spec of NetworkBaseline %s\nprofile:\n", b)
		for _, line := range r.componentLines(b) {
			out.WriteString("  " + line + "\n")
		}
	}
	for _, b := range r.Flows {
		shown := b.Flows[:min(len(b.Flows), limit)]
		text, err := suggest.FlowsYAML(shown)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "# spec of NetworkBaseline %s\n", b.Baseline)
		if n := len(b.Flows); n > maxFlows {
			fmt.Fprintf(&out, "# %d flows, and a baseline holds at most %d: use components, wider selectors or ranges, or a second baseline\n", n, maxFlows)
		}
		out.WriteString(text)
		if hidden := len(b.Flows) - len(shown); hidden > 0 {
			fmt.Fprintf(&out, "# … and %d more flows; -o flows has all\n", hidden)
		}
	}
	for _, g := range r.Uncovered[:min(len(r.Uncovered), limit)] {
		fmt.Fprintf(&out, "# not kept by these: %s\n", strings.TrimSpace(g.line()))
	}
	if hidden := len(r.Uncovered) - limit; hidden > 0 {
		fmt.Fprintf(&out, "# … and %d more kinds are not kept\n", hidden)
	}
	return out.String(), nil
}

// The lists of what is not cut are bounded: in a text, and on a page.
const (
	most       = 10
	mostOnPage = 500
)

func (r *Report) text() (string, error) {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("%s", r.Headline())
	for _, remark := range r.Remarks() {
		line("  %s", remark)
	}
	for _, s := range r.sections(most) {
		if len(s.Groups) == 0 && s.More == 0 {
			continue
		}
		line("")
		line("%s: %s", s.Title, connections(s.Count))
		for _, g := range s.Groups {
			line("  %s", g.line())
		}
		if s.Hidden > 0 {
			line("  … and %d more kinds; -o json has all", s.Hidden)
		}
		if s.More > 0 {
			line("  … and %s of further kinds, which are too many to keep", connections(s.More))
		}
	}
	if len(r.Components)+len(r.Flows)+len(r.Uncovered) == 0 {
		return out.String(), nil
	}
	flows, err := r.flows(maxFlows)
	line("")
	line("To keep what would be cut, add:")
	for l := range strings.Lines(flows) {
		out.WriteString("  " + l)
	}
	return out.String(), err
}

func (g *Group) line() string {
	out := fmt.Sprintf("%7d  %s -> %s on %s", g.Count, g.Source, g.Destination, g.on())
	switch {
	case g.Direction != "":
		out += fmt.Sprintf(": %s denied by %s", strings.ToLower(g.Direction), strings.Join(g.By, ", "))
	case len(g.By) > 0:
		out += ": by " + strings.Join(g.By, ", ")
	case g.Why != "":
		out += ": " + g.Why
	}
	return out
}

func (g *Group) on() string {
	if g.Port == 0 {
		return g.Protocol
	}
	return fmt.Sprintf("%s %d", g.Protocol, g.Port)
}

func connections(n int64) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

// Headline is the result in a sentence.
func (r *Report) Headline() string {
	subject := "The policies"
	if len(r.Baselines) > 0 {
		subject = "NetworkBaseline " + strings.Join(r.Baselines, ", ")
	}
	cut := r.Totals[ClassCut]
	var judged int64
	for _, n := range r.Totals {
		judged += n
	}
	if cut == 0 {
		return fmt.Sprintf("%s would cut none of %s that were observed.", subject, connections(judged))
	}
	return fmt.Sprintf("%s would cut %s of %d that were observed, of %d kinds.", subject, connections(cut), judged, len(r.Cut))
}

// Remarks are what a reader has to know of the observation.
func (r *Report) Remarks() []string {
	var out []string
	if !r.First.IsZero() {
		out = append(out, fmt.Sprintf("Observed from %s to %s (%s). What was not seen in that time is not unused.",
			r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339), r.Last.Sub(r.First).Round(time.Second)))
	} else {
		out = append(out, "The lines have no time. What was not seen is not unused.")
	}
	if r.Lost > 0 {
		out = append(out, fmt.Sprintf("%d events were lost before they were recorded: there were connections that nobody saw.", r.Lost))
	}
	if r.UnknownDirection > 0 {
		out = append(out, fmt.Sprintf("%d flows are not judged, because nothing says which end opened the connection (no is_reply, no TCP flags, ports that do not tell).", r.UnknownDirection))
	}
	if r.BadLines > 0 {
		out = append(out, fmt.Sprintf("%d of %d lines could not be read.", r.BadLines, r.Lines))
	}
	if n := r.Totals[ClassNoPod]; n > 0 {
		out = append(out, fmt.Sprintf("%s without a pod at either end: NetworkPolicies do not apply.", connections(n)))
	}
	return out
}

// section is the groups of a class.
type section struct {
	Class  Class
	Title  string
	Count  int64
	Kinds  int
	Groups []*Group
	// Hidden kinds are in the report and not among the groups here; More connections are of kinds that were not kept.
	Hidden int
	More   int64
}

var titles = []struct {
	class Class
	title string
}{
	{ClassCut, "Would be cut"},
	{ClassDeniedToday, "Denied by the policies of today already, although seen passing (the policy is newer than the connection, or not enforced)"},
	{ClassNotJudged, "Not judged"},
	{ClassNotForwarded, "Did not pass when they were seen"},
	{ClassAllowed, "Stay allowed"},
}

// sections have all that would be cut, and of every other class at most so many groups.
func (r *Report) sections(limit int) []section {
	var out []section
	for _, t := range titles {
		groups := *r.list(t.class)
		s := section{Class: t.class, Title: t.title, Count: r.Totals[t.class], Kinds: len(groups), Groups: groups, More: r.More[t.class]}
		if t.class != ClassCut && len(groups) > limit {
			s.Groups, s.Hidden = groups[:limit], len(groups)-limit
		}
		out = append(out, s)
	}
	return out
}

// workloads are the sources and destinations of groups, sorted.
func workloads(groups []*Group, of func(*Group) Name) []string {
	all := map[string]bool{}
	for _, g := range groups {
		all[of(g).String()] = true
	}
	return slices.Sorted(maps.Keys(all))
}
