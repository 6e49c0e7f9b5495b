// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// flips is how often a component is changed in each round; even, so that it ends as it began.
const flips = 4

// measureRounds takes turns: the ceiling without an operator, then a fresh operator doing the same in the same
// namespaces. After the last round the policies stay.
func (s *scene) measureRounds(ctx context.Context, m *size) error {
	for i := range s.set.Rounds {
		var r round
		if err := s.ceiling(ctx, &r); err != nil {
			return err
		}
		if err := s.startAndWait(ctx); err != nil {
			return err
		}
		if err := s.converge(ctx, i+1, &r); err != nil {
			return fmt.Errorf("first convergence: %w", err)
		}
		if err := s.rerender(ctx, &r); err != nil {
			return fmt.Errorf("changed component: %w", err)
		}
		if i < s.set.Rounds-1 {
			// Only those of the last round are drawn.
			r.Creates.Curve, r.Convergence.Curve = nil, nil
		}
		m.Rounds = append(m.Rounds, r)
		if i == s.set.Rounds-1 {
			break
		}
		last := &m.Rounds[i]
		var err error
		if last.Removal, err = s.measureRemoval(ctx); err != nil {
			return err
		}
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}

// converge measures the first convergence of a baseline over all namespaces.
func (s *scene) converge(ctx context.Context, number int, r *round) error {
	b, err := baselineOf("production", "first")
	if err != nil {
		return err
	}
	c := &r.Convergence
	if c.RSSBefore, _, err = memory(s.operator.PID()); err != nil {
		return err
	}
	served, err := s.served(ctx)
	if err != nil {
		return err
	}
	requests, err := s.operator.requests(ctx)
	if err != nil {
		return err
	}
	cpuBefore, err := cpuByProcess()
	if err != nil {
		return err
	}
	profiled := s.profile(ctx, fmt.Sprintf("%d-convergence%d", s.n, number), time.Duration(r.Creates.Seconds*1.5*float64(time.Second)))
	mark, writes := s.policies.mark(), s.register.mark()
	total := len(s.names) * (len(s.forms.before) + 1)
	stop := s.progress("first convergence", total, func() int { return s.policies.mark() - mark })
	defer stop()

	start := time.Now()
	if err := s.baselines.Create(ctx, b); err != nil {
		return err
	}
	// Ready is said up to a second after the last write, and costs a look at every namespace: it belongs to the price.
	if err := s.waitReady(ctx, b.Name, b.Generation); err != nil {
		return err
	}
	cpuAfter, err := cpuByProcess()
	if err != nil {
		return err
	}
	c.ReadySeconds = time.Since(start).Seconds()
	if err := s.waitForms(ctx, s.names, s.hashes(s.forms.before)); err != nil {
		return err
	}
	c.throughput = measure(start, s.policies.since(mark), total)
	c.CPU = spent(cpuAfter, cpuBefore)

	after, err := s.operator.requests(ctx)
	if err != nil {
		return err
	}
	servedAfter, err := s.served(ctx)
	if err != nil {
		return err
	}
	c.Requests, c.Served = minus(after, requests), minus(servedAfter, served)
	times := s.register.since(writes, b.Name)
	c.StatusWrites, c.StatusRate = len(times), rateOf(times)
	if c.RSSAfter, c.RSSPeak, err = memory(s.operator.PID()); err != nil {
		return err
	}
	if err := profiled(); err != nil {
		return err
	}
	return s.profileHeap(ctx, fmt.Sprintf("heap-%d-round%d", s.n, number))
}

// rateOf is how many events a second follow the first.
func rateOf(times []time.Time) float64 {
	if len(times) < 2 {
		return 0
	}
	return float64(len(times)-1) / times[len(times)-1].Sub(times[0]).Seconds()
}

// rerender measures how long a changed component takes to be in every namespace.
func (s *scene) rerender(ctx context.Context, r *round) error {
	for flip := range flips {
		form, changed := maps.Clone(s.forms.after), flip%2 == 0
		if !changed {
			form = s.forms.before
		}
		total := len(s.names) * len(s.forms.changed)
		mark := s.policies.mark()
		stop := s.progress("changed component", total, func() int { return s.policies.mark() - mark })
		profiled := s.profile(ctx, fmt.Sprintf("%d-changed-component", s.n), time.Duration(total)*time.Millisecond)
		before, err := cpuByProcess()
		if err != nil {
			return err
		}
		start := time.Now()
		generation, err := s.change(ctx, "production", changed)
		if err != nil {
			return err
		}
		if err := s.waitReady(ctx, "production", generation); err != nil {
			return err
		}
		if err := s.waitForms(ctx, s.names, s.hashes(form)); err != nil {
			return err
		}
		stop()
		after, err := cpuByProcess()
		if err != nil {
			return err
		}
		t := measure(start, s.policies.since(mark), total)
		t.Curve, t.CPU = nil, spent(after, before)
		r.Rerenders = append(r.Rerenders, t)
		if err := profiled(); err != nil {
			return err
		}
	}
	return nil
}
