// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
)

// row says which objects of config/ go into which template.
type row struct {
	// folder is what kustomize builds.
	folder string
	// kinds of objects that the row takes; all when empty. The first row of a folder that fits takes the object, and one
	// that no row takes is an error: nothing that is added to config/ can be missing from the chart unnoticed.
	kinds []string
	// names, when there are any, that the row is limited to, as kustomize writes them.
	names []string
	// template is the file to write. Without one the object is left out: it is written by hand, or Helm's business.
	template string
	// when is the condition under which the objects are rendered: an expression of Helm's. Always when empty.
	when string
	// keep is the condition under which the objects survive an uninstall.
	keep string
	// labels is a value with further labels for the objects.
	labels string
	// replace puts values into the text of the template. Each pattern must match.
	replace []replacement
}

type replacement struct {
	pattern *regexp.Regexp
	with    string
}

// rows is the table. A further folder of config/ is a further row, with its value in values.yaml and values.schema.json.
var rows = []row{
	// Helm creates the namespace (--create-namespace).
	{folder: "config/default", kinds: []string{"Namespace"}},
	// Most of what a user of the chart wants to set is here; a test compares them with config/default.
	{folder: "config/default", kinds: []string{"ServiceAccount", "Deployment"}},
	{folder: "config/default", kinds: []string{"CustomResourceDefinition"}, template: "crds.yaml", when: ".Values.crds.enabled", keep: ".Values.crds.keep"},
	// With one replica it would block every drain.
	{folder: "config/default", kinds: []string{"PodDisruptionBudget"}, template: "pod-disruption-budget.yaml", when: "and .Values.podDisruptionBudget.enabled (gt (int .Values.replicas) 1)"},
	{folder: "config/default", kinds: []string{"Service"}, template: "metrics-service.yaml", when: ".Values.metrics.enabled"},
	{folder: "config/default", names: []string{"netbaseline-metrics-auth-role", "netbaseline-metrics-auth-rolebinding", "netbaseline-metrics-reader"}, template: "metrics-rbac.yaml", when: ".Values.metrics.enabled"},
	{folder: "config/default", kinds: []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}, template: "rbac.yaml"},

	{folder: "config/flow-control", template: "flow-control.yaml", when: ".Values.flowControl.enabled"},
	{folder: "config/network-policy", template: "network-policy.yaml", when: ".Values.networkPolicy.enabled"},
	{folder: "config/prometheus", kinds: []string{"ServiceMonitor"}, template: "service-monitor.yaml", when: "and .Values.metrics.enabled .Values.metrics.serviceMonitor.enabled", labels: ".Values.metrics.serviceMonitor.labels"},
	{folder: "config/prometheus", kinds: []string{"PrometheusRule"}, template: "prometheus-rule.yaml", when: "and .Values.metrics.enabled .Values.metrics.prometheusRule.enabled", labels: ".Values.metrics.prometheusRule.labels"},
	{folder: "config/grafana", template: "grafana-dashboard.yaml", when: "and .Values.metrics.enabled .Values.metrics.grafanaDashboard.enabled", labels: ".Values.metrics.grafanaDashboard.labels"},

	{folder: "config/guard", names: []string{"netbaseline-managed-policies"}, template: "guard-managed-policies.yaml", when: ".Values.guard.managedPolicies.enabled"},
	{folder: "config/guard", names: []string{"netbaseline-metadata"}, template: "guard-metadata.yaml", when: ".Values.guard.metadata.enabled", replace: []replacement{
		// Its list of protected namespaces is that of the flag.
		{regexp.MustCompile(`\^\((kube-system\|[^)]*)\|__namespace__\)\$`), `^({{ include "netbaseline.protectedPattern" (dict "list" .Values.protectedNamespaces "default" "$1") }}|__namespace__)$$`},
		{regexp.MustCompile(`validationActions:\n  - Deny\n`), "validationActions: {{ toJson .Values.guard.metadata.actions }}\n"},
	}},
}

func (r row) takes(o object) bool {
	return (len(r.kinds) == 0 || slices.Contains(r.kinds, o.GetKind())) && (len(r.names) == 0 || slices.Contains(r.names, o.GetName()))
}
