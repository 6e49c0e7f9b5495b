// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
)

// row is one line of the table.
type row struct {
	What     string `json:"what"`
	Target   string `json:"target"`
	Measured string `json:"measured"`
	// Beside is what it is compared with, of the same run.
	Beside string   `json:"beside,omitempty"`
	Ratio  *float64 `json:"ratio,omitempty"`
	Met    *bool    `json:"met,omitempty"`
}

// The targets.
const (
	leastConvergence = 0.9
	leastRerender    = 0.8
	leastStorm       = 0.8
	mostRepair       = 3.0
	mostGrowth       = 1.5
	mostBusy         = 1000.0 // ms
	mostNewcomer     = 250.0  // ms
	mostIdleCPU      = 1.0    // % of a core
	mostRestart      = 15.0   // s
	freeMemory       = 60.0   // MiB
	mostPerPolicy    = 6.0    // KiB
	mostSoak         = 1.1
	mostStatusRate   = 1.05 // a second; the watcher's clock is not the operator's
	// mostOther requests of a convergence are neither policy nor status writes: the finalizer, the preflight's lists,
	// what the API server calls into. None is there per policy or namespace.
	mostOther = 40
)

// rows are the lines of the table, in the order of the targets. Pure.
func rows(all *measurements) []row {
	largest := &all.Sizes[len(all.Sizes)-1]
	var out []row
	for i := range all.Sizes {
		out = append(out, convergenceRow(&all.Sizes[i]))
	}
	out = append(out, writesRow(largest), requestsRow(largest), statusRow(largest), rerenderRow(largest),
		repairRow("edited", largest.Namespaces, largest.Repair.Edited, largest.Repair.BareEdited),
		repairRow("deleted", largest.Namespaces, largest.Repair.Deleted, largest.Repair.BareDeleted))
	if smallest := &all.Sizes[0]; smallest != largest {
		out = append(out,
			growthRow("edited", smallest, largest, func(r *repair) (operator, bare summary) { return r.Edited, r.BareEdited }),
			growthRow("deleted", smallest, largest, func(r *repair) (operator, bare summary) { return r.Deleted, r.BareDeleted }))
	}
	if b := largest.Busy; b != nil {
		out = append(out, row{
			What:     fmt.Sprintf("repair while %d namespaces converge for the first time, p99", b.Namespaces),
			Target:   "under 1 s",
			Measured: fmt.Sprintf("p50 %s, p99 %s (%d tries)", milliseconds(b.Repair.P50), milliseconds(b.Repair.P99), b.Repair.N),
			Met:      new(b.Repair.P99 < mostBusy),
		})
	}
	out = append(out, row{
		What:     fmt.Sprintf("new namespace → covered, with %d in place, p99", largest.Namespaces),
		Target:   "under 250 ms",
		Measured: fmt.Sprintf("p50 %s, p99 %s (%d tries)", milliseconds(largest.Newcomers.P50), milliseconds(largest.Newcomers.P99), largest.Newcomers.N),
		Met:      new(largest.Newcomers.P99 < mostNewcomer),
	})
	out = append(out, onceRows(largest)...)
	out = append(out, memoryRow(all))
	return append(out, soakRow(largest)...)
}

func convergenceRow(m *size) row {
	rates, ceilings, ratios := m.convergences()
	r := row{
		What:     fmt.Sprintf("first convergence, %d namespaces", m.Namespaces),
		Target:   "≥ 0.9 of the ceiling",
		Measured: fmt.Sprintf("%.0f writes/s (%.2f s)", median(rates), median(m.walls())),
		Beside:   fmt.Sprintf("creates %.0f/s", median(ceilings)),
	}
	r.compare(median(ratios), median(ratios) >= leastConvergence)
	return r
}

// writesRow compares the writes with those that the order without a gap needs.
func writesRow(m *size) row {
	seen, want, met := 0, 0, true
	for i := range m.Rounds {
		c := &m.Rounds[i].Convergence
		seen, want = seen+c.Seen, want+c.Writes
		met = met && c.Seen <= c.Writes
	}
	n := len(m.Rounds)
	r := row{
		What:     "policy writes of a convergence",
		Target:   "policies + one per namespace",
		Measured: fmt.Sprintf("%d", seen/n),
		Beside:   fmt.Sprintf("%d policies + %d", m.Namespaces*m.PerNamespace, want/n-m.Namespaces*m.PerNamespace),
	}
	r.compare(float64(seen)/float64(want), met)
	return r
}

func requestsRow(m *size) row {
	most, total := 0, 0
	for i := range m.Rounds {
		c := &m.Rounds[i].Convergence
		n := 0
		for _, count := range c.Requests {
			n += count
		}
		total = max(total, n)
		most = max(most, n-c.Writes-c.StatusWrites)
	}
	return row{
		What:     "API requests of a convergence",
		Target:   "those writes + status writes, no read per policy or namespace",
		Measured: fmt.Sprintf("%d, %d of them others", total, most),
		Met:      new(most <= mostOther),
	}
}

func statusRow(m *size) row {
	worst, n := 0.0, 0
	for i := range m.Rounds {
		c := &m.Rounds[i].Convergence
		worst, n = math.Max(worst, c.StatusRate), max(n, c.StatusWrites)
	}
	return row{
		What: "status writes during a convergence", Target: "at most one a second",
		Measured: fmt.Sprintf("%d, %.2f/s", n, worst), Met: new(worst <= mostStatusRate),
	}
}

func rerenderRow(m *size) row {
	rates, ceilings, ratios := m.rerenders()
	r := row{
		What:     fmt.Sprintf("a changed component in %d namespaces", m.Namespaces),
		Target:   "≥ 0.8 of the ceiling",
		Measured: fmt.Sprintf("%.0f writes/s", median(rates)),
		Beside:   fmt.Sprintf("updates %.0f/s", median(ceilings)),
	}
	r.compare(median(ratios), median(ratios) >= leastRerender)
	return r
}

func repairRow(what string, n int, operator, bare summary) row {
	r := row{
		What:     fmt.Sprintf("repair of one %s policy, %d namespaces", what, n),
		Target:   "≤ 3 × the bare loop",
		Measured: latency(operator),
		Beside:   "bare loop " + latency(bare),
	}
	ratio := math.Max(operator.P50/bare.P50, operator.P99/bare.P99)
	r.compare(ratio, ratio <= mostRepair)
	return r
}

func growthRow(what string, small, large *size, of func(*repair) (operator, bare summary)) row {
	before, bareBefore := of(&small.Repair)
	after, bareAfter := of(&large.Repair)
	r := row{
		What:     fmt.Sprintf("repair of one %s policy, %d against %d namespaces", what, large.Namespaces, small.Namespaces),
		Target:   "≤ 1.5 ×",
		Measured: latency(after),
		Beside:   fmt.Sprintf("%s; the bare loop's p99 went from %s to %s", latency(before), milliseconds(bareBefore.P99), milliseconds(bareAfter.P99)),
	}
	ratio := math.Max(after.P50/before.P50, after.P99/before.P99)
	r.compare(ratio, ratio <= mostGrowth)
	return r
}

func (r *row) compare(ratio float64, met bool) { r.Ratio, r.Met = &ratio, &met }

func latency(s summary) string {
	return fmt.Sprintf("p50 %s, p99 %s", milliseconds(s.P50), milliseconds(s.P99))
}

func milliseconds(ms float64) string {
	switch {
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.1f ms", ms)
	}
}
