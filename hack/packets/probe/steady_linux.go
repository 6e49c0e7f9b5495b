// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Steady opens a new connection at every beat, whether the one before has ended or not.
type Steady struct {
	Name       string
	Connection Connection
	Beat       time.Duration
	// Timeout is that of one connection. TCP tries again after a second what was dropped, so a network that drops, and does
	// not reject, shows a short gap to UDP only.
	Timeout time.Duration

	tried  atomic.Int64
	mu     sync.Mutex
	losses []string      // not taken yet
	lost   int           // taken
	spent  time.Duration // the longest that one took
}

// Run runs until ctx ends, and waits for the last connection.
func (s *Steady) Run(ctx context.Context) {
	beat := time.NewTicker(s.Beat)
	defer beat.Stop()
	var running sync.WaitGroup
	for {
		select {
		case <-ctx.Done():
			running.Wait()
			return
		case <-beat.C:
			running.Go(s.once)
		}
	}
}

func (s *Steady) once() {
	start := time.Now()
	outcome := s.Connection.Try(s.Timeout)
	spent := time.Since(start)
	s.tried.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent = max(s.spent, spent)
	if outcome != Connected {
		s.losses = append(s.losses, fmt.Sprintf("%s %s: %s", start.Format("15:04:05.000"), s.Name, outcome))
	}
}

// Tried is how many connections have ended.
func (s *Steady) Tried() int64 { return s.tried.Load() }

// Slowest is how long the slowest connection took.
func (s *Steady) Slowest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spent
}

// Take returns the connections that failed since it was called before.
func (s *Steady) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.losses
	s.losses, s.lost = nil, s.lost+len(taken)
	return taken
}

// Lost is how many connections failed.
func (s *Steady) Lost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost + len(s.losses)
}
