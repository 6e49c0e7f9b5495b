// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impactcmd

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/controllers/cli/clitest"
	"github.com/netbaseline/netbaseline/controllers/impact"
)

const (
	cluster  = "../explain/testdata/cluster.yaml"
	baseline = "../explain/testdata/baseline.yaml"
	flowFile = "testdata/flows.jsonl"
)

// run runs the command and returns its exit code, its output and its messages.
func run(t *testing.T, in string, args ...string) (code int, out, messages string) {
	t.Helper()
	return clitest.Run(t, Run, in, args...)
}

// TestGolden: each format, to the byte, of a file with everything that occurs in exports.
func TestGolden(t *testing.T) {
	for _, format := range impact.Formats {
		t.Run(format, func(t *testing.T) {
			code, out, messages := run(t, "", "--flows", flowFile, "-f", cluster, "-f", baseline, "-o", format)
			if code != 1 {
				t.Fatalf("exit %d: %s", code, messages)
			}
			clitest.Golden(t, "report.golden."+format, out)
			clitest.Golden(t, "report.golden.messages", messages)
		})
	}
}

// TestFlowsKeepWhatIsCut: with the suggested flows, nothing that they cover would be cut.
func TestFlowsKeepWhatIsCut(t *testing.T) {
	_, flows, _ := run(t, "", "--flows", flowFile, "-f", cluster, "-f", baseline, "-o", "flows")
	var suggested map[string]any
	if err := yaml.Unmarshal([]byte(flows), &suggested); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(baseline)
	if err != nil {
		t.Fatal(err)
	}
	var b map[string]any
	if err := yaml.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	b["spec"].(map[string]any)["flows"] = suggested["flows"]
	with, err := yaml.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	code, out, messages := run(t, string(with), "--flows", flowFile, "-f", cluster, "-f", "-", "-o", "json")
	var r impact.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err, messages)
	}
	if len(r.Cut) > 0 || code != 2 { // some of its lines are bad
		t.Errorf("exit %d, still cut: %s", code, out)
	}
}

// TestSources: standard input and gzip give the same report as the file.
func TestSources(t *testing.T) {
	text, err := os.ReadFile(flowFile)
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := run(t, "", "--flows", flowFile, "-f", cluster, "-f", baseline)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{"plain": string(text), "gzip": zipped.String()} {
		if _, got, messages := run(t, in, "--flows", "-", "-f", cluster, "-f", baseline); got != want {
			t.Errorf("%s: %s%s", name, got, messages)
		}
	}
	code, _, messages := run(t, zipped.String()[:zipped.Len()-100], "--flows", "-", "-f", cluster, "-f", baseline)
	if !strings.Contains(messages, "standard input:") || !strings.Contains(messages, "unexpected EOF") || code == 0 {
		t.Errorf("truncated gzip: exit %d: %s", code, messages)
	}
}

// TestExitCodes: what scripts see.
func TestExitCodes(t *testing.T) {
	const allowed = `{"source": "shop/web-0", "destination": "shop/api-7d4b9-x2x", "port": 8080}` + "\n"
	for _, tc := range []struct {
		name, in string
		args     []string
		code     int
		want     string
	}{
		{"nothing is cut", allowed, []string{"--flows", "-", "-f", cluster, "-f", baseline}, 0, "would cut none of 1 connection"},
		{"a bad line", allowed + "{\n", []string{"--flows", "-", "-f", cluster, "-f", baseline}, 2, "standard input:2: is truncated"},
		{"without a baseline", allowed, []string{"--flows", "-", "-f", cluster}, 0, "The policies would cut none"},
		{"no flows", "", []string{"-f", cluster}, 2, "write --flows flows.json"},
		{"no such file", "", []string{"--flows", "nowhere", "-f", cluster}, 2, "nowhere"},
		{"stdin twice", "", []string{"--flows", "-", "-f", "-"}, 2, "both read standard input"},
		{"an argument", "", []string{"--flows", "-", "-f", cluster, "x"}, 2, `unexpected argument "x"`},
		{"help", "", []string{"-h"}, 0, "Usage: netbaseline impact"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, messages := run(t, tc.in, tc.args...)
			if code != tc.code || !strings.Contains(out+messages, tc.want) {
				t.Errorf("exit %d, want %d and %q:\n%s%s", code, tc.code, tc.want, out, messages)
			}
		})
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
