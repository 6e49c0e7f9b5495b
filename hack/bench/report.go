// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"unicode/utf8"
)

//go:embed benchmarks.md.tmpl
var markdown string

var columns = []string{"what", "target", "measured", "beside it, in the same run", "ratio", "verdict"}

func (r row) cells() []string {
	ratio, met := "", "—"
	if r.Ratio != nil {
		ratio = fmt.Sprintf("%.2f", *r.Ratio)
	}
	if r.Met != nil {
		met = "NOT MET"
		if *r.Met {
			met = "met"
		}
	}
	return []string{r.What, r.Target, r.Measured, r.Beside, ratio, met}
}

// printTable prints the lines in aligned columns.
func printTable(w io.Writer, rows []row) {
	lines := [][]string{columns}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	widths := make([]int, len(columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// writeReport writes the results, the document and the plots.
func writeReport(dir string, all *measurements) error {
	if err := os.MkdirAll(filepath.Join(dir, "benchmarks"), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "benchmarks.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	text, err := document(all)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "benchmarks.md"), []byte(text), 0o644); err != nil {
		return err
	}
	return plots(filepath.Join(dir, "benchmarks"), all)
}

// document is docs/benchmarks.md.
func document(all *measurements) (string, error) {
	t, err := template.New("benchmarks").Funcs(template.FuncMap{
		"cells":          func(r row) string { return "| " + strings.Join(r.cells(), " | ") + " |" },
		"latency":        latency,
		"growth":         growth,
		"served":         servedLines,
		"cpu":            cpuLines,
		"convergenceCPU": func(m *size) cpuRatio { r, _ := cpuRatios(m); return r },
		"rerenderCPU":    func(m *size) cpuRatio { _, r := cpuRatios(m); return r },
		"largest":        func(all *measurements) *size { return &all.Sizes[len(all.Sizes)-1] },
	}).Parse(markdown)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, all); err != nil {
		return "", err
	}
	return b.String(), nil
}

// growth is the line of one size in the table of growth.
func growth(m size) string {
	rates, ceilings, ratios := m.convergences()
	updates, updateCeilings, updateRatios := m.rerenders()
	removals, removalCeilings, removalRatios := m.removals()
	return fmt.Sprintf("| %d | %d | %.2f s | %.0f/s of %.0f/s: %.2f | %.2f ms | %.0f/s of %.0f/s: %.2f | %.0f/s of %.0f/s: %.2f | %s | %s | %s | %s |",
		m.Namespaces, m.Namespaces*m.PerNamespace, median(m.walls()),
		median(rates), median(ceilings), median(ratios), m.cpuPerPolicy(),
		median(updates), median(updateCeilings), median(updateRatios),
		median(removals), median(removalCeilings), median(removalRatios),
		latency(m.Repair.Edited), latency(m.Repair.Deleted), latency(m.Newcomers), restarted(m.Restart))
}

func restarted(r *restart) string {
	if r == nil {
		return "—"
	}
	return fmt.Sprintf("%.1f s", r.ReadySeconds)
}

// cpuPerWrite are the medians of the CPU milliseconds for each write, by program, of plain creates and the convergence
// after them, plain updates and the changed component after them.
func cpuPerWrite(m *size) (columns [4]map[string]float64) {
	var samples [4]map[string][]float64
	for i := range samples {
		samples[i], columns[i] = map[string][]float64{}, map[string]float64{}
	}
	for i := range m.Rounds {
		r := &m.Rounds[i]
		for column, ts := range [][]throughput{{r.Creates}, {r.Convergence.throughput}, r.Updates, r.Rerenders} {
			for _, t := range ts {
				for name, seconds := range t.CPU {
					samples[column][name] = append(samples[column][name], 1000*seconds/float64(t.Writes))
				}
			}
		}
	}
	for i := range samples {
		for name, sample := range samples[i] {
			columns[i][name] = median(sample)
		}
	}
	return columns
}

// cpuLines are those numbers as the lines of a table.
func cpuLines(m *size) string {
	columns := cpuPerWrite(m)
	var b strings.Builder
	for _, name := range sortedKeys(columns[1]) {
		b.WriteString("| " + name)
		for _, column := range columns {
			fmt.Fprintf(&b, " | %.2f ms", column[name])
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// cpuRatio is what the ratio to the ceiling comes to when no core is ever idle: the CPU time of a plain write beside that of
// the operator's. Without is the same for an operator that takes no CPU time at all.
type cpuRatio struct{ With, Without float64 }

func (r cpuRatio) String() string {
	return fmt.Sprintf("%.2f; with an operator that takes no CPU time at all it would be %.2f", r.With, r.Without)
}

// cpuRatios are those of the first convergence and of a changed component.
func cpuRatios(m *size) (convergence, rerender cpuRatio) {
	columns := cpuPerWrite(m)
	of := func(plain, operator map[string]float64) cpuRatio {
		var base, all float64
		for name := range operator {
			if name != otherPrograms {
				base, all = base+plain[name], all+operator[name]
			}
		}
		return cpuRatio{base / all, base / (all - operator[operatorProgram])}
	}
	return of(columns[0], columns[1]), of(columns[2], columns[3])
}

// servedLines are the API server's counts during the last convergence, as a list.
func servedLines(m *size) string {
	served := m.Rounds[len(m.Rounds)-1].Convergence.Served
	var b strings.Builder
	for _, key := range sortedKeys(served) {
		fmt.Fprintf(&b, "| %s | %d |\n", key, served[key])
	}
	return b.String()
}
