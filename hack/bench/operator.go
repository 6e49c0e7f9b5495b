// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// operatorProgram is the name of the operator's binary.
const operatorProgram = "netbaseline"

// operator is the running operator, started as a user would.
type operator struct {
	*localcluster.Operator
	metricsAddress string
	pprofAddress   string
}

// start starts the operator; it is up later, see startAndWait.
func (s *scene) start(ctx context.Context) error {
	addresses, err := localcluster.FreeAddresses(ctx, 2)
	if err != nil {
		return err
	}
	o := &operator{metricsAddress: addresses[0]}
	args := []string{"--metrics-bind-address=" + o.metricsAddress, "--metrics-secure=false"}
	if s.set.Profile {
		o.pprofAddress = addresses[1]
		args = append(args, "--pprof-bind-address="+o.pprofAddress)
	}
	//nolint:contextcheck // stopped by stop, as a cluster does it
	o.Operator, err = localcluster.StartOperator(localcluster.OperatorOptions{
		Binary: s.binary, Kubeconfig: s.operatorConfig, Args: args, LogFile: s.logFile(),
	})
	if err != nil {
		return err
	}
	s.operator = o
	return nil
}

// startAndWait starts the operator and waits until it has reconciled every namespace.
func (s *scene) startAndWait(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	return s.waitReconciled(ctx)
}

// waitReconciled waits until the operator has reconciled every namespace since its start, and has nothing left to do.
func (s *scene) waitReconciled(ctx context.Context) error {
	namespaces, err := s.countNamespaces(ctx)
	if err != nil {
		return err
	}
	return s.poll(ctx, 20*time.Millisecond, "the operator to reconcile every namespace", func() (bool, error) {
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
	return o.Stop()
}

// alive is an error when the operator ended by itself.
func (s *scene) alive() error {
	if s.operator == nil {
		return nil
	}
	return s.operator.Alive()
}

// operatorLog is the end of what the operator said, as an error to print.
func (s *scene) operatorLog() error {
	if s.operator == nil {
		return nil
	}
	return s.operator.Log()
}
