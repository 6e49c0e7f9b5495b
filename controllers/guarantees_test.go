// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	guaranteeLine = regexp.MustCompile(`(?m)^## (\d+)\. `)
	testsLine     = regexp.MustCompile("(?m)^- `([a-z_/]+_test\\.go)`: (.*)$")
	testName      = regexp.MustCompile("`([^`]+)`")
)

// docs/guarantees.md names the tests that break when a guarantee does. They had better exist.
func TestGuaranteesNameTheirTests(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := guaranteeLine.Split(string(doc), -1)[1:]
	if len(sections) != 10 {
		t.Fatalf("%d guarantees, want the 10 of the design", len(sections))
	}
	for i, section := range sections {
		files := testsLine.FindAllStringSubmatch(section, -1)
		if len(files) == 0 {
			t.Errorf("guarantee %d names no test", i+1)
		}
		for _, file := range files {
			source, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file[1])))
			if err != nil {
				t.Errorf("guarantee %d: %v", i+1, err)
				continue
			}
			for _, name := range testName.FindAllStringSubmatch(file[2], -1) {
				if !strings.Contains(string(source), `It("`+name[1]+`"`) && !strings.Contains(string(source), "func "+name[1]+"(") {
					t.Errorf("guarantee %d: %s has no test %q", i+1, file[1], name[1])
				}
			}
		}
	}
}
