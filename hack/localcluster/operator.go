// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
)

// BuildOperator builds the operator of the tree whose root is given into a folder, and returns the path of the binary,
// which is called netbaseline.
func BuildOperator(ctx context.Context, root, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "netbaseline")
	command := exec.CommandContext(ctx, "go", "build", "-o", binary, ".") //nolint:gosec // our own arguments
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	return binary, nil
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
