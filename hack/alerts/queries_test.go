// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const dashboardFile = "../../config/grafana/netbaseline.json"

// scraped are labels that Prometheus adds.
var scraped = []string{labels.MetricName, "job", "instance", "namespace", "pod"}

// served is a metric as the operator serves it.
type served struct {
	kind   string
	labels []string
}

// metrics are those of testdata/metrics.txt, each histogram as the three series that it is.
func metrics(t *testing.T) map[string]served {
	t.Helper()
	out := map[string]served{}
	for line := range strings.Lines(read(t, "testdata/metrics.txt")) {
		fields := append(strings.Fields(line), "")
		m := served{fields[1], strings.Split(fields[2], ",")}
		if m.kind != "histogram" {
			out[fields[0]] = m
			continue
		}
		out[fields[0]+"_bucket"] = served{"counter", append(slices.Clone(m.labels), labels.BucketLabel)}
		out[fields[0]+"_sum"], out[fields[0]+"_count"] = served{"counter", m.labels}, served{"counter", m.labels}
	}
	return out
}

// judge tells what of a query the operator does not serve, or what no one should ask for.
func judge(query string, known map[string]served) (problems []string) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return []string{err.Error()}
	}
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			m, ok := known[n.Name]
			if !ok {
				complain("the operator serves no %s", n.Name)
				return nil
			}
			for _, matcher := range n.LabelMatchers {
				if !slices.Contains(slices.Concat(m.labels, scraped), matcher.Name) {
					complain("%s has no label %s", n.Name, matcher.Name)
				}
			}
			if (m.kind == "counter") != ranged(path) {
				complain("%s is a %s: rate and increase are for counters, and counters need one of them", n.Name, m.kind)
			}
		case *parser.AggregateExpr:
			for _, label := range n.Grouping {
				if !slices.Contains(labelsOf(n.Expr, known), label) {
					complain("nothing in %s has a label %s", n, label)
				}
			}
		case *parser.BinaryExpr:
			if n.VectorMatching == nil {
				return nil
			}
			for _, label := range n.VectorMatching.MatchingLabels {
				if !slices.Contains(labelsOf(n.LHS, known), label) || !slices.Contains(labelsOf(n.RHS, known), label) {
					complain("one side of %s has no label %s", n, label)
				}
			}
		}
		return nil
	})
	return problems
}

// labelsOf are those that the result of an expression may have.
func labelsOf(node parser.Node, known map[string]served) []string {
	switch n := node.(type) {
	case *parser.VectorSelector:
		return slices.Concat(scraped, known[n.Name].labels)
	case *parser.AggregateExpr:
		if !n.Without {
			return n.Grouping
		}
	}
	var out []string
	for child := range parser.ChildrenIter(node) {
		out = append(out, labelsOf(child, known)...)
	}
	return out
}

// ranged says whether a selector is that of a range, as rate and increase take it.
func ranged(path []parser.Node) bool {
	return slices.ContainsFunc(path, func(n parser.Node) bool {
		_, ok := n.(*parser.MatrixSelector)
		return ok
	})
}

func TestRulesAskForWhatIsServed(t *testing.T) {
	known := metrics(t)
	for _, rule := range alerts(t) {
		for _, problem := range judge(rule.Expr.String(), known) {
			t.Errorf("%s: %s", rule.Alert, problem)
		}
	}
}

// dashboard is what of a Grafana dashboard matters here.
type dashboard struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID      int    `json:"id"`
		Title   string `json:"title"`
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// What Grafana fills in before it asks.
var filledIn = strings.NewReplacer("$__rate_interval", "5m", "$baseline", ".*")

func TestDashboardAsksForWhatIsServed(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	known, shown, ids := metrics(t), "", map[int]bool{}
	for _, panel := range d.Panels {
		if ids[panel.ID] || panel.Title == "" || len(panel.Targets) == 0 || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %d %q: its id is taken, or it has no title or query, or it does not fit", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			shown += target.Expr
			for _, problem := range judge(filledIn.Replace(target.Expr), known) {
				t.Errorf("%s: %s", panel.Title, problem)
			}
		}
	}
	for name := range known {
		base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
		if strings.HasPrefix(name, "netbaseline_") && !strings.Contains(shown, base) {
			t.Errorf("no panel shows %s", name)
		}
	}
	for _, v := range d.Templating.List {
		if v.Name == "baseline" && v.Definition != "label_values(netbaseline_baseline_info, baseline)" {
			t.Errorf("variable baseline is %s", v.Definition)
		}
	}
}

func TestJudge(t *testing.T) {
	known := map[string]served{"up": {"gauge", []string{"zone"}}, "hits_total": {"counter", []string{"code"}}}
	for query, want := range map[string]string{
		`sum by (zone) (up{job="a"})`:                       "",
		`sum by (code) (rate(hits_total{code=~"5.."}[5m]))`: "",
		`up and on (job) up`:                                "",
		`up{`:                                               "parse error",
		`down`:                                              "serves no down",
		`up{code="200"}`:                                    "up has no label code",
		`sum by (code) (up)`:                                "has a label code",
		`sum by (zone) (max by (job) (up))`:                 "has a label zone",
		`up and on (code) hits_total`:                       "has no label code",
		`hits_total`:                                        "hits_total is a counter",
		`rate(up[5m])`:                                      "up is a gauge",
	} {
		got := strings.Join(judge(query, known), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
