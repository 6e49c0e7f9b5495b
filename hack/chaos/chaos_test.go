// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// w is the one world of all tests: they run in turn, and each begins with an empty one.
var w *world

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	ctrllog.SetLogger(logr.Discard())
	began := time.Now()
	dir, err := os.MkdirTemp("", "netbaseline-chaos-")
	if err == nil {
		w, err = newWorld(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "all is up after %.0f s\n", time.Since(began).Seconds())
	code := m.Run()
	fmt.Fprintf(os.Stderr, "tests over after %.0f s\n", time.Since(began).Seconds())
	if err := w.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the operator's log: %s\n", w.logFile)
		return code
	}
	_ = os.RemoveAll(dir)
	return 0
}

// number is an environment variable's.
func number(t *testing.T, variable string, otherwise int64) int64 {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// begin starts replicas of the operator in an empty world, until the test ends.
func begin(t *testing.T, replicas int) context.Context {
	t.Helper()
	ctx := t.Context()
	w.start(replicas)
	t.Cleanup(w.stop)
	if err := w.empty(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// check runs an episode. A guarantee that was broken fails the test, which goes on: the world is in order again. A world
// that is not in order ends it.
func check(ctx context.Context, t *testing.T, e episode) {
	t.Helper()
	began := time.Now()
	faults, err := w.run(ctx, e)
	for _, fault := range faults {
		t.Error(fault)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%5.1f s  %s", time.Since(began).Seconds(), e.name)
}

// transitions are the kinds of change, in an order in which each finds what it needs.
func transitions() []episode {
	move := func(namespace int, tier string) func(context.Context) error {
		return func(ctx context.Context) error { return w.move(ctx, w.namespaces[namespace], tier) }
	}
	apply := func(name string, profile int) func(context.Context) error {
		return func(ctx context.Context) error { return w.apply(ctx, name, spec(profiles[profile], "front")) }
	}
	return []episode{
		{name: "a namespace without baselines", act: move(0, "front")},
		{name: "the first baseline", act: apply("one", 0)},
		{name: "a namespace is selected", act: move(1, "front")},
		{name: "another profile", act: apply("one", 3)},
		{name: "a second baseline beside it", act: apply("two", 8)},
		{name: "a namespace is deselected from both", act: move(1, "")},
		{name: "the first baseline goes", act: func(ctx context.Context) error { return w.remove(ctx, "one") }},
		{name: "the last deny goes", act: apply("two", 4)},
		{name: "the last baseline goes", act: func(ctx context.Context) error { return w.remove(ctx, "two") }},
	}
}

func TestUndisturbed(t *testing.T) {
	ctx := begin(t, 1)
	for _, e := range transitions() {
		check(ctx, t, e)
	}
}

func TestKilledAtEveryWrite(t *testing.T) {
	ctx := begin(t, 1)
	for _, e := range short(transitions(), 6) {
		e.fault = w.killAtEveryWrite(20)
		check(ctx, t, e)
	}
}

func TestRefusedHalfWay(t *testing.T) {
	ctx := begin(t, 1)
	for _, e := range transitions() {
		e.fault = w.refusing(2, 9, http.StatusForbidden, http.StatusConflict, http.StatusInternalServerError)
		check(ctx, t, e)
	}
}

func TestFaults(t *testing.T) {
	ctx := begin(t, 1)
	faults := []struct {
		name string
		do   func(context.Context, func() error) error
		long bool
	}{
		{"undisturbed", nil, false},
		{"the API server is restarted", w.restartAPIServer(2), false},
		{"etcd is stopped for ten seconds", w.pauseEtcd(2, 10*time.Second), true},
		{"watches are cut", w.cutting(10, 50*time.Millisecond), false},
		{"a webhook refuses", w.refusingBy(http.StatusForbidden, parts[0], 2*time.Second), false},
		{"a webhook hangs", w.hanging(1, 3*time.Second), true},
		{"a quota", w.quota(1, time.Second), false},
		{"a storm of 429", w.refusing(2, 6, http.StatusTooManyRequests), true},
		{"the network is gone for a while", w.unplugged(2, time.Second), false},
	}
	for i, e := range transitions() {
		if testing.Short() && faults[i].long {
			faults[i].name, faults[i].do = "undisturbed", nil
		}
		e.name += "; " + faults[i].name
		e.fault = faults[i].do
		check(ctx, t, e)
	}
}

func TestLeaderChange(t *testing.T) { changeLeader(t, syscall.SIGTERM) }

// TestLeaderKilled takes longer: a leader that is killed keeps its lease.
func TestLeaderKilled(t *testing.T) { changeLeader(t, syscall.SIGKILL) }

func changeLeader(t *testing.T, s syscall.Signal) {
	t.Helper()
	ctx := begin(t, 2)
	// Whichever of the two leads: both end in turn, so that the leader did.
	for i, e := range transitions()[1:4] {
		e.fault = func(_ context.Context, asked func() error) error {
			return w.atWrite(2, asked, func() error { w.replicas[i%2].signal(s); return nil })
		}
		check(ctx, t, e)
	}
}

// TestRandom takes random actions under random faults, for CHAOS_SECONDS by each of CHAOS_SEEDS.
func TestRandom(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { random(t, seed) })
	}
}

func seeds(t *testing.T) (out []int64) {
	t.Helper()
	for text := range strings.FieldsSeq(os.Getenv("CHAOS_SEEDS")) {
		seed, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("CHAOS_SEEDS: %v", err)
		}
		out = append(out, seed)
	}
	if out == nil {
		return []int64{time.Now().UnixNano() % 1_000_000}
	}
	return out
}

func random(t *testing.T, seed int64) {
	t.Helper()
	ctx := begin(t, 1)
	length := time.Duration(number(t, "CHAOS_SECONDS", 20)) * time.Second
	t.Logf("CHAOS_SEEDS=%d reproduces this, for %s", seed, length)
	end := time.Now().Add(length)
	r := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // reproducible on purpose
	for n := 1; time.Now().Before(end); n++ {
		e := w.randomAction(r)
		fault, kills, do := w.randomFault(r)
		if e.anonymous && kills {
			fault, do = "undisturbed", nil
		}
		if n%25 == 0 && !e.anonymous && time.Until(end) > time.Minute {
			fault, do = "the API server is restarted", w.restartAPIServer(1+r.IntN(4))
		}
		e.name, e.fault = fmt.Sprintf("%d: %s; %s", n, e.name, fault), do
		check(ctx, t, e)
	}
}
