// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	root  = "../.."
	tests = root + "/hack/conformance/testdata"
	poll  = 50 * time.Millisecond
)

// patience is how long anything may take that takes its time. NETBASELINE_TEST_TIMEOUT sets it, in seconds.
var patience = 60 * time.Second

// shared is the cluster of all tests but those that need one of their own.
var shared *scene

func TestMain(m *testing.M) {
	if seconds, err := strconv.Atoi(os.Getenv("NETBASELINE_TEST_TIMEOUT")); err == nil {
		patience = time.Duration(seconds) * time.Second
	}
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M) (code int, err error) {
	shared, err = newScene(ctx, true)
	if err != nil {
		return 1, err
	}
	ended := make(chan int, 1)
	go func() { ended <- m.Run() }()
	select {
	case code = <-ended:
	case <-ctx.Done():
		err = errors.New("interrupted")
	}
	return code, errors.Join(err, shared.close())
}

// assets are the binaries that pods and the node run.
func assets(dir string) (map[string]string, error) {
	folder := os.Getenv("PACKETS_ASSETS")
	if folder == "" {
		return nil, errors.New("PACKETS_ASSETS is not set: run this through make packets, or export PACKETS_ASSETS=\"$(hack/packets/assets.sh)\"")
	}
	standin := filepath.Join(dir, "standin")
	if out, err := exec.Command("go", "build", "-o", standin, "./standin/server").CombinedOutput(); err != nil { //nolint:gosec // our own
		return nil, fmt.Errorf("building standin: %w\n%s", err, out)
	}
	return map[string]string{
		"standin": standin, "kube-router": filepath.Join(folder, "kube-router"), "agnhost": filepath.Join(folder, "agnhost"),
	}, nil
}

var (
	imds      = netip.MustParseAddr("169.254.169.254")
	openstack = netip.MustParseAddr("fe80::a9fe:a9fe")
)
