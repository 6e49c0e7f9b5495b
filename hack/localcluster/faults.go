// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// EtcdURL is where etcd listens, for whoever wants to see what no fault of the API server can hide.
func (c *Cluster) EtcdURL() string { return c.env.ControlPlane.Etcd.URL.String() }

// RestartAPIServer kills kube-apiserver, which would take its time to end by itself while anybody watches, and starts it
// again with the same address and certificates.
func (c *Cluster) RestartAPIServer(ctx context.Context) error {
	server := c.env.ControlPlane.GetAPIServer()
	pid, err := child(ctx, "etcd-servers="+c.EtcdURL())
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing kube-apiserver: %w", err)
	}
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("starting kube-apiserver again: %w", err)
	}
	return nil
}

// PauseEtcd stops etcd where it is. It goes on when resume is called.
func (c *Cluster) PauseEtcd(ctx context.Context) (resume func() error, err error) {
	pid, err := child(ctx, "listen-client-urls="+c.EtcdURL())
	if err != nil {
		return nil, err
	}
	return func() error { return syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
}

// PauseControllerManager stops kube-controller-manager, and with it the garbage collector, where it is. It goes on when
// resume is called, which does no harm twice.
func (c *Cluster) PauseControllerManager() (resume func() error, err error) {
	pid := c.manager.Process.Pid
	return func() error { return syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
}

// child is the process of ours that has the argument: envtest does not tell. Where there is no /proc there is pgrep,
// and the reverse on a bare machine.
func child(ctx context.Context, argument string) (int, error) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		out, err := exec.CommandContext(ctx, "pgrep", "-P", strconv.Itoa(os.Getpid()), "-f", argument).Output() //nolint:gosec // no shell
		if err != nil {
			return 0, fmt.Errorf("finding the process with %s: %w", argument, err)
		}
		return strconv.Atoi(strings.TrimSpace(string(out)))
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range commands {
		// A process may end meanwhile: it is not ours then.
		command, _ := os.ReadFile(path)
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
		if bytes.Contains(command, []byte(argument)) && bytes.Contains(status, []byte("\nPPid:\t"+strconv.Itoa(os.Getpid())+"\n")) {
			return strconv.Atoi(filepath.Base(filepath.Dir(path)))
		}
	}
	return 0, fmt.Errorf("no process of ours has the argument %s", argument)
}
