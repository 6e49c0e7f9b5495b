// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCPU(t *testing.T) {
	const stat = "4711 (a (b) c) S 42 1 1 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 100 1 1\n"
	used, err := cpuOf(stat)
	if err != nil || used != 2 {
		t.Errorf("got %v, %v", used, err)
	}
	pid, name, parent, err := identify(stat)
	if err != nil || pid != 4711 || name != "a (b) c" || parent != 42 {
		t.Errorf("got %d %q %d, %v", pid, name, parent, err)
	}
	if _, err := cpuOf("nothing"); err == nil {
		t.Error("nonsense was taken")
	}
	if busy, err := busyOf("cpu  100 200 300 5000 50 60 70 0 0 0\ncpu0 1 2 3\n"); err != nil || math.Abs(busy-7.3) > 1e-9 {
		t.Errorf("got %v, %v", busy, err)
	}
	mine, err := cpuByProcess()
	if err != nil || len(mine) == 0 {
		t.Errorf("got %v, %v", mine, err)
	}
}

func TestMemory(t *testing.T) {
	rss, peak, err := memory(os.Getpid())
	if err != nil || rss < 1<<20 || peak < rss/2 {
		t.Errorf("got %d, %d, %v", rss, peak, err)
	}
	if got := kibibytes([]byte("VmPeak:\t 7 kB\nVmRSS:\t  12 kB\n"), "VmRSS:"); got != 12 {
		t.Errorf("got %d", got)
	}
}

func TestMetrics(t *testing.T) {
	f, err := parseMetrics(strings.NewReader(`# TYPE r counter
r{method="GET",code="200",host="a"} 3
r{method="GET",code="404",host="a"} 1
r{method="PUT",code="200",host="a"} 2
# TYPE g gauge
g{baseline="x",state="inSync"} 5
g{baseline="y",state="inSync"} 7
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.sum("r", nil, "method"); !maps.Equal(got, map[string]int{"GET": 4, "PUT": 2}) {
		t.Errorf("by method: %v", got)
	}
	if got := f.total("g", map[string]string{"baseline": "x", "state": "inSync"}); got != 5 {
		t.Errorf("total: %d", got)
	}
	if got := minus(map[string]int{"a": 3, "b": 2}, map[string]int{"a": 1, "b": 2}); !maps.Equal(got, map[string]int{"a": 2}) {
		t.Errorf("minus: %v", got)
	}
}

func TestSettings(t *testing.T) {
	env := map[string]string{"NAMESPACES": "5000", "GROWTH": "10 1000", "IDLE": "5"}
	s, err := readSettings(func(name string) string { return env[name] })
	if err != nil || s.Namespaces != 5000 || s.Idle != 5*time.Second || s.Writers != 8 || len(s.sizes()) != 3 || s.Detail != 5000 {
		t.Errorf("got %+v, %v", s, err)
	}
	env = map[string]string{"NAMESPACES": "10000"}
	s, err = readSettings(func(name string) string { return env[name] })
	if err != nil || !slices.Equal(s.sizes(), []int{100, 500, 1000, 5000, 10000}) || s.Detail != 5000 {
		t.Errorf("got %+v, %v", s, err)
	}
	for name, value := range map[string]string{"NAMESPACES": "many", "ROUNDS": "0", "GROWTH": "10 x", "DETAIL": "7"} {
		if _, err := readSettings(func(n string) string { return map[string]string{name: value}[n] }); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestMeasure(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	got := measure(start, []sighting{
		{at(1), "a", "deny", 1}, {at(2), "a", "dns", 2}, {at(4), "a", "deny", 3}, // the first deny is not the last
	}, 3)
	if got.Seconds != 4 || got.Seen != 3 || got.rate() != 0.75 || len(got.Curve) != 3 {
		t.Errorf("got %+v", got)
	}
	if last := got.Curve[2]; last != (point{4, 2}) {
		t.Errorf("the curve ends at %v", last)
	}
}
