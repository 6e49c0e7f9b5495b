// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clitest holds what the tests of the commands share, and the tests that concern all of them.
package clitest

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files in testdata anew")

// Command is the Run function of a command.
type Command func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int

// Run runs a command and returns its exit code, its output and its messages.
func Run(t *testing.T, command Command, in string, args ...string) (code int, out, messages string) {
	t.Helper()
	var o, m strings.Builder
	code = command(t.Context(), args, strings.NewReader(in), &o, &m)
	return code, o.String(), m.String()
}

// Golden compares with a file in testdata, to the byte. The flag -update writes the file first.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file) //nolint:gosec // a test names it
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; read the difference, and accept it by running this package's tests with -update\n%s", file, got)
	}
}
