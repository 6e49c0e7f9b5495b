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
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
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
	binary := filepath.Join(dir, operatorProgram)
	if err := build(ctx, binary); err != nil {
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
	for i, n := range set.sizes() {
		full := i == len(set.sizes())-1
		m, err := measureSize(ctx, set, binary, dir, n, full)
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

// build builds the operator from this tree.
func build(ctx context.Context, binary string) error {
	fmt.Fprintln(os.Stderr, "building the operator")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the operator: %w", err)
	}
	return nil
}

// measureSize measures in a cluster of its own with n namespaces; full takes the measurements that are made once.
func measureSize(ctx context.Context, set settings, binary, dir string, n int, full bool) (m size, err error) {
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
	if full {
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
	if full {
		err = s.measureOnce(ctx, &m)
	}
	return m, err
}

// measureOnce takes what is measured with the largest number of namespaces alone.
func (s *scene) measureOnce(ctx context.Context, m *size) (err error) {
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
	if m.Restart, err = s.measureRestart(ctx); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return nil
}
