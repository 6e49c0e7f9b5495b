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
		fmt.Fprintf(os.Stderr, "what the operator said: %s\n", w.log.Name())
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

func check(ctx context.Context, t *testing.T, e episode) {
	t.Helper()
	began := time.Now()
	if err := w.run(ctx, e); err != nil {
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
	for _, e := range transitions() {
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
	}{
		{"", nil},
		{"the API server is restarted", w.restartAPIServer(2)},
		{"etcd is stopped for ten seconds", w.pauseEtcd(2, 10*time.Second)},
		{"watches are cut", w.cutting(10, 50*time.Millisecond)},
		{"a webhook refuses", w.webhook(false, 1, 2*time.Second)},
		{"a webhook hangs", w.webhook(true, 1, 3*time.Second)},
		{"a quota", w.quota(time.Second)},
		{"a storm of 429", w.refusing(2, 6, http.StatusTooManyRequests)},
		{"the network is gone for a while", w.unplugged(2, time.Second)},
	}
	for i, e := range transitions() {
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

// TestRandom takes random actions under random faults for CHAOS_SECONDS, by CHAOS_SEED.
func TestRandom(t *testing.T) {
	ctx := begin(t, 1)
	seed := number(t, "CHAOS_SEED", time.Now().UnixNano()%1_000_000)
	end := time.Now().Add(time.Duration(number(t, "CHAOS_SECONDS", 20)) * time.Second)
	t.Logf("CHAOS_SEED=%d reproduces this", seed)
	r := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // reproducible on purpose
	for n := 1; time.Now().Before(end); n++ {
		e := w.randomAction(r)
		fault, do := w.randomFault(r)
		e.name, e.fault = fmt.Sprintf("%d: %s; %s", n, e.name, fault), do
		if n%25 == 0 && time.Until(end) > time.Minute {
			e.name, e.fault = fmt.Sprintf("%d: %s; the API server is restarted", n, e.name), w.restartAPIServer(1+r.IntN(4))
		}
		check(ctx, t, e)
	}
}
