// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i) // unsorted on purpose
	}
	for _, c := range []struct {
		sample []float64
		p      float64
		want   float64
	}{
		{nil, 50, 0},
		{[]float64{7}, 99, 7},
		{[]float64{7}, 0, 7},
		{[]float64{3, 1, 2}, 50, 2},
		{[]float64{4, 1, 2, 3}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
	} {
		if got := percentile(c.sample, c.p); got != c.want {
			t.Errorf("percentile(%v, %v) = %v, want %v", c.sample, c.p, got, c.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("the sample was sorted in place")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		sample []float64
		want   float64
	}{{nil, 0}, {[]float64{5}, 5}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.sample); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.sample, got, c.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	got := summarize([]time.Duration{30 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond})
	if want := (summary{N: 3, P50: 20, P99: 30, Max: 30, Mean: 20}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := summarize(nil); got != (summary{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestThin(t *testing.T) {
	curve := make([]point, 1000)
	for i := range curve {
		curve[i] = point{float64(i), float64(i)}
	}
	got := thin(curve, 11)
	if len(got) != 11 || got[0] != curve[0] || got[10] != curve[999] {
		t.Errorf("got %v", got)
	}
	if got := thin(curve[:5], 11); len(got) != 5 {
		t.Errorf("a short curve became %v", got)
	}
}

func TestCumulate(t *testing.T) {
	start := time.Unix(100, 0)
	got := cumulate(start, []time.Time{start.Add(2 * time.Second), start.Add(time.Second)})
	want := []point{{0, 0}, {1, 1}, {2, 2}}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("point %d: %v, want %v", i, got[i], want[i])
		}
	}
}

func TestSlope(t *testing.T) {
	if got := slope([]point{{0, 60}, {100, 62}, {200, 64}}); math.Abs(got-0.02) > 1e-12 {
		t.Errorf("got %v", got)
	}
	if got := slope([]point{{5, 1}, {5, 2}}); got != 0 {
		t.Errorf("of one x: %v", got)
	}
}

func TestQuarters(t *testing.T) {
	var curve []point
	for i := range 40 {
		curve = append(curve, point{float64(i), float64(i / 10)})
	}
	if early, late := quarters(curve); early != 1 || late != 3 {
		t.Errorf("got %v and %v", early, late)
	}
}

func TestSizes(t *testing.T) {
	set := settings{Namespaces: 1000, Growth: []int{1000, 100, 5000}}
	if got := set.sizes(); len(got) != 2 || got[0] != 100 || got[1] != 1000 {
		t.Errorf("got %v", got)
	}
}
