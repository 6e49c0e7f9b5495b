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
	leastConvergence = 0.85
	leastRerender    = 0.8
	leastStorm       = 0.8
	leastRemoval     = 0.8
	mostRepair       = 3.0
	mostGrowth       = 1.5
	mostBusy         = 1000.0 // ms
	mostNewcomer     = 250.0  // ms
	mostIdleCPU      = 1.0    // % of a core
	mostRestart      = 15.0   // s
	freeMemory       = 60.0   // MiB
	mostPerPolicy    = 6.0    // KiB
	mostSoak         = 1.1
	mostCPUGrowth    = 1.1
	mostStatusRate   = 1.05 // a second; the watcher's clock is not the operator's
	// mostOther requests of a convergence are neither policy nor status writes: the finalizer, the preflight's lists,
	// what the API server calls into. None is there per policy or namespace.
	mostOther = 40
)

// rows are the lines of the table, in the order of the targets. Pure.
func rows(all *measurements) []row {
	largest, detail := &all.Sizes[len(all.Sizes)-1], all.detail()
	var out []row
	for i := range all.Sizes {
		out = append(out, convergenceRow(&all.Sizes[i]))
	}
	out = append(out, writesRow(largest), requestsRow(largest), statusRow(largest))
	for _, m := range all.shown() {
		out = append(out, rerenderRow(m), removalRow(m))
	}
	if few := all.few(); few != largest {
		out = append(out, cpuGrowthRow(few, largest))
	}
	for _, m := range all.shown() {
		out = append(out, repairRow("edited", m.Namespaces, m.Repair.Edited, m.Repair.BareEdited),
			repairRow("deleted", m.Namespaces, m.Repair.Deleted, m.Repair.BareDeleted))
	}
	for _, m := range all.shown() {
		if smallest := &all.Sizes[0]; smallest != m {
			out = append(out,
				growthRow("edited", smallest, m, func(r *repair) (operator, bare summary) { return r.Edited, r.BareEdited }),
				growthRow("deleted", smallest, m, func(r *repair) (operator, bare summary) { return r.Deleted, r.BareDeleted }))
		}
	}
	if b := detail.Busy; b != nil {
		out = append(out, row{
			What:     fmt.Sprintf("repair while %d namespaces converge for the first time, p99", b.Namespaces),
			Target:   "under 1 s",
			Measured: fmt.Sprintf("p50 %s, p99 %s (%d tries)", milliseconds(b.Repair.P50), milliseconds(b.Repair.P99), b.Repair.N),
			Met:      new(b.Repair.P99 < mostBusy),
		})
	}
	for _, m := range all.shown() {
		out = append(out, row{
			What:     fmt.Sprintf("new namespace → covered, with %d in place, p99", m.Namespaces),
			Target:   "under 250 ms",
			Measured: fmt.Sprintf("p50 %s, p99 %s (%d tries)", milliseconds(m.Newcomers.P50), milliseconds(m.Newcomers.P99), m.Newcomers.N),
			Met:      new(m.Newcomers.P99 < mostNewcomer),
		})
	}
	for _, m := range all.shown() {
		out = append(out, restartRows(m)...)
	}
	out = append(out, detailRows(detail)...)
	for _, m := range all.shown() {
		out = append(out, memoryRow(all, m))
	}
	return append(out, soakRow(detail)...)
}

// detail is the size that was measured in detail; the largest when none was.
func (all *measurements) detail() *size {
	for i := range all.Sizes {
		if all.Sizes[i].Namespaces == all.Settings.Detail {
			return &all.Sizes[i]
		}
	}
	return &all.Sizes[len(all.Sizes)-1]
}

// shown are the sizes that have lines of their own: the one that was measured in detail, and the largest. The table of
// growth has all of them.
func (all *measurements) shown() []*size {
	detail, largest := all.detail(), &all.Sizes[len(all.Sizes)-1]
	if detail == largest {
		return []*size{largest}
	}
	return []*size{detail, largest}
}

// few is the smallest size of which CPU time is compared: a convergence takes long enough for the kernel's clock, and
// what is the same for every size, a status write say, does not show any more.
func (all *measurements) few() *size {
	for i := range all.Sizes {
		if all.Sizes[i].Namespaces >= fewest {
			return &all.Sizes[i]
		}
	}
	return &all.Sizes[len(all.Sizes)-1]
}

// fewest is the least number of namespaces of few.
const fewest = 500

func convergenceRow(m *size) row {
	rates, ceilings, ratios := m.convergences()
	r := row{
		What:     fmt.Sprintf("first convergence, %d namespaces", m.Namespaces),
		Target:   "≥ 0.85 of the ceiling",
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

func removalRow(m *size) row {
	rates, ceilings, ratios := m.removals()
	seen, gone := 0, []float64{}
	for i := range m.Rounds {
		r := &m.Rounds[i].Removal
		seen, gone = max(seen, r.Seen), append(gone, r.GoneSeconds)
	}
	r := row{
		What:     fmt.Sprintf("removal of a baseline from %d namespaces", m.Namespaces),
		Target:   "≥ 0.8 of the ceiling",
		Measured: fmt.Sprintf("%.0f writes/s (%d writes, gone after %.2f s)", median(rates), seen, median(gone)),
		Beside:   fmt.Sprintf("deletes %.0f/s", median(ceilings)),
	}
	r.compare(median(ratios), median(ratios) >= leastRemoval)
	return r
}

// cpuGrowthRow compares what a policy costs the operator in a small and in a large cluster.
func cpuGrowthRow(small, large *size) row {
	before, after := small.cpuPerPolicy(), large.cpuPerPolicy()
	r := row{
		What:     fmt.Sprintf("the operator's CPU time for each policy of a first convergence, %d against %d namespaces", large.Namespaces, small.Namespaces),
		Target:   "flat: ≤ 1.1 ×",
		Measured: fmt.Sprintf("%.2f ms", after),
		Beside:   fmt.Sprintf("%.2f ms", before),
	}
	r.compare(after/before, after <= mostCPUGrowth*before)
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
