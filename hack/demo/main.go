// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Demo shows netbaseline at work: a real control plane on loopback, the operator built from this tree, the sample
// baseline, and an intruder. It prints what kubectl prints, cleans up after itself, and fails when a step fails.
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

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	// operatorUser is the ServiceAccount of config/default: the demo's operator has its rights and no others.
	operatorUser = "system:serviceaccount:netbaseline-system:netbaseline-controller-manager"
	// patience is how long any one step may take.
	patience = time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo failed: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	fmt.Println("Starting etcd, kube-apiserver and kube-controller-manager on loopback …")
	cluster, err := localcluster.Start(localcluster.Options{ControllerManager: true}) //nolint:contextcheck // Stop ends it, no context
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()

	dir, err := os.MkdirTemp("", "netbaseline-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	s := &story{ctx: ctx, cluster: cluster, dir: dir}
	defer func() { err = errors.Join(err, s.stopOperator()) }()
	if err := s.tell(); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return errors.Join(err, s.operatorLog())
	}
	if os.Getenv("KEEP") != "" {
		fmt.Printf("\nLeft running. In another terminal:\n\n  export KUBECONFIG=%s\n  %s get networkbaselines\n\nCtrl-C ends it.\n",
			cluster.Kubeconfig, localcluster.Binary("kubectl"))
		<-ctx.Done()
	}
	return nil
}

// story is the demo's state.
type story struct {
	ctx      context.Context
	cluster  *localcluster.Cluster
	dir      string
	operator *exec.Cmd
	exited   chan error
}

// startOperator builds the operator from this tree and runs it with the rights of its ServiceAccount.
func (s *story) startOperator() error {
	binary, err := localcluster.BuildOperator(s.ctx, ".", s.dir)
	if err != nil {
		return err
	}
	kubeconfig, err := s.cluster.AddUser(operatorUser)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "operator.log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own handle
	// Stopped by stopOperator, as a cluster does it, and not by the context, which kills.
	s.operator = exec.CommandContext(context.Background(), binary, "--kubeconfig", kubeconfig)
	s.operator.Env = append(os.Environ(), "POD_NAMESPACE=netbaseline-system")
	s.operator.Stdout, s.operator.Stderr = log, log
	if err := s.operator.Start(); err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	s.exited = make(chan error, 1)
	go func() { s.exited <- s.operator.Wait() }()
	return nil
}

// stopOperator asks the operator to stop, as a cluster does, and waits.
func (s *story) stopOperator() error {
	if s.exited == nil {
		return nil
	}
	select {
	case err := <-s.exited:
		return fmt.Errorf("the operator ended by itself: %w", err)
	default:
	}
	if err := s.operator.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.exited:
		if _, exited := errors.AsType[*exec.ExitError](err); exited {
			return nil // Ctrl-C reaches it too, so that its exit code says nothing here
		}
		return err
	case <-time.After(20 * time.Second):
		err := s.operator.Process.Kill()
		return errors.Join(errors.New("the operator did not stop within 20 s"), err)
	}
}

// operatorLog is what the operator said, as an error to print.
func (s *story) operatorLog() error {
	data, err := os.ReadFile(filepath.Join(s.dir, "operator.log"))
	if err != nil || len(data) == 0 {
		return nil //nolint:nilerr // it was not started yet
	}
	return fmt.Errorf("the operator's log:\n%s", data)
}
