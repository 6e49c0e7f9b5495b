// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Bench measures the operator beside the ceiling: what the same API server does in the same run when nothing but
// plain writers ask for the same objects. It starts a real control plane on loopback for each size of cluster, prints
// a table, and writes docs/benchmarks.md, docs/benchmarks.json and the plots in docs/benchmarks/. A missed target is
// no failure; a measurement that could not be made is.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

func main() { os.Exit(exitCode()) }

func exitCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		fmt.Fprintf(os.Stderr, "\nbench failed: %v\n", err)
		return 1
	}
	return 0
}

func run(ctx context.Context) (err error) {
	// The libraries of the watches would speak between the lines of the table.
	klog.LogToStderr(false)
	klog.SetLogger(klog.Logger{})
	ctrllog.SetLogger(klog.Logger{})

	set, err := readSettings(os.Getenv)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "netbaseline-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(os.Stderr, "building the operator")
	binary, err := localcluster.BuildOperator(ctx, ".", dir)
	if err != nil {
		return err
	}
	if set.Profile {
		if set.profiles, err = os.MkdirTemp("", "netbaseline-pprof-"); err != nil {
			return err
		}
	}

	all := &measurements{Started: time.Now().UTC().Truncate(time.Second), Settings: set}
	if all.Machine, err = describeMachine(); err != nil {
		return err
	}
	for _, n := range set.sizes() {
		m, err := measureSize(ctx, set, binary, dir, n)
		if err != nil {
			return fmt.Errorf("with %d namespaces: %w", n, err)
		}
		all.Machine.Kubernetes = m.Kubernetes
		all.Sizes = append(all.Sizes, m)
	}
	all.Rows = rows(all)
	printTable(os.Stdout, all.Rows)
	if err := writeReport(set.Out, all); err != nil {
		return err
	}
	fmt.Printf("\nWritten: %s, .json and the plots beside them.\n", filepath.Join(set.Out, "benchmarks.md"))
	if set.Profile {
		fmt.Printf("Profiles: %s\n", set.profiles)
	}
	return nil
}

// measureSize measures in a cluster of its own with n namespaces.
func measureSize(ctx context.Context, set settings, binary, dir string, n int) (m size, err error) {
	s, err := newScene(ctx, set, binary, dir, n)
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = errors.Join(err, s.operatorLog())
		}
		err = errors.Join(err, s.close())
	}()
	if err := s.prepare(ctx); err != nil {
		return m, err
	}
	m = size{Namespaces: n, PerNamespace: len(s.forms.before), Kubernetes: s.version}
	if err := s.measureRounds(ctx, &m); err != nil {
		return m, err
	}
	detail := n == set.Detail
	if detail {
		if m.Idle, err = s.measureIdle(ctx); err != nil {
			return m, fmt.Errorf("idle: %w", err)
		}
	}
	if m.Repair, err = s.measureRepair(ctx); err != nil {
		return m, fmt.Errorf("repair: %w", err)
	}
	if m.Newcomers, err = s.measureNewcomers(ctx); err != nil {
		return m, fmt.Errorf("new namespaces: %w", err)
	}
	if detail {
		if err := s.measureDetail(ctx, &m); err != nil {
			return m, err
		}
	}
	if m.Restart, err = s.measureRestart(ctx); err != nil {
		return m, fmt.Errorf("restart: %w", err)
	}
	if m.Unadmitted, err = s.measureUnadmitted(ctx); err != nil {
		return m, fmt.Errorf("restart while a preflight fails: %w", err)
	}
	// The last of the removals: after each round but the last there was one too.
	removal, err := s.measureRemoval(ctx)
	m.Rounds[len(m.Rounds)-1].Removal = removal
	return m, err
}

// measureDetail takes what is measured with one number of namespaces alone.
func (s *scene) measureDetail(ctx context.Context, m *size) (err error) {
	if m.Storm, err = s.measureStorm(ctx); err != nil {
		return fmt.Errorf("storm: %w", err)
	}
	if m.Busy, err = s.measureBusy(ctx, false); err != nil {
		return fmt.Errorf("repair during a convergence: %w", err)
	}
	if m.BusyAPF, err = s.measureBusy(ctx, true); err != nil {
		return fmt.Errorf("with %s: %w", flowControl, err)
	}
	if m.Soak, err = s.measureSoak(ctx); err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	return nil
}
