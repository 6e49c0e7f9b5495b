// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
)

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Parse(pageText))

// html writes one page that loads nothing and runs nothing.
func (r *Report) html(out io.Writer) error {
	flows, err := r.flows(maxFlows)
	if err != nil {
		return err
	}
	return page.Execute(out, map[string]any{
		"Report": r, "Headline": r.Headline(), "Remarks": r.Remarks(), "Sections": r.sections(mostOnPage), "Flows": flows, "Picture": r.picture(),
	})
}

// picture is a drawing of what would be cut: sources on the left, destinations on the right.
type picture struct {
	Height       int
	Sources      []box
	Destinations []box
	Lines        []pictureLine
	Hidden       int
}

type box struct {
	Text string
	Y    int
}

type pictureLine struct {
	From, To int
	Text     string
}

const (
	rowHeight = 34
	// maxDrawn keeps the picture readable: the largest groups are drawn.
	maxDrawn = 40
)

// On is the protocol and port of a group.
func (g *Group) On() string { return g.on() }

func (r *Report) picture() *picture {
	if len(r.Cut) == 0 {
		return nil
	}
	drawn := r.Cut[:min(len(r.Cut), maxDrawn)]
	p := &picture{Hidden: len(r.Cut) - len(drawn)}
	column := func(of func(*Group) Name) ([]box, func(*Group) int) {
		names := workloads(drawn, of)
		var boxes []box
		for i, name := range names {
			boxes = append(boxes, box{name, i*rowHeight + rowHeight})
		}
		p.Height = max(p.Height, (len(names)+1)*rowHeight)
		return boxes, func(g *Group) int { return boxes[slices.Index(names, of(g).String())].Y }
	}
	var from, to func(*Group) int
	p.Sources, from = column(func(g *Group) Name { return g.Source })
	p.Destinations, to = column(func(g *Group) Name { return g.Destination })
	for _, g := range drawn {
		p.Lines = append(p.Lines, pictureLine{from(g), to(g), g.line()})
	}
	return p
}
