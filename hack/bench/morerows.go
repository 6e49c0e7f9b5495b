// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// detailRows are the lines of what is measured with one number of namespaces alone.
func detailRows(m *size) []row {
	var out []row
	if m.Storm != nil {
		_, ceilings, _ := m.rerenders()
		r := row{
			What:     fmt.Sprintf("%d policies edited at once → healed", m.Storm.Writes),
			Target:   "≥ 0.8 of the ceiling",
			Measured: fmt.Sprintf("%.0f policies/s (%.2f s, %d writes)", m.Storm.rate(), m.Storm.Seconds, m.Storm.Seen),
			Beside:   fmt.Sprintf("updates %.0f/s", median(ceilings)),
		}
		ratio := m.Storm.rate() / median(ceilings)
		r.compare(ratio, ratio >= leastStorm)
		out = append(out, r)
	}
	if i := m.Idle; i != nil {
		percent := 100 * i.CPU / i.Seconds
		out = append(out, row{
			What:     fmt.Sprintf("idle for %.0f s with %d namespaces", i.Seconds, m.Namespaces),
			Target:   "no requests but watches; under 1 % of a core",
			Measured: fmt.Sprintf("%d requests, %.2f %% of a core", i.Other, percent),
			Met:      new(i.Other == 0 && percent < mostIdleCPU),
		})
	}
	for _, b := range []*busy{m.Busy, m.BusyAPF} {
		if b == nil {
			continue
		}
		r := row{
			What:     "another client's list while namespaces converge",
			Target:   "—",
			Measured: latency(b.Neighbour),
			Beside:   "plain writers " + latency(b.NeighbourPlain) + "; idle " + latency(b.NeighbourIdle),
		}
		if b == m.BusyAPF {
			r.What += ", with the FlowSchema"
		}
		ratio := b.Neighbour.P99 / b.NeighbourPlain.P99
		r.Ratio = &ratio
		out = append(out, r)
	}
	return out
}

// restartRows are those of a restart, as everything is and while a preflight fails.
func restartRows(m *size) []row {
	var out []row
	if r := m.Restart; r != nil {
		out = append(out, row{
			What:     fmt.Sprintf("restart with %d namespaces", m.Namespaces),
			Target:   "no writes; Ready confirmed within 15 s",
			Measured: fmt.Sprintf("%d writes, %.1f s", r.PolicyWrites+r.StatusWrites+r.OtherRequests, r.ReadySeconds),
			Met:      new(r.PolicyWrites+r.StatusWrites+r.OtherRequests == 0 && r.ReadySeconds <= mostRestart),
		})
	}
	if u := m.Unadmitted; u != nil {
		out = append(out, row{
			What:     fmt.Sprintf("restart with %d namespaces while a preflight fails", m.Namespaces),
			Target:   "no writes of policies; told within 15 s",
			Measured: fmt.Sprintf("%d writes, %.1f s", u.PolicyWrites, u.ToldSeconds),
			Met:      new(u.PolicyWrites == 0 && u.ToldSeconds <= mostRestart),
		})
	}
	return out
}

// memoryPoints are the operator's resident memory, in MiB, by number of policies.
func memoryPoints(all *measurements) []point {
	var points []point
	for i := range all.Sizes {
		m := &all.Sizes[i]
		for j := range m.Rounds {
			c := &m.Rounds[j].Convergence
			points = append(points, point{0, mebibytes(c.RSSBefore)},
				point{float64(m.Namespaces * m.PerNamespace), mebibytes(c.RSSAfter)})
		}
		if m.Busy != nil {
			points = append(points, point{float64(m.Busy.Policies), mebibytes(m.Busy.RSS)})
		}
	}
	return points
}

// memoryRow judges the worst point of one cluster, a large one: in a small one the 60 MiB are all that matters.
func memoryRow(all *measurements, m *size) row {
	points := memoryPoints(all)
	worst, worstAt := 0.0, point{}
	for _, p := range memoryPoints(&measurements{Sizes: []size{*m}}) {
		if p.X < float64(m.Namespaces*m.PerNamespace) {
			continue
		}
		if per := max(0, p.Y-freeMemory) * 1024 / p.X; per >= worst {
			worst, worstAt = per, p
		}
	}
	return row{
		What:     fmt.Sprintf("memory per policy beyond 60 MiB, %d namespaces", m.Namespaces),
		Target:   "≤ 6 KiB",
		Measured: fmt.Sprintf("%.1f KiB (%.0f MiB with %.0f policies)", worst, worstAt.Y, worstAt.X),
		Beside:   fmt.Sprintf("slope %.1f KiB per policy", slope(points)*1024),
		Met:      new(worst <= mostPerPolicy),
	}
}

func soakRow(m *size) []row {
	if m.Soak == nil {
		return nil
	}
	s := m.Soak
	r := row{
		What:     fmt.Sprintf("memory over %d repairs in %.0f s", s.Harms, s.Seconds),
		Target:   "flat: last quarter ≤ 1.1 × the second",
		Measured: fmt.Sprintf("%.0f MiB", s.Late),
		Beside:   fmt.Sprintf("%.0f MiB", s.Early),
	}
	r.compare(s.Late/s.Early, s.Late/s.Early <= mostSoak)
	return []row{r}
}

// convergences are the rates of the operator and of the ceiling by round, and the ratio of each pair.
func (m *size) convergences() (rates, ceilings, ratios []float64) {
	for i := range m.Rounds {
		r := &m.Rounds[i]
		rates = append(rates, r.Convergence.rate())
		ceilings = append(ceilings, r.Creates.rate())
		ratios = append(ratios, r.Convergence.rate()/r.Creates.rate())
	}
	return rates, ceilings, ratios
}

func (m *size) walls() []float64 {
	var out []float64
	for i := range m.Rounds {
		out = append(out, m.Rounds[i].Convergence.Seconds)
	}
	return out
}

// rerenders are the same for a changed component; those of one round are one number, their median.
func (m *size) rerenders() (rates, ceilings, ratios []float64) {
	for i := range m.Rounds {
		rate, ceiling := median(ratesOf(m.Rounds[i].Rerenders)), median(ratesOf(m.Rounds[i].Updates))
		rates, ceilings, ratios = append(rates, rate), append(ceilings, ceiling), append(ratios, rate/ceiling)
	}
	return rates, ceilings, ratios
}

// removals are the same for the removal of the baseline.
func (m *size) removals() (rates, ceilings, ratios []float64) {
	for i := range m.Rounds {
		rate, ceiling := m.Rounds[i].Removal.rate(), m.Rounds[i].Deletes.rate()
		rates, ceilings, ratios = append(rates, rate), append(ceilings, ceiling), append(ratios, rate/ceiling)
	}
	return rates, ceilings, ratios
}

// cpuPerPolicy is the operator's CPU time in milliseconds for each policy of a first convergence, the median of the rounds.
func (m *size) cpuPerPolicy() float64 {
	var out []float64
	for i := range m.Rounds {
		out = append(out, 1000*m.Rounds[i].Convergence.CPU[operatorProgram]/float64(m.Namespaces*m.PerNamespace))
	}
	return median(out)
}

func ratesOf(ts []throughput) []float64 {
	var out []float64
	for _, t := range ts {
		out = append(out, t.rate())
	}
	return out
}
