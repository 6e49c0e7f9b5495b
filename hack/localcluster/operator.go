// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// OperatorNamespace is the namespace of config/default.
	OperatorNamespace = "netbaseline-system"
	// OperatorUser is the ServiceAccount of config/default: an operator that runs as this user has the rights of
	// config/rbac and no others.
	OperatorUser = "system:serviceaccount:" + OperatorNamespace + ":netbaseline-controller-manager"

	stopTimeout = 20 * time.Second
	logTail     = 4000 // bytes
)

// OperatorGroups are the groups of every ServiceAccount. API priority and fairness classifies requests by them.
var OperatorGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + OperatorNamespace}

// BuildOperator builds the operator of the tree whose root is given into a folder, as the image does, and returns the
// path of the binary, which is called netbaseline.
func BuildOperator(ctx context.Context, root, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "netbaseline")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, ".") //nolint:gosec // our own arguments
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	return binary, nil
}

// InstallOperator applies config/default of the tree whose root is given: the CRD, the operator's namespace, and every
// right of config/rbac. No controller runs its Deployment here. It returns a kubeconfig of the operator's
// ServiceAccount, for StartOperator.
func (c *Cluster) InstallOperator(ctx context.Context, root string) (kubeconfig string, err error) {
	for _, args := range [][]string{
		{"apply", "-k", filepath.Join(root, "config", "default")},
		{"wait", "--for=condition=Established", "crd/networkbaselines.netbaseline.io", "--timeout=60s"},
	} {
		if err := c.Kubectl(ctx, args...); err != nil {
			return "", err
		}
	}
	return c.AddUser(OperatorUser, OperatorGroups...)
}

// Kubectl runs kubectl as an administrator. Its output is part of the error.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, Binary("kubectl"), append([]string{"--kubeconfig", c.Kubeconfig}, args...)...) //nolint:gosec // our own arguments
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", command.Args[1:], err, out)
	}
	return nil
}

// OperatorOptions says how to start the operator.
type OperatorOptions struct {
	// Binary is the path that BuildOperator returned.
	Binary string
	// Kubeconfig is the one that InstallOperator returned, or one that leads to the same user.
	Kubeconfig string
	// Args are further arguments.
	Args []string
	// LogFile receives the output; an existing file is continued.
	LogFile string
}

// Operator is the operator as a process.
type Operator struct {
	// Started is when the process started.
	Started time.Time

	command *exec.Cmd
	logFile string
	ended   chan struct{}
	err     error // valid when ended is closed
}

// StartOperator starts the operator with the environment of its Deployment. The process lives until Stop, or a signal,
// ends it: a context, which kills, would not let it stop in order.
func StartOperator(o OperatorOptions) (*Operator, error) {
	log, err := os.OpenFile(o.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own handle
	p := &Operator{logFile: o.LogFile, ended: make(chan struct{})}
	p.command = exec.CommandContext(context.Background(), o.Binary, append([]string{"--kubeconfig", o.Kubeconfig}, o.Args...)...) //nolint:gosec // our own arguments
	p.command.Env = append(os.Environ(), "POD_NAMESPACE="+OperatorNamespace)
	p.command.Stdout, p.command.Stderr = log, log
	p.Started = time.Now()
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting the operator: %w", err)
	}
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process ID.
func (p *Operator) PID() int { return p.command.Process.Pid }

// Ended is closed when the process has ended.
func (p *Operator) Ended() <-chan struct{} { return p.ended }

// Alive returns an error when the process has ended.
func (p *Operator) Alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("the operator ended by itself: %w", errors.Join(p.err, errEnded))
	default:
		return nil
	}
}

var errEnded = errors.New("process ended")

// Signal sends a signal. A process that has ended misses none.
func (p *Operator) Signal(s syscall.Signal) error {
	if err := p.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Stop asks the operator to stop, as a kubelet does, and waits. The exit code is ignored: an interrupt from the terminal
// reaches the operator as well.
func (p *Operator) Stop() error {
	err := errors.Join(p.Signal(syscall.SIGCONT), p.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
		return err
	case <-time.After(stopTimeout):
		err = errors.Join(err, fmt.Errorf("the operator did not stop within %s", stopTimeout), p.Signal(syscall.SIGKILL))
		<-p.ended
		return err
	}
}

// Log is the end of the operator's output, as an error to print; nil when there is none.
func (p *Operator) Log() error {
	data, err := os.ReadFile(p.logFile)
	if err != nil || len(data) == 0 {
		return err
	}
	return fmt.Errorf("the end of the operator's log:\n%s", data[max(0, len(data)-logTail):])
}

// FreeAddresses are n different addresses on loopback that nobody listens on.
func FreeAddresses(ctx context.Context, n int) (addresses []string, err error) {
	var listeners []net.Listener
	// All at the end, so that they differ.
	defer func() {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
	}()
	for range n {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
