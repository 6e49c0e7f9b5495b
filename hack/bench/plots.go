// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"image/color"
	"maps"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgsvg" // the format of the plots
)

var (
	operatorColor = color.RGBA{R: 0x1f, G: 0x5f, B: 0xbf, A: 0xff}
	ceilingColor  = color.RGBA{R: 0xbf, G: 0x6f, B: 0x1f, A: 0xff}
	lightBlue     = color.RGBA{R: 0x8f, G: 0xb5, B: 0xe5, A: 0xff}
	lightOrange   = color.RGBA{R: 0xe5, G: 0xb9, B: 0x8f, A: 0xff}
)

// series is one line of a plot.
type series struct {
	name   string
	color  color.Color
	points []point
	dots   bool
	dashed bool
}

type figure struct {
	file, title, x, y string
	series            []series
}

// plots writes one SVG for each figure.
func plots(dir string, all *measurements) error {
	for _, f := range []figure{convergenceFigure(all), growthFigure(all), repairFigure(all), memoryFigure(all), soakFigure(all)} {
		if err := f.write(dir); err != nil {
			return fmt.Errorf("plotting %s: %w", f.file, err)
		}
	}
	return nil
}

func (f figure) write(dir string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.title, f.x, f.y
	p.Title.Padding = vg.Points(8)
	p.X.Min, p.Y.Min = 0, 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for _, s := range f.series {
		if len(s.points) == 0 {
			continue
		}
		xys := make(plotter.XYs, len(s.points))
		for i, pt := range s.points {
			xys[i] = plotter.XY{X: pt.X, Y: pt.Y}
			p.Y.Max = max(p.Y.Max, pt.Y*1.25) // room for the legend
		}
		line, dots, err := plotter.NewLinePoints(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = s.color, vg.Points(1.5)
		dots.Color, dots.Shape = s.color, draw.CircleGlyph{}
		if s.dashed {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		if s.dots {
			p.Add(line, dots)
			p.Legend.Add(s.name, line, dots)
		} else {
			p.Add(line)
			p.Legend.Add(s.name, line)
		}
	}
	return p.Save(7*vg.Inch, 4*vg.Inch, filepath.Join(dir, f.file))
}

func convergenceFigure(all *measurements) figure {
	m := &all.Sizes[len(all.Sizes)-1]
	last := &m.Rounds[len(m.Rounds)-1]
	return figure{
		"convergence.svg", fmt.Sprintf("First convergence of %d namespaces", m.Namespaces), "seconds", "policies in their final form",
		[]series{
			{name: "operator", color: operatorColor, points: last.Convergence.Curve},
			{name: "ceiling: plain creates", color: ceilingColor, points: last.Creates.Curve, dashed: true},
		},
	}
}

// growthFigure shows seconds against namespaces: a straight line is linear.
func growthFigure(all *measurements) figure {
	var operator, ceiling []point
	for i := range all.Sizes {
		m := &all.Sizes[i]
		var seconds []float64
		for j := range m.Rounds {
			seconds = append(seconds, m.Rounds[j].Creates.Seconds)
		}
		operator = append(operator, point{float64(m.Namespaces), median(m.walls())})
		ceiling = append(ceiling, point{float64(m.Namespaces), median(seconds)})
	}
	return figure{"growth.svg", "First convergence against the size of the cluster", "namespaces", "seconds", []series{
		{name: "operator (one write more per namespace)", color: operatorColor, points: operator, dots: true},
		{name: "ceiling: plain creates", color: ceilingColor, points: ceiling, dots: true, dashed: true},
	}}
}

func repairFigure(all *measurements) figure {
	lines := []series{
		{name: "operator p99", color: operatorColor, dots: true}, {name: "bare loop p99", color: ceilingColor, dots: true, dashed: true},
		{name: "operator p50", color: lightBlue, dots: true}, {name: "bare loop p50", color: lightOrange, dots: true, dashed: true},
	}
	for i := range all.Sizes {
		m := &all.Sizes[i]
		for j, y := range []float64{m.Repair.Edited.P99, m.Repair.BareEdited.P99, m.Repair.Edited.P50, m.Repair.BareEdited.P50} {
			lines[j].points = append(lines[j].points, point{float64(m.Namespaces), y})
		}
	}
	return figure{"repair.svg", "Repair of one edited policy against the size of the cluster", "namespaces", "milliseconds", lines}
}

func memoryFigure(all *measurements) figure {
	points := slices.SortedFunc(slices.Values(memoryPoints(all)), func(a, b point) int {
		return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y))
	})
	largest := points[len(points)-1].X
	return figure{"memory.svg", "Resident memory against policies", "policies", "MiB", []series{
		{name: "operator", color: operatorColor, points: points, dots: true},
		{name: "target: 60 MiB + 6 KiB per policy", color: ceilingColor, dashed: true,
			points: []point{{0, freeMemory}, {largest, freeMemory + largest*mostPerPolicy/1024}}},
	}}
}

func soakFigure(all *measurements) figure {
	f := figure{file: "soak.svg", title: "Resident memory under churn", x: "seconds", y: "MiB"}
	if soak := all.Sizes[len(all.Sizes)-1].Soak; soak != nil {
		f.title = fmt.Sprintf("Resident memory over %d repairs", soak.Harms)
		f.series = []series{{name: "operator", color: operatorColor, points: soak.RSS}}
	}
	return f
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
