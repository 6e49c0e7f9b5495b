// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package clitest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/controllers/cli/expect"
)

const samples = "../../../config/samples/"

// TestSamples: each sample has a file of expectations, which hold with the sample, and fail without it.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob(samples + "*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if name == "kustomization.yaml" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			expectations := samples + "expectations/" + name
			if code, out, messages := run(t, expect.Run, "", "-f", file, "-f", expectations); code != 0 {
				t.Errorf("exit %d: %s%s", code, messages, failures(out))
			}
			if code, _, _ := run(t, expect.Run, "", "-f", expectations); code != 1 {
				t.Errorf("without the sample: exit %d, want 1: it expects nothing of it", code)
			}
		})
	}
	extra, err := os.ReadDir(samples + "expectations")
	if err != nil || len(extra) != len(files)-1 {
		t.Errorf("%d files of expectations for %d samples: %v", len(extra), len(files)-1, err)
	}
}

// failures are what is wrong in an output, without what is right.
func failures(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "Passed") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
