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
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// patience is how long any one step may take.
const patience = time.Minute

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
	operator *localcluster.Operator
}

// startOperator builds the operator from this tree and runs it with the rights of its ServiceAccount.
func (s *story) startOperator() error {
	binary, err := localcluster.BuildOperator(s.ctx, ".", s.dir)
	if err != nil {
		return err
	}
	kubeconfig, err := s.cluster.AddUser(localcluster.OperatorUser, localcluster.OperatorGroups...)
	if err != nil {
		return err
	}
	s.operator, err = localcluster.StartOperator(localcluster.OperatorOptions{
		Binary: binary, Kubeconfig: kubeconfig, LogFile: filepath.Join(s.dir, "operator.log"),
	})
	return err
}

// stopOperator asks the operator to stop, and waits. One that ended by itself is a failure of the demo.
func (s *story) stopOperator() error {
	if s.operator == nil {
		return nil
	}
	if err := s.operator.Alive(); err != nil && s.ctx.Err() == nil {
		return err
	}
	return s.operator.Stop()
}

// operatorLog is the end of what the operator logged, as an error to print.
func (s *story) operatorLog() error {
	if s.operator == nil {
		return nil
	}
	return s.operator.Log()
}
