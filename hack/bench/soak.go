// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// soakers is the number of intruders at work at the same time.
const soakers = 4

// measureSoak harms policies without a pause, and watches the operator's memory.
func (s *scene) measureSoak(ctx context.Context) (*soak, error) {
	defer s.progressOf("soak", s.set.Soak)()
	components := slices.Sorted(maps.Keys(s.forms.before))
	start := time.Now()
	var harms atomic.Int64
	var out soak
	sampled := make(chan error, 1)
	go func() { sampled <- s.sampleMemory(ctx, start, &out) }()
	err := parallel(ctx, soakers, soakers, func(ctx context.Context, i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 2))
		for time.Since(start) < s.set.Soak {
			// Each has namespaces of its own, so that no two harm the same policy.
			own := (len(s.names) - i + soakers - 1) / soakers
			if own == 0 {
				return nil
			}
			namespace := s.names[i+soakers*random.IntN(own)]
			what := []harm{edited, deleted}[random.IntN(2)]
			if _, err := s.heals(ctx, what, namespace, components[random.IntN(len(components))]); err != nil {
				return err
			}
			harms.Add(1)
		}
		return nil
	})
	if e := <-sampled; err == nil {
		err = e
	}
	out.Seconds, out.Harms = time.Since(start).Seconds(), int(harms.Load())
	out.Early, out.Late = quarters(out.RSS)
	out.RSS = thin(out.RSS, 200)
	return &out, err
}

// sampleMemory notes the operator's memory four times a second.
func (s *scene) sampleMemory(ctx context.Context, start time.Time, out *soak) error {
	for time.Since(start) < s.set.Soak {
		rss, _, err := memory(s.operator.PID())
		if err != nil {
			return err
		}
		out.RSS = append(out.RSS, point{math.Round(time.Since(start).Seconds()*100) / 100, math.Round(mebibytes(rss)*100) / 100})
		if err := sleep(ctx.Done(), 250*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
