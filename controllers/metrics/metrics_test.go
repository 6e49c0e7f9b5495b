// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

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
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/list"
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
		t.Errorf("docs/metrics.md documents %q, and the operator serves %q", list.SortedKeys(documented), list.SortedKeys(served))
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
}

// statusConstants are the declared conditions and reasons, from the source: a new one cannot be left out.
func statusConstants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "api", "v1alpha1", "status_types.go"), nil, 0)
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
	data, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A refused write is counted once with its verb, and once with its reason.
func TestCountWrite(t *testing.T) {
	CountWrite("create", "counted", "")
	CountWrite("create", "counted", "Quota")
	CountWrite("create", "counted", "Quota")
	defer Forget("counted")
	if got := valueOf(t, refusedTotal.WithLabelValues("counted", "Quota")); got != 2 {
		t.Errorf("%v writes were refused, want 2", got)
	}
	if ok, refused := valueOf(t, writesTotal.WithLabelValues("create", "ok")), valueOf(t, writesTotal.WithLabelValues("create", "refused")); ok != 1 || refused != 2 {
		t.Errorf("%v writes were done and %v refused, want 1 and 2", ok, refused)
	}
}

// A baseline has a series for each state, also at 0; none of them outlives it, and no other baseline loses one.
func TestSetBaselineAndForget(t *testing.T) {
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "production"}}
	other := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "staging"}}
	status := &v1alpha1.NetworkBaselineStatus{
		Namespaces: v1alpha1.NamespaceCounts{Selected: 9, InSync: 1, Pending: 2, Failed: 3, Waiting: 4, Protected: 5},
		Policies:   v1alpha1.PolicyCounts{Desired: 7, InSync: 6},
		Conditions: []metav1.Condition{{Type: "Ready", Status: "Unknown"}, {Type: "Effective", Status: "False"}},
	}
	before := map[string]int{}
	for _, c := range perBaseline {
		before[describe(c)] = seriesOf(c)
	}
	b.Spec.Mode = "Audit"
	SetBaseline(b, status, map[string]int{"OpenToEveryone": 8})
	b.Spec.Mode, other.Spec.Mode = "Enforce", "Enforce"
	SetBaseline(b, status, map[string]int{"OpenToEveryone": 8})
	SetBaseline(other, &v1alpha1.NetworkBaselineStatus{}, nil)
	CountRepair("production", "default-deny", "Deleted")
	CountWrite("update", "production", "Admission")
	for state, want := range map[string]float64{"inSync": 1, "pending": 2, "failed": 3, "waiting": 4, "protected": 5} {
		if got := valueOf(t, namespacesGauge.WithLabelValues("production", state)); got != want {
			t.Errorf("%v namespaces are %s, want %v", got, state, want)
		}
	}
	for condition, want := range map[[2]string]float64{
		{"Ready", "Unknown"}: 1, {"Ready", "True"}: 0, {"Ready", "False"}: 0, {"Effective", "False"}: 1, {"Preflight", "True"}: 0, {"Preflight", "False"}: 0,
	} {
		if got := valueOf(t, conditionGauge.WithLabelValues("production", condition[0], condition[1])); got != want {
			t.Errorf("condition %s=%s is %v, want %v", condition[0], condition[1], got, want)
		}
	}
	for reason, want := range map[string]float64{"OpenToEveryone": 8, "MetadataReopened": 0, "MetadataBlockWithheld": 0} {
		if got := valueOf(t, findingsGauge.WithLabelValues("production", reason)); got != want {
			t.Errorf("%v findings %s, want %v", got, reason, want)
		}
	}
	if got := seriesOf(baselineInfo); got != before[describe(baselineInfo)]+2 {
		t.Errorf("%d baselines have a mode, want one series each, also after a change of the mode", got)
	}
	Forget("production")
	if got := valueOf(t, baselineInfo.WithLabelValues("staging", "Enforce")); got != 1 {
		t.Error("another baseline lost its series")
	}
	Forget("staging")
	for _, c := range perBaseline {
		if got := seriesOf(c); got != before[describe(c)] {
			t.Errorf("%s: %d series are left of baselines that are gone", describe(c), got-before[describe(c)])
		}
	}
}

func describe(c prometheus.Collector) string {
	descriptions := make(chan *prometheus.Desc, 1)
	c.Describe(descriptions)
	return (<-descriptions).String()
}

func valueOf(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}

func seriesOf(c prometheus.Collector) int {
	series := make(chan prometheus.Metric, 1000)
	c.Collect(series)
	return len(series)
}
