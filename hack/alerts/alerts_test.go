// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

const (
	runbookURL = "https://github.com/netbaseline/netbaseline/blob/main/docs/runbook.md#"
	rulesTest  = "testdata/rules_test.yaml"
)

// promtool takes the spec of a PrometheusRule for a rule file.
func TestRulesFireWhenTheyShould(t *testing.T) {
	spec, err := yaml.Marshal(prometheusRule(t).Spec)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string]string{"rules.yaml": string(spec), "rules_test.yaml": read(t, rulesTest)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", filepath.Join(dir, "rules.yaml")},
		{"test", "rules", filepath.Join(dir, "rules_test.yaml")},
	} {
		promtool := exec.CommandContext(t.Context(), "go", append([]string{"tool", "promtool"}, args...)...) //nolint:gosec // our own arguments
		// Without service discovery, and with it the SDKs of the clouds, it builds in half the time.
		promtool.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -tags=remove_all_sd")
		if out, err := promtool.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args[:2], " "), err, out)
		}
	}
}

// A rule that no test sees fire, or stay silent, is not tested.
func TestEveryAlertIsTested(t *testing.T) {
	var tests struct {
		Tests []struct {
			Cases []struct {
				Alert string `json:"alertname"`
				Fires []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal([]byte(read(t, rulesTest)), &tests); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, c := range test.Cases {
			if len(c.Fires) > 0 {
				fires[c.Alert] = true
			} else {
				silent[c.Alert] = true
			}
		}
	}
	for _, rule := range alerts(t) {
		if !fires[rule.Alert] || !silent[rule.Alert] {
			t.Errorf("%s: seen to fire is %v, seen to be silent %v", rule.Alert, fires[rule.Alert], silent[rule.Alert])
		}
	}
}

// Whoever is woken finds what it is, how bad it is, and what to do.
func TestAlertsLeadToTheRunbook(t *testing.T) {
	runbook := read(t, "../../docs/runbook.md")
	for _, rule := range alerts(t) {
		if severity := rule.Labels["severity"]; severity != "warning" && severity != "critical" {
			t.Errorf("%s: severity is %q", rule.Alert, severity)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s: no summary, or no description", rule.Alert)
		}
		if want := runbookURL + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %s, want %s", rule.Alert, rule.Annotations["runbook_url"], want)
		}
		if !strings.Contains(runbook, "\n### "+rule.Alert+"\n") {
			t.Errorf("docs/runbook.md has no heading \"### %s\"", rule.Alert)
		}
		if rule.For == nil {
			t.Errorf("%s: fires at the first sample", rule.Alert)
		}
	}
}

// What `kubectl apply -k` applies is what the Prometheus operator and Grafana's sidecar look for.
func TestKustomizations(t *testing.T) {
	objects := build(t, "config/prometheus")
	monitor := &monitoringv1.ServiceMonitor{}
	decode(t, objects["ServiceMonitor netbaseline-system/netbaseline-controller-manager-metrics"], monitor)
	decode(t, objects["PrometheusRule netbaseline-system/netbaseline-alerts"], &monitoringv1.PrometheusRule{})

	var service struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Spec struct {
			Ports []struct {
				Name string `json:"name"`
			} `json:"ports"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(build(t, "config/default")["Service netbaseline-system/netbaseline-controller-manager-metrics"], &service); err != nil {
		t.Fatal(err)
	}
	for key, value := range monitor.Spec.Selector.MatchLabels {
		if service.Metadata.Labels[key] != value {
			t.Errorf("the ServiceMonitor wants %s=%s, and the Service has %q", key, value, service.Metadata.Labels)
		}
	}
	if len(service.Spec.Ports) != 1 || len(monitor.Spec.Endpoints) != 1 || monitor.Spec.Endpoints[0].Port != service.Spec.Ports[0].Name {
		t.Errorf("the ServiceMonitor scrapes %+v, and the Service has the ports %+v", monitor.Spec.Endpoints, service.Spec.Ports)
	}

	var configMap struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal(build(t, "config/grafana")["ConfigMap netbaseline-system/netbaseline-dashboard"], &configMap); err != nil {
		t.Fatal(err)
	}
	if configMap.Metadata.Labels["grafana_dashboard"] != "1" || configMap.Data["netbaseline.json"] != read(t, dashboardFile) {
		t.Error("the ConfigMap is not what Grafana's sidecar looks for, or not the dashboard")
	}
}
