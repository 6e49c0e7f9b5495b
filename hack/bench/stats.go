// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
	"time"
)

// summary describes a sample.
type summary struct {
	N    int     `json:"n"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// summarize summarizes durations in milliseconds.
func summarize(sample []time.Duration) summary {
	if len(sample) == 0 {
		return summary{}
	}
	values := make([]float64, len(sample))
	sum := 0.0
	for i, d := range sample {
		values[i] = float64(d) / float64(time.Millisecond)
		sum += values[i]
	}
	return summary{
		N: len(values), P50: percentile(values, 50), P99: percentile(values, 99), Max: slices.Max(values),
		Mean: sum / float64(len(values)),
	}
}

// percentile is the nearest-rank percentile: a value of the sample that p percent of it do not exceed. 0 of nothing.
func percentile(sample []float64, p float64) float64 {
	if len(sample) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(sample))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, or the mean of the two in the middle. 0 of nothing.
func median(sample []float64) float64 {
	if len(sample) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(sample))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// thin keeps at most n points of a curve, the first and the last among them.
func thin(curve []point, n int) []point {
	if len(curve) <= n || n < 2 {
		return curve
	}
	out := make([]point, 0, n)
	for i := range n {
		out = append(out, curve[i*(len(curve)-1)/(n-1)])
	}
	return out
}

// cumulate is the curve that grows by one at each of the times, from 0 at start.
func cumulate(start time.Time, times []time.Time) []point {
	sorted := slices.SortedFunc(slices.Values(times), time.Time.Compare)
	curve := []point{{0, 0}}
	for i, t := range sorted {
		curve = append(curve, point{math.Round(t.Sub(start).Seconds()*1000) / 1000, float64(i + 1)})
	}
	return curve
}

// slope is that of the least-squares line through the points; 0 of fewer than two different x.
func slope(points []point) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, p := range points {
		n, sx, sy, sxx, sxy = n+1, sx+p.X, sy+p.Y, sxx+p.X*p.X, sxy+p.X*p.Y
	}
	d := n*sxx - sx*sx
	if d == 0 {
		return 0
	}
	return (n*sxy - sx*sy) / d
}

// quarters are the medians of y over the second and the last quarter of a curve.
func quarters(curve []point) (early, late float64) {
	y := func(from, to int) float64 {
		var values []float64
		for _, p := range curve[from:to] {
			values = append(values, p.Y)
		}
		return median(values)
	}
	n := len(curve)
	return y(n/4, n/2), y(n-n/4, n)
}
