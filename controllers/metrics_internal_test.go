// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	documentedMetric = regexp.MustCompile("(?m)^### `(netbaseline_[a-z_]+)`\n\n(Counter|Gauge|Histogram)\\.(?: Labels: (.*)\\.)?\n\n> (.*)$")
	describedMetric  = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "([^"]*)"`)
)

// docs/metrics.md describes every metric as the operator serves it, which TestMetricsEndpoint records, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	documented, help := map[string]bool{}, map[string]string{}
	for _, entry := range documentedMetric.FindAllStringSubmatch(read(t, "docs", "metrics.md"), -1) {
		labels := strings.Split(strings.ReplaceAll(entry[3], "`", ""), ", ")
		slices.Sort(labels)
		documented[strings.TrimSpace(entry[1]+" "+strings.ToLower(entry[2])+" "+strings.Join(labels, ","))] = true
		help[entry[1]] = entry[4]
	}
	served := map[string]bool{}
	for line := range strings.Lines(read(t, "hack", "alerts", "testdata", "metrics.txt")) {
		if strings.HasPrefix(line, "netbaseline_") {
			served[strings.TrimSpace(line)] = true
		}
	}
	if !maps.Equal(documented, served) {
		t.Errorf("docs/metrics.md documents %q, and the operator serves %q", sortedKeys(documented), sortedKeys(served))
	}
	described := make(chan *prometheus.Desc, 100)
	for _, c := range collectors() {
		c.Describe(described)
	}
	close(described)
	registered := 0
	for desc := range described {
		registered++
		d := describedMetric.FindStringSubmatch(desc.String())
		if d == nil {
			t.Fatalf("cannot read %s", desc)
		}
		if help[d[1]] != d[2] {
			t.Errorf("%s: docs/metrics.md says %q, and its help %q", d[1], help[d[1]], d[2])
		}
	}
	if registered != len(served) {
		t.Errorf("%d metrics are registered, and %d served", registered, len(served))
	}
}

// docs/runbook.md has a heading for every reason that a condition or a problem may have, and for every condition.
func TestRunbookHasEveryReason(t *testing.T) {
	runbook := read(t, "docs", "runbook.md")
	for name, value := range statusConstants(t) {
		if !strings.Contains(runbook, "\n### "+value+"\n") {
			t.Errorf("docs/runbook.md has no heading \"### %s\" for %s", value, name)
		}
	}
	for _, r := range []refusal{refusalQuota, refusalAdmission, refusalRBAC, refusalConflict, refusalTerminating, refusalInvalid, refusalUnavailable, refusalOther} {
		if !strings.Contains(runbook, "| `"+string(r)+"` |") {
			t.Errorf("docs/runbook.md does not say what refusal %s means", r)
		}
	}
}

// statusConstants are the declared conditions and reasons, from the source: a new one cannot be left out.
func statusConstants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "api", "v1alpha1", "status_types.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if strings.HasPrefix(name.Name, "Reason") || strings.HasPrefix(name.Name, "Condition") {
				literal, ok := spec.Values[i].(*ast.BasicLit)
				if !ok {
					t.Fatalf("%s is no literal", name.Name)
				}
				if out[name.Name], err = strconv.Unquote(literal.Value); err != nil {
					t.Fatal(err)
				}
			}
		}
		return true
	})
	if len(out) < 20 {
		t.Fatalf("found only %v", out)
	}
	return out
}

// read is a file of the repository.
func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
