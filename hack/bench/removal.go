// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// measureRemoval deletes the baseline and measures until the watcher has seen the last policy go.
func (s *scene) measureRemoval(ctx context.Context) (removal, error) {
	// One write more for each namespace, as in a convergence: the deny carries the rules of the allows that go before it.
	total := len(s.names) * (len(s.forms.before) + 1)
	mark := s.policies.mark()
	stop := s.progress("removing the baseline", total, func() int { return s.policies.mark() - mark })
	defer stop()
	before, err := cpuByProcess()
	if err != nil {
		return removal{}, err
	}
	profiled := s.profile(ctx, fmt.Sprintf("%d-removal", s.n), time.Duration(total)*time.Millisecond)
	start := time.Now()
	if err := s.remove(ctx, "production"); err != nil {
		return removal{}, err
	}
	out := removal{GoneSeconds: time.Since(start).Seconds()}
	if err := s.waitForms(ctx, s.names, nil); err != nil {
		return removal{}, err
	}
	after, err := cpuByProcess()
	if err != nil {
		return removal{}, err
	}
	seen := s.policies.since(mark)
	// Fewer writes than that are fine, and more are not counted as useful.
	out.throughput = measure(start, seen, min(total, len(seen)))
	out.Curve, out.CPU = nil, spent(after, before)
	return out, profiled()
}
