// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"time"
)

// measureIdle counts what the operator does when nothing happens. Nothing is asked of the API server meanwhile.
func (s *scene) measureIdle(ctx context.Context) (*idle, error) {
	// The last status is written, the last Event sent.
	if err := sleep(ctx.Done(), 5*time.Second); err != nil {
		return nil, err
	}
	defer s.progressOf("idle", s.set.Idle)()
	servedBefore, err := s.served(ctx)
	if err != nil {
		return nil, err
	}
	before, err := s.operator.requests(ctx)
	if err != nil {
		return nil, err
	}
	cpuBefore, err := cpu(s.operator.PID())
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := sleep(ctx.Done(), s.set.Idle); err != nil {
		return nil, err
	}
	cpuAfter, err := cpu(s.operator.PID())
	if err != nil {
		return nil, err
	}
	out := &idle{Seconds: time.Since(start).Seconds(), CPU: cpuAfter - cpuBefore}
	after, err := s.operator.requests(ctx)
	if err != nil {
		return nil, err
	}
	servedAfter, err := s.served(ctx)
	if err != nil {
		return nil, err
	}
	out.Requests = minus(after, before)
	total := 0
	for _, n := range out.Requests {
		total += n
	}
	for key, n := range minus(servedAfter, servedBefore) {
		if strings.HasPrefix(key, "WATCH ") {
			out.Watches += n
		}
	}
	// Watches are GETs. The count of those that ended holds watches of others, so it only ever excuses GETs.
	out.Watches = min(out.Watches, out.Requests["GET"])
	out.Other = total - out.Watches
	return out, nil
}
