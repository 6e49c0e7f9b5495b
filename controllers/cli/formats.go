// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
)

// halfWords mark an arrow that is allowed at one end only.
const halfWords = "one end only: "

// format is a language for pictures: how a box opens and closes, and how nodes and arrows are written. Labels come
// quoted.
type format struct {
	open, close          string
	box                  func(number int, title string) string
	boxEnd               string
	node                 func(name, label string) string
	arrow                func(from, to, label string, half bool) string
	newline, quote, back string // what stands for these in a label; back is a backslash
}

var mermaidFormat = format{
	open:   "flowchart LR\n",
	box:    func(n int, title string) string { return fmt.Sprintf("  subgraph g%d[%s]\n", n, title) },
	boxEnd: "  end\n",
	node:   func(name, label string) string { return fmt.Sprintf("%s[%s]\n", name, label) },
	arrow: func(from, to, label string, half bool) string {
		line := "-->"
		if half {
			line = "-.->"
		}
		return fmt.Sprintf("  %s %s|%s| %s\n", from, line, label, to)
	},
	newline: "<br/>", quote: "#quot;", back: `\`,
}

var dotFormat = format{
	open:  "digraph netbaseline {\n  rankdir=LR\n  node [shape=box]\n",
	close: "}\n",
	box: func(n int, title string) string {
		return fmt.Sprintf("  subgraph cluster_%d {\n    label=%s\n", n, title)
	},
	boxEnd: "  }\n",
	node:   func(name, label string) string { return fmt.Sprintf("%s [label=%s]\n", name, label) },
	arrow: func(from, to, label string, half bool) string {
		style := ""
		if half {
			style = ", style=dashed"
		}
		return fmt.Sprintf("  %s -> %s [label=%s%s]\n", from, to, label, style)
	},
	newline: `\n`, quote: `\"`, back: `\\`,
}

func (g *graph) mermaid() string { return g.write(&mermaidFormat) }

func (g *graph) dot() string { return g.write(&dotFormat) }

func (g *graph) write(f *format) string {
	escape := strings.NewReplacer("\\", f.back, "\n", f.newline, `"`, f.quote)
	label := func(text string) string { return `"` + escape.Replace(text) + `"` }
	names := map[*node]string{}
	for i, n := range g.nodes {
		names[n] = fmt.Sprintf("n%d", i+1)
	}
	var out strings.Builder
	out.WriteString(f.open)
	for i, own := range g.groups {
		out.WriteString(f.box(i+1, label(strings.Join(own.title, "\n"))))
		for _, n := range g.nodes {
			if n.group == own {
				out.WriteString("    " + f.node(names[n], label(n.label)))
			}
		}
		out.WriteString(f.boxEnd)
	}
	for _, n := range g.nodes {
		if n.group == nil {
			out.WriteString("  " + f.node(names[n], label(n.label)))
		}
	}
	for _, e := range g.edges() {
		text := describePorts(e.ports)
		if e.half {
			text = halfWords + text
		}
		out.WriteString(f.arrow(names[e.from], names[e.to], label(text), e.half))
	}
	out.WriteString(f.close)
	return out.String()
}
