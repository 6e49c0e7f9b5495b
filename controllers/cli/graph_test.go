// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dotLine is every line of a digraph that we write. In a quoted string of DOT a backslash takes the next character along
// (graphviz.org/doc/info/lang.html), so no label may end early.
var dotLine = regexp.MustCompile(`^(digraph netbaseline \{|  rankdir=LR|  node \[shape=box\]|  subgraph cluster_\d+ \{|    label=Q|  \}| +n\d+ \[label=Q\]|  n\d+ -> n\d+ \[label=Q(, style=dashed)?\]|\})$`)

var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// mermaidLine is every line of a flowchart that we write: no label may end early, or hold what Mermaid would read.
var mermaidLine = regexp.MustCompile(`^(flowchart LR|  subgraph g\d+\["[^"\n]+"\]|  end| +n\d+\["[^"\n]+"\]|  n\d+ (-->|-\.->)\|"[^"\n]+"\| n\d+)$`)

// TestPicturesAreValid: each sample, and labels that want to break out, in both languages.
func TestPicturesAreValid(t *testing.T) {
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			code, dot, messages := render(t, "", "-f", file, "-o", "dot")
			if code != 0 {
				t.Fatalf("exit %d: %s", code, messages)
			}
			checkDot(t, dot)
			_, mermaid, _ := render(t, "", "-f", file, "-o", "mermaid")
			checkMermaid(t, mermaid)
			if d, m := strings.Count(dot, " -> "), strings.Count(mermaid, "->|"); d != m {
				t.Errorf("%d arrows in dot and %d in mermaid", d, m)
			}
		})
	}
	t.Run("labels that want to break out", func(t *testing.T) {
		g := &graph{}
		from, to := g.node(&group{title: []string{"a\"] \\", "end"}}, "x\"];\n}\\"), g.node(nil, "[y]|")
		g.groups = append(g.groups, from.group)
		g.links = append(g.links, &link{from: from, to: to, direction: "Egress", ports: []port{{}}})
		checkDot(t, g.dot())
		checkMermaid(t, g.mermaid())
	})
}

func checkDot(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !dotLine.MatchString(quoted.ReplaceAllString(strings.TrimSuffix(line, "\n"), "Q")) {
			t.Errorf("not a line of DOT: %s", line)
		}
	}
	if opened, closed := strings.Count(text, "{\n"), strings.Count(text, "}\n"); opened != closed {
		t.Errorf("%d blocks are opened and %d closed in\n%s", opened, closed, text)
	}
}

func checkMermaid(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !mermaidLine.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("not a line of Mermaid: %s", line)
		}
	}
}

// arrows are those of a Mermaid picture, with labels in place of names.
func arrows(t *testing.T, text string) []string {
	t.Helper()
	labels := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ +(n\d+)\["(.*)"\]$`).FindAllStringSubmatch(text, -1) {
		labels[m[1]] = m[2]
	}
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^  (n\d+) (\S+)\|"(.*)"\| (n\d+)$`).FindAllStringSubmatch(text, -1) {
		out = append(out, labels[m[1]]+" "+m[2]+" "+labels[m[4]]+" on "+m[3])
	}
	return out
}

// TestArrows: an arrow is whole only where both ends allow it, on the ports that both do.
func TestArrows(t *testing.T) {
	for _, tc := range []struct {
		name, spec string
		want       []string
	}{
		{"both sides", "profile: {defaultDeny: {}, allowSameNamespace: {}}", []string{"all pods --> all pods on all ports"}},
		{"ingress of two", "profile: {defaultDeny: {}, allowSameNamespace: {directions: [Ingress]}}", []string{"all pods -.-> all pods on one end only: all ports"}},
		{"egress of two", "profile: {defaultDeny: {}, allowSameNamespace: {directions: [Egress]}}", []string{"all pods -.-> all pods on one end only: all ports"}},
		{"egress of one", "profile: {defaultDeny: {directions: [Egress]}, allowSameNamespace: {}}", []string{"all pods --> all pods on all ports"}},
		{"ingress of one", "profile: {defaultDeny: {directions: [Ingress]}, allowSameNamespace: {}}", []string{"all pods --> all pods on all ports"}},
		{"nothing", "profile: {defaultDeny: {}}", nil},
		{"a flow", "profile: {defaultDeny: {}}, flows: [{name: f, from: {podSelector: {matchLabels: {app: a}}}, to: {podSelector: {matchLabels: {app: b}}}, ports: [{port: 80}, {port: 443}]}]", []string{"pods with app=a --> pods with app=b on TCP 80, TCP 443"}},
		{"a flow, met by a wider rule at the other end", "profile: {defaultDeny: {directions: [Egress]}, allowSameNamespace: {}}, flows: [{name: f, from: {podSelector: {matchLabels: {app: a}}}, to: {podSelector: {matchLabels: {app: b}}}, ports: [{port: 80}]}]",
			[]string{"all pods --> all pods on all ports", "pods with app=a --> pods with app=b on TCP 80"}},
		{"an address", "profile: {defaultDeny: {}}, flows: [{name: f, from: {cidr: 192.0.2.0/24}, to: {podSelector: {}}, ports: [{port: 80, endPort: 90}, {port: web}]}]", []string{"192.0.2.0/24 --> all pods on TCP web, TCP 80-90"}},
		{"ports within ports", "profile: {defaultDeny: {}}, flows: [{name: f, from: {cidr: 192.0.2.0/24}, to: {podSelector: {}}, ports: [{port: 80, endPort: 90}, {port: 85}, {port: 85, protocol: UDP}]}]", []string{"192.0.2.0/24 --> all pods on TCP 80-90, UDP 85"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, got, messages := render(t, spec("{namespaceSelector: {}, "+tc.spec+"}"), "-f", "-", "-o", "mermaid")
			if code != 0 {
				t.Fatalf("exit %d: %s", code, messages)
			}
			if all := arrows(t, got); strings.Join(all, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s\nin\n%s", strings.Join(all, "\n"), strings.Join(tc.want, "\n"), got)
			}
		})
	}
}
