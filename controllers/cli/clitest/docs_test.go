// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package clitest

import (
	"os"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/controllers/cli/expect"
	"github.com/netbaseline/netbaseline/controllers/cli/explain"
	"github.com/netbaseline/netbaseline/controllers/cli/impactcmd"
)

// files of the examples, by the names that the documentation gives them.
var files = map[string]string{
	"cluster.yaml":      clusterFile,
	"baseline.yaml":     baselineFile,
	"flows.jsonl":       flowFile,
	"expectations.yaml": "../expect/testdata/expectations.yaml",
}

// elision stands for lines that the documentation leaves out.
const elision = "…\n"

// TestDocumentation: what the documentation shows is what the commands print.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```console\n")[1:]
	if len(blocks) < 3 {
		t.Errorf("%d examples: want one of each command at least", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		prompt, shown, _ := strings.Cut(block, "\n")
		t.Run(prompt, func(t *testing.T) {
			got := example(t, strings.Fields(strings.TrimPrefix(prompt, "$ netbaseline ")))
			rest := got
			for i, part := range strings.Split(shown, elision) {
				at := strings.Index(rest, part)
				if at < 0 || i == 0 && at > 0 {
					t.Fatalf("it prints\n%s\nwithout this, or in another place:\n%s", got, part)
				}
				rest = rest[at+len(part):]
			}
			if rest != "" && !strings.HasSuffix(shown, elision) {
				t.Errorf("it also prints\n%s", rest)
			}
		})
	}
}

// example runs what the documentation shows, and returns what a terminal would.
func example(t *testing.T, args []string) string {
	t.Helper()
	for i, arg := range args {
		if file := files[arg]; file != "" {
			args[i] = file
		}
	}
	var out strings.Builder
	run := map[string]command{"explain": explain.Run, "test": expect.Run, "impact": impactcmd.Run}[args[0]]
	if run == nil {
		t.Fatalf("%q is no command", args[0])
	}
	run(t.Context(), args[1:], strings.NewReader(""), &out, &out)
	text := out.String()
	for name, file := range files {
		text = strings.ReplaceAll(text, file, name)
	}
	return text
}
