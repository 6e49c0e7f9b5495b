// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNamespace: the operator's own namespace is what the manifests tell it, or the one that they would create.
func TestNamespace(t *testing.T) {
	for _, tc := range []struct {
		own  string
		args []string
		want string
	}{
		{"", nil, "netbaseline-system"},
		{"elsewhere", nil, "elsewhere"},
		{"elsewhere", []string{"--operator-namespace=here"}, "here"},
	} {
		t.Setenv("POD_NAMESPACE", tc.own)
		f, err := parse(tc.args)
		if err != nil {
			t.Fatal(err)
		}
		if f.namespace != tc.want {
			t.Errorf("%+v: got %s", tc, f.namespace)
		}
	}
}

// TestCommands: the exit code tells which command it was that refused.
func TestCommands(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := "--kubeconfig=" + filepath.Join(t.TempDir(), "nowhere")
	for _, tc := range []struct {
		name string
		args []string
		code int
	}{
		{"manager's flags alone, as in the manifests", []string{"--leader-elect", nowhere}, 1},
		{"manager, named", []string{"manager", "--leader-elect", nowhere}, 1},
		{"manager's help", []string{"-h"}, 0},
		{"manager: an unknown flag", []string{"manager", "--wrong"}, 2},
		{"manager: an argument behind flags", []string{"--leader-elect", "render"}, 2},
		{"render", []string{"render", "-f", "config/samples/default-deny.yaml"}, 0},
		{"render: its own flags", []string{"render", "--leader-elect"}, 2},
		{"render: nothing to render", []string{"render", "-f", empty}, 2},
		{"an unknown command", []string{"rendre"}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", "")
			if code := run(t.Context(), tc.args); code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
		})
	}
}
