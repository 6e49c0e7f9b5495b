// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// operatorProgram is the name of the operator's binary.
const operatorProgram = "netbaseline"

// operatorUser is the ServiceAccount of config/default: the operator has its rights and no others.
const operatorUser = "system:serviceaccount:netbaseline-system:netbaseline-controller-manager"

// operatorGroups are those of every ServiceAccount, by which API priority and fairness sorts its requests.
var operatorGroups = []string{"system:serviceaccounts", "system:serviceaccounts:netbaseline-system"}

// operator is the running operator, started as a user would.
type operator struct {
	cmd            *exec.Cmd
	exited         chan error
	started        time.Time
	metricsAddress string
	pprofAddress   string
}

func (o *operator) pid() int { return o.cmd.Process.Pid }

// start starts the operator; it is up later, see up.
func (s *scene) start(ctx context.Context) error {
	addresses, err := localcluster.FreeAddresses(ctx, 2)
	if err != nil {
		return err
	}
	o := &operator{metricsAddress: addresses[0], exited: make(chan error, 1)}
	args := []string{"--kubeconfig", s.operatorConfig, "--metrics-bind-address=" + o.metricsAddress, "--metrics-secure=false"}
	if s.set.Profile {
		o.pprofAddress = addresses[1]
		args = append(args, "--pprof-bind-address="+o.pprofAddress)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own handle
	// Stopped by stop, as a cluster does it, and not by a context, which kills.
	o.cmd = exec.CommandContext(context.Background(), s.binary, args...) //nolint:contextcheck // see above
	o.cmd.Env = append(os.Environ(), "POD_NAMESPACE=netbaseline-system")
	o.cmd.Stdout, o.cmd.Stderr = log, log
	o.started = time.Now()
	if err := o.cmd.Start(); err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	go func() { o.exited <- o.cmd.Wait() }()
	s.operator = o
	return nil
}

// startAndWait starts the operator and waits until it has looked at every namespace.
func (s *scene) startAndWait(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	namespaces, err := s.countNamespaces(ctx)
	if err != nil {
		return err
	}
	return s.poll(ctx, 20*time.Millisecond, "the operator to look at every namespace", func() (bool, error) {
		f, err := s.operator.metrics(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // not listening yet
		}
		of := map[string]string{"controller": "namespace"}
		return f.total("controller_runtime_reconcile_total", of) >= namespaces && f.total("workqueue_depth", of) == 0, nil
	})
}

// stop asks the operator to stop, as a cluster does, and waits.
func (s *scene) stop() error {
	o := s.operator
	if o == nil {
		return nil
	}
	s.operator = nil
	err := errors.Join(o.signal(syscall.SIGCONT), o.signal(syscall.SIGTERM))
	select {
	case <-o.exited: //nolint:errcheck // Ctrl-C reaches it too, so that its exit code says nothing here
		return err
	case <-time.After(20 * time.Second):
		return errors.Join(err, errors.New("the operator did not stop within 20 s"), o.cmd.Process.Kill())
	}
}

// signal sends a signal to the operator; none is missed by one that has ended.
func (o *operator) signal(sig syscall.Signal) error {
	if err := o.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// alive is an error when the operator ended by itself.
func (s *scene) alive() error {
	if s.operator == nil {
		return nil
	}
	select {
	case err := <-s.operator.exited:
		s.operator.exited <- err
		return fmt.Errorf("the operator ended by itself: %w", err)
	default:
		return nil
	}
}

// operatorLog is the end of what the operator said, as an error to print.
func (s *scene) operatorLog() error {
	data, err := os.ReadFile(s.logFile())
	if err != nil || len(data) == 0 {
		return nil //nolint:nilerr // it was not started yet
	}
	return fmt.Errorf("the end of the operator's log:\n%s", data[max(0, len(data)-4000):])
}
