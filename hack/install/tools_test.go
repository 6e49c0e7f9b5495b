// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	// root is the repository, chart the Helm chart in it.
	root  = "../.."
	chart = root + "/dist/chart"
	// home is the namespace of the operator, and of Helm's release.
	home = "netbaseline-system"
)

// helmBinary and operatorBinary are built once, by TestMain.
var helmBinary, operatorBinary string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "netbaseline-install-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Helm must find nothing of whoever runs this.
	for _, kind := range []string{"CACHE", "CONFIG", "DATA"} {
		if err := os.Setenv("HELM_"+kind+"_HOME", filepath.Join(dir, kind)); err != nil {
			return 0, err
		}
	}
	// Go keeps what it builds for `go tool`: the first time takes minutes, later ones nothing.
	out, err := exec.CommandContext(context.Background(), "go", "tool", "-n", "helm").Output()
	if err != nil {
		return 0, fmt.Errorf("building Helm: %w", err)
	}
	helmBinary = strings.TrimSpace(string(out))
	if operatorBinary, err = localcluster.BuildOperator(context.Background(), root, dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// command runs a tool, and returns what it prints to stdout; err holds what it prints to stderr.
func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.String(), nil
}

// helm runs Helm, which must succeed.
func helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, helmBinary, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// render returns what the chart renders under the release name netbaseline, unless the arguments say otherwise.
func render(t *testing.T, args ...string) objects {
	t.Helper()
	return parse(t, helm(t, append([]string{"template", "netbaseline", chart, "--namespace", home}, args...)...))
}

// kustomize returns what `kubectl apply -k` would apply.
func kustomize(t *testing.T, folder string) objects {
	t.Helper()
	out, err := command(t, localcluster.Binary("kubectl"), "kustomize", filepath.Join(root, folder))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, out)
}
