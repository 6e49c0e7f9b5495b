// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package netns makes network namespaces without names. The kernel removes one when its last process and its last file
// descriptor are gone, so nothing is left behind, not even when this process is killed.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// NS is a network namespace.
type NS struct{ file *os.File }

const own = "/proc/thread-self/ns/net"

// New returns a new network namespace with its loopback interface up.
func New() (*NS, error) {
	var n *NS
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("creating a network namespace: %w", err)
		}
		file, err := os.Open(own)
		n = &NS{file: file}
		return err
	})
	if err != nil {
		return nil, err
	}
	// Nobody has an address twice here: without the wait for duplicates, addresses are usable at once.
	err = n.Sysctl(map[string]string{"ipv6/conf/default/accept_dad": "0"})
	if err == nil {
		err = n.Batch("link set lo up")
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Path names the namespace for ip(8), as long as this process lives.
func (n *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// Close gives the namespace up. It lives on while processes or sockets of it do.
func (n *NS) Close() error { return n.file.Close() }

// Do runs f in the namespace. Sockets that f opens and processes that f starts stay in it. f must not start a goroutine
// that opens one.
func (n *NS) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return f()
	})
}

// onThread runs f on an operating system thread whose network namespace f may change. It is put back afterwards; where
// that fails, the thread ends with its goroutine.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(own)
		if err != nil {
			result <- err
			return
		}
		defer home.Close() //nolint:errcheck // only read
		err = f()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// Start starts the command in the namespace.
func (n *NS) Start(c *exec.Cmd) error { return n.Do(c.Start) }

// Run runs a command in the namespace and returns an error with what it printed when it fails.
func (n *NS) Run(stdin, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(stdin)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	err := n.Start(c)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out.String(), stdin)
	}
	return nil
}

// Batch runs lines of ip(8) in the namespace.
func (n *NS) Batch(lines ...string) error {
	return n.Run(strings.Join(lines, "\n")+"\n", "ip", "-batch", "-")
}

// Sysctl sets kernel parameters of the namespace, by their path below /proc/sys/net.
func (n *NS) Sysctl(values map[string]string) error {
	return n.Do(func() error {
		for name, value := range values {
			// The kernel looks at the thread that opens the file.
			if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o600); err != nil {
				return fmt.Errorf("sysctl: %w", err)
			}
		}
		return nil
	})
}
