// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// fast is a run in which every target is met; each case below breaks one.
func fast() *measurements {
	sizeOf := func(n int) size {
		creates := throughput{Writes: 6 * n, Seen: 6 * n, Seconds: 2}
		converged := throughput{Writes: 7 * n, Seen: 7 * n, Seconds: 2.5, CPU: map[string]float64{operatorProgram: 0.003 * float64(n)}}
		updates := throughput{Writes: n, Seen: n, Seconds: 1}
		return size{
			Namespaces: n, PerNamespace: 6,
			Rounds: []round{{
				Creates: creates, Updates: []throughput{updates}, Rerenders: []throughput{updates},
				Deletes: creates, Removal: removal{throughput: converged, GoneSeconds: 2.6},
				Convergence: convergence{
					throughput: converged, StatusWrites: 3, StatusRate: 1,
					Requests: map[string]int{"POST": 6 * n, "PUT": n + 4, "GET": 8}, RSSBefore: 50 << 20, RSSAfter: 60 << 20,
				},
			}},
			Repair: repair{
				Edited: summary{N: 10, P50: 4, P99: 8}, BareEdited: summary{N: 10, P50: 2, P99: 5},
				Deleted: summary{N: 10, P50: 4, P99: 8}, BareDeleted: summary{N: 10, P50: 2, P99: 5},
			},
			Newcomers:  summary{N: 10, P50: 20, P99: 60},
			Restart:    &restart{ReadySeconds: 2},
			Unadmitted: &unadmitted{ToldSeconds: 3},
		}
	}
	large, largest := sizeOf(1000), sizeOf(5000)
	large.Idle = &idle{Seconds: 60, CPU: 0.3}
	large.Storm = &storm{throughput{Writes: 1000, Seen: 1000, Seconds: 1.1}}
	large.Busy = &busy{Namespaces: 1000, Repair: summary{N: 100, P50: 20, P99: 200}, RSS: 80 << 20, Policies: 12000,
		Neighbour: summary{P50: 90, P99: 110}, NeighbourPlain: summary{P50: 90, P99: 100}}
	large.Soak = &soak{Seconds: 10, Harms: 100, Early: 70, Late: 71, RSS: []point{{0, 70}, {10, 71}}}
	return &measurements{Started: time.Unix(0, 0).UTC(), Settings: settings{Namespaces: 5000, Detail: 1000}, Sizes: []size{sizeOf(100), large, largest}}
}

func missed(rows []row) []string {
	var out []string
	for _, r := range rows {
		if r.Met != nil && !*r.Met {
			out = append(out, r.What)
		}
	}
	return out
}

func TestRowsWithEveryTargetMet(t *testing.T) {
	all := rows(fast())
	if got := missed(all); got != nil {
		t.Errorf("not met: %q", got)
	}
	if len(all) != 32 {
		t.Errorf("%d rows", len(all))
	}
}

func TestRowsTellWhatIsMissed(t *testing.T) {
	for _, c := range []struct {
		row   string
		spoil func(*size)
	}{
		{"first convergence, 1000", func(m *size) { m.Rounds[0].Convergence.Seconds = 3 }},
		{"removal of a baseline from 1000", func(m *size) { m.Rounds[0].Removal.Seconds = 3 }},
		{"a changed component", func(m *size) { m.Rounds[0].Rerenders = []throughput{{Writes: 1000, Seconds: 1.3}} }},
		{"repair of one edited policy, 1000 namespaces", func(m *size) { m.Repair.BareEdited.P99 = 2 }},
		{"repair of one deleted policy, 1000 against 100", func(m *size) { m.Repair.Deleted.P50 = 6.1; m.Repair.BareDeleted.P50 = 3 }},
		{"repair while 1000", func(m *size) { m.Busy.Repair.P99 = 1001 }},
		{"new namespace", func(m *size) { m.Newcomers.P99 = 251 }},
		{"1000 policies edited", func(m *size) { m.Storm.Seconds = 1.3 }},
		{"idle", func(m *size) { m.Idle.Other = 1 }},
		{"idle", func(m *size) { m.Idle.CPU = 0.61 }},
		{"restart with 1000", func(m *size) { m.Restart.StatusWrites = 1 }},
		{"restart with 1000", func(m *size) { m.Restart.ReadySeconds = 16 }},
		{"restart with 1000 namespaces while a preflight fails", func(m *size) { m.Unadmitted.PolicyWrites = 1 }},
		{"restart with 1000 namespaces while a preflight fails", func(m *size) { m.Unadmitted.ToldSeconds = 16 }},
		{"memory per policy", func(m *size) { m.Busy.RSS = 140 << 20 }},
		{"memory over", func(m *size) { m.Soak.Late = 78 }},
	} {
		all := fast()
		c.spoil(&all.Sizes[1])
		if got := missed(rows(all)); len(got) != 1 || !strings.HasPrefix(got[0], c.row) {
			t.Errorf("%s: missed %q", c.row, got)
		}
	}
}

func TestRowsTellWhatTheLargestSizeMisses(t *testing.T) {
	for _, c := range []struct {
		row   string
		spoil func(*size)
	}{
		{"first convergence, 5000", func(m *size) { m.Rounds[0].Convergence.Seconds = 15 }},
		{"removal of a baseline from 5000", func(m *size) { m.Rounds[0].Removal.Seconds = 15 }},
		{"the operator's CPU time", func(m *size) { m.Rounds[0].Convergence.CPU[operatorProgram] = 5000 * 0.0034 }},
		{"policy writes", func(m *size) { m.Rounds[0].Convergence.Seen++ }},
		{"API requests", func(m *size) { m.Rounds[0].Convergence.Requests["GET"] = 1008 }},
		{"status writes", func(m *size) { m.Rounds[0].Convergence.StatusRate = 2 }},
		{"repair of one edited policy, 5000 namespaces", func(m *size) { m.Repair.BareEdited.P99 = 2 }},
		{"new namespace → covered, with 5000", func(m *size) { m.Newcomers.P99 = 251 }},
		{"restart with 5000", func(m *size) { m.Restart.StatusWrites = 1 }},
		{"memory per policy beyond 60 MiB, 5000", func(m *size) { m.Rounds[0].Convergence.RSSAfter = 300 << 20 }},
	} {
		all := fast()
		c.spoil(&all.Sizes[2])
		if got := missed(rows(all)); len(got) != 1 || !strings.HasPrefix(got[0], c.row) {
			t.Errorf("%s: missed %q", c.row, got)
		}
	}
}

func TestOneSizeHasNoGrowth(t *testing.T) {
	all := fast()
	all.Sizes = all.Sizes[2:]
	for _, r := range rows(all) {
		if strings.Contains(r.What, "against") {
			t.Errorf("%s", r.What)
		}
	}
}

func TestReport(t *testing.T) {
	all := fast()
	all.Rows = rows(all)
	text, err := document(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| first convergence, 100 namespaces | ≥ 0.85 of the ceiling | 280 writes/s", "| 1000 | 6000 | 2.50 s | 2800/s of 3000/s: 0.93 | 0.50 ms |", "![Memory"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var table bytes.Buffer
	printTable(&table, all.Rows)
	if lines := strings.Split(strings.TrimSpace(table.String()), "\n"); len(lines) != len(all.Rows)+1 {
		t.Errorf("%d lines", len(lines))
	}
	if err := writeReport(t.TempDir(), all); err != nil {
		t.Error(err)
	}
}

func TestCPURatios(t *testing.T) {
	spent := func(apiserver, operator, others float64) throughput {
		return throughput{Writes: 1000, CPU: map[string]float64{"kube-apiserver": apiserver, operatorProgram: operator, otherPrograms: others}}
	}
	m := &size{Rounds: []round{{
		Creates: spent(1, 0, 5), Convergence: convergence{throughput: spent(1.25, 0.75, 0)},
		Updates: []throughput{spent(3, 0, 1)}, Rerenders: []throughput{spent(3, 1, 9), spent(3, 1, 9)},
	}}}
	created, updated := cpuRatios(m)
	if want := (cpuRatio{0.5, 0.8}); created != want {
		t.Errorf("convergence: got %v, want %v", created, want)
	}
	if want := (cpuRatio{0.75, 1}); updated != want {
		t.Errorf("changed component: got %v, want %v", updated, want)
	}
}
