// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// backoff is between the end of a container and its restart: a test cannot wait as long as a kubelet does.
const backoff = time.Second

// container is a container of a pod, over its restarts. What changes is under the worker's lock.
type container struct {
	*worker
	spec *corev1.Container
	log  string

	state    corev1.ContainerState
	last     corev1.ContainerState
	restarts int32
	started  bool
	ready    bool
	done     bool // it will not run again
}

func newContainer(w *worker, spec *corev1.Container) *container {
	return &container{
		worker: w, spec: spec,
		log:   filepath.Join(w.kubelet.Dir, fmt.Sprintf("%s_%s_%s_%s.log", w.pod.Namespace, w.pod.Name, spec.Name, w.pod.UID)),
		state: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}},
	}
}

// run runs the container, again as the policy says, until the pod ends.
func (c *container) run(ctx context.Context, policy corev1.RestartPolicy) {
	defer c.set(ctx, func() { c.done, c.ready = true, false })
	if c.kubelet.binary(c.spec.Image) == "" {
		c.set(ctx, func() {
			c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "there is no image " + c.spec.Image}}
		})
		<-c.deleted.Done()
		return
	}
	for {
		ended := c.once(ctx)
		if c.deleted.Err() != nil || policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && ended.ExitCode == 0 {
			return
		}
		select {
		case <-c.deleted.Done():
			return
		case <-time.After(backoff):
		}
		c.set(ctx, func() {
			c.last, c.restarts = c.state, c.restarts+1
		})
	}
}

// once runs the container's process to its end and reports how it ended.
func (c *container) once(ctx context.Context) *corev1.ContainerStateTerminated {
	ended := &corev1.ContainerStateTerminated{StartedAt: metav1.Now(), ContainerID: c.id()}
	process, err := c.start()
	if err != nil {
		ended.ExitCode, ended.Reason, ended.Message = 128, "StartError", err.Error()
	} else {
		c.set(ctx, func() {
			c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ended.StartedAt}}
			c.started, c.ready = true, c.spec.ReadinessProbe == nil
		})
		probing, stop := context.WithCancel(ctx)
		go c.probe(probing)
		ended.ExitCode = c.wait(process)
		stop()
		ended.Reason, ended.Message = "Completed", ""
		if ended.ExitCode != 0 {
			ended.Reason = "Error"
			if c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
				ended.Message = tail(c.log)
			}
		}
	}
	ended.FinishedAt = metav1.Now()
	c.set(ctx, func() { c.state, c.ready, c.started = corev1.ContainerState{Terminated: ended}, false, false })
	return ended
}

// start starts the container's process in the pod's network namespace, as its user, in a process group of its own.
func (c *container) start() (*exec.Cmd, error) {
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own handle
	argv := c.argv()
	process := exec.Command(argv[0], argv[1:]...) //nolint:gosec // that is what a kubelet does
	process.Env, process.Dir = c.env(), filepath.Join(c.kubelet.Dir, "bin")
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if user := c.user(); user != 0 {
		process.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
	}
	return process, c.ns.Start(process)
}

// wait waits for the end of the process. When the pod ends first, the process has its grace period.
func (c *container) wait(process *exec.Cmd) int32 {
	exited := make(chan error, 1)
	go func() { exited <- process.Wait() }()
	var err error
	select {
	case err = <-exited:
	case <-c.deleted.Done():
		c.worker.mu.Lock()
		grace := c.grace
		c.worker.mu.Unlock()
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGTERM)
		select {
		case err = <-exited:
		case <-time.After(grace):
			_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
			err = <-exited
		}
	}
	// What the first process left behind ends with the container.
	_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
	exit, failed := errors.AsType[*exec.ExitError](err)
	if !failed {
		return 0
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int32(status.Signal())
	}
	return int32(exit.ExitCode()) //nolint:gosec // a byte
}

// tail is the end of a log, as much of it as a kubelet puts into a termination message.
func tail(path string) string {
	const lines, size = 80, 2048
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	all := strings.SplitAfter(string(data), "\n")
	text := strings.Join(all[max(0, len(all)-lines-1):], "")
	return text[max(0, len(text)-size):]
}

// set changes the container and reports the pod.
func (c *container) set(ctx context.Context, change func()) {
	c.worker.mu.Lock()
	change()
	c.worker.mu.Unlock()
	c.report(ctx)
}

func (c *container) succeeded() bool {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	return c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
}

func (c *container) id() string { return "process://" + filepath.Base(c.log) }
