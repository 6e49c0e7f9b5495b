// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// The metrics of the operator, beside those of controller-runtime. None of them has a label with a namespace: their
// number must not grow with the cluster.
var (
	writesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "netbaseline_policy_writes_total",
		Help: "Writes of NetworkPolicies, by verb (create, update, delete) and result (ok, refused).",
	}, []string{"verb", "result"})
	repairsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "netbaseline_repairs_total",
		Help: "Generated NetworkPolicies put right after somebody else changed or deleted them, by baseline, component and action (Changed, Deleted).",
	}, []string{"baseline", "component", "action"})
	namespacesGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_namespaces",
		Help: "Namespaces that a baseline selects, by state (inSync, pending, failed, conflicted), and those left alone (protected).",
	}, []string{"baseline", "state"})
	policiesGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_policies",
		Help: "Generated NetworkPolicies of a baseline, by state (desired, inSync).",
	}, []string{"baseline", "state"})
)

func init() {
	metrics.Registry.MustRegister(writesTotal, repairsTotal, namespacesGauge, policiesGauge)
}

func outcomeLabel(err error) string {
	if err != nil {
		return "refused"
	}
	return "ok"
}

func setMetrics(baseline string, status v1alpha1.NetworkBaselineStatus) {
	n := status.Namespaces
	for s, value := range map[string]int32{
		string(stateInSync): n.InSync, string(statePending): n.Pending, string(stateFailed): n.Failed,
		string(stateConflicted): n.Conflicted, "protected": n.Protected,
	} {
		namespacesGauge.WithLabelValues(baseline, s).Set(float64(value))
	}
	policiesGauge.WithLabelValues(baseline, "desired").Set(float64(status.Policies.Desired))
	policiesGauge.WithLabelValues(baseline, "inSync").Set(float64(status.Policies.InSync))
}

func forgetMetrics(baseline string) {
	of := prometheus.Labels{"baseline": baseline}
	namespacesGauge.DeletePartialMatch(of)
	policiesGauge.DeletePartialMatch(of)
	repairsTotal.DeletePartialMatch(of)
}
