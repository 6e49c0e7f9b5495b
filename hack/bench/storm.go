// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"maps"
	"slices"
	"syscall"
	"time"
)

// measureStorm edits many policies while the operator is held by a signal, so that it meets all of that at once and
// the edits don't take part in the race, then lets it go on and measures until the last policy is right.
func (s *scene) measureStorm(ctx context.Context) (*storm, error) {
	components := slices.Sorted(maps.Keys(s.forms.before))
	n := min(s.set.Storm, len(s.names)*len(components))
	stop := s.progress("policies edited at once", n, func() int { return 0 })
	defer stop()
	if err := s.operator.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	defer s.operator.Signal(syscall.SIGCONT) //nolint:errcheck // it was sent already, or the operator is stopped next
	mark := s.policies.mark()
	if err := parallel(ctx, 32, n, func(ctx context.Context, i int) error {
		// One in each namespace before a second in any, of all components.
		component := components[(i%len(s.names)+i/len(s.names))%len(components)]
		return s.harm(ctx, edited, s.names[i%len(s.names)], component)
	}); err != nil {
		return nil, err
	}
	if err := s.poll(ctx, 10*time.Millisecond, "the watcher to see every edit", func() (bool, error) {
		return s.policies.mark()-mark >= n, nil
	}); err != nil {
		return nil, err
	}
	mark = s.policies.mark()
	before, err := cpuByProcess()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := s.operator.Signal(syscall.SIGCONT); err != nil {
		return nil, err
	}
	if err := s.waitHealed(ctx); err != nil {
		return nil, err
	}
	after, err := cpuByProcess()
	if err != nil {
		return nil, err
	}
	out := &storm{measure(start, s.policies.since(mark), n)}
	out.Curve, out.CPU = nil, spent(after, before)
	return out, nil
}

// waitHealed waits until every namespace of the first baseline holds its policies.
func (s *scene) waitHealed(ctx context.Context) error {
	want := s.hashes(s.forms.before)
	// Seldom: to compare takes a while, and what counts is when the watcher saw them.
	return s.poll(ctx, 250*time.Millisecond, "every policy to be put right", func() (bool, error) {
		_, n := s.policies.unlike(s.names, want)
		return n == 0, nil
	})
}
