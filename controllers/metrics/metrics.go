// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics holds the operator's own metrics, beside those of controller-runtime.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// latencyBuckets are in seconds: from the one write of a repair, which takes milliseconds, to the backlog of a large
// cluster or a quota that somebody has to raise, which take minutes.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// The metrics of the operator, beside those of controller-runtime. None of them has a label with a namespace: their
// number must not grow with the cluster. docs/metrics.md documents each, with these words.
var (
	writesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "netbaseline_policy_writes_total",
		Help: "Writes of NetworkPolicies, by verb (create, update, delete) and result (ok, refused).",
	}, []string{"verb", "result"})
	refusedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "netbaseline_policy_writes_refused_total",
		Help: "Writes of NetworkPolicies that were refused, by baseline and reason (Quota, Admission, RBAC, Conflict, Terminating, Invalid, Unavailable, Altered, Budget, Other).",
	}, []string{"baseline", "reason"})
	repairsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "netbaseline_repairs_total",
		Help: "Generated NetworkPolicies put right after somebody else changed or deleted them, by baseline, component and action (Changed, Deleted).",
	}, []string{"baseline", "component", "action"})
	repairSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "netbaseline_repair_latency_seconds",
		Help:    "Time from the watch event by which the operator learned that a generated NetworkPolicy was changed or deleted to the API server's answer to the write that put it right.",
		Buckets: latencyBuckets,
	})
	convergenceSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "netbaseline_convergence_latency_seconds",
		Help:    "Time from the event that made a namespace want other NetworkPolicies (it is new, a baseline changed, a preflight passed) to the API server's answer to the last write, after which it holds exactly its policies.",
		Buckets: latencyBuckets,
	})
	namespacesGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_namespaces",
		Help: "Namespaces that a baseline selects, by state (inSync, pending, failed, waiting), and those left alone (protected).",
	}, []string{"baseline", "state"})
	policiesGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_policies",
		Help: "Generated NetworkPolicies of a baseline, by state (desired, inSync).",
	}, []string{"baseline", "state"})
	findingsGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_effect_findings",
		Help: "Findings of foreign NetworkPolicies that undo a baseline, by baseline and reason (MetadataReopened, OpenToEveryone, MetadataBlockWithheld).",
	}, []string{"baseline", "reason"})
	conditionGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_baseline_condition",
		Help: "Conditions of a baseline: 1 for the status (True, False, Unknown) that a condition has, 0 for the others, and for all of a condition that is absent.",
	}, []string{"baseline", "condition", "status"})
	baselineInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_baseline_info",
		Help: "A constant 1, with the mode (Enforce, Audit) of a baseline.",
	}, []string{"baseline", "mode"})
	buildInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "netbaseline_build_info",
		Help: "A constant 1, with the version of the operator and of Go that it was built with.",
	}, []string{"version", "go_version"})
)

// perBaseline are the metrics with a label baseline, whose series go with it.
var perBaseline = []interface {
	prometheus.Collector
	DeletePartialMatch(labels prometheus.Labels) int
}{refusedTotal, repairsTotal, namespacesGauge, policiesGauge, findingsGauge, conditionGauge, baselineInfo}

// collectors are all metrics that this package registers.
func collectors() []prometheus.Collector {
	all := []prometheus.Collector{writesTotal, repairSeconds, convergenceSeconds, buildInfo}
	for _, c := range perBaseline {
		all = append(all, c)
	}
	return all
}

func init() { metrics.Registry.MustRegister(collectors()...) }

// The values of labels of which a series exists also when it is 0, so that whoever subtracts or compares finds it.
var (
	conditionTypes = []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionEffective, v1alpha1.ConditionPreflight,
		v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled,
	}
	conditionStatuses = []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown}
	findingReasons    = []string{v1alpha1.ReasonMetadataReopened, v1alpha1.ReasonOpenToEveryone, v1alpha1.ReasonWithheld}
)

// SetBuildInfo shows the version of the operator.
func SetBuildInfo(version string) {
	buildInfo.WithLabelValues(version, runtime.Version()).Set(1)
}

// CountWrite counts the write of a policy; reason is why it failed, or "".
func CountWrite(verb, baseline, reason string) {
	if reason == "" {
		writesTotal.WithLabelValues(verb, "ok").Inc()
		return
	}
	writesTotal.WithLabelValues(verb, "refused").Inc()
	refusedTotal.WithLabelValues(baseline, reason).Inc()
}

// CountRepair counts the repair of a policy.
func CountRepair(baseline, component, action string) {
	repairsTotal.WithLabelValues(baseline, component, action).Inc()
}

// ObserveRepair and ObserveConvergence take the time from the event that woke a namespace to its last write.
func ObserveRepair(took time.Duration) { repairSeconds.Observe(took.Seconds()) }

// ObserveConvergence is like ObserveRepair.
func ObserveConvergence(took time.Duration) { convergenceSeconds.Observe(took.Seconds()) }

// SetBaseline shows a status. overrides are the findings of effect by reason, of which the status lists only a part.
func SetBaseline(baseline *v1alpha1.NetworkBaseline, status *v1alpha1.NetworkBaselineStatus, overrides map[string]int) {
	name, n := baseline.Name, status.Namespaces
	for s, value := range map[string]int32{
		"inSync": n.InSync, "pending": n.Pending, "failed": n.Failed, "waiting": n.Waiting, "protected": n.Protected,
	} {
		namespacesGauge.WithLabelValues(name, s).Set(float64(value))
	}
	policiesGauge.WithLabelValues(name, "desired").Set(float64(status.Policies.Desired))
	policiesGauge.WithLabelValues(name, "inSync").Set(float64(status.Policies.InSync))

	for _, mode := range []v1alpha1.Mode{v1alpha1.ModeEnforce, v1alpha1.ModeAudit} {
		if mode != baseline.Spec.Mode {
			baselineInfo.DeleteLabelValues(name, string(mode))
		}
	}
	baselineInfo.WithLabelValues(name, string(baseline.Spec.Mode)).Set(1)

	for _, conditionType := range conditionTypes {
		condition := meta.FindStatusCondition(status.Conditions, conditionType)
		for _, s := range conditionStatuses {
			conditionGauge.WithLabelValues(name, conditionType, string(s)).Set(oneIf(condition != nil && condition.Status == s))
		}
	}
	for _, reason := range findingReasons {
		findingsGauge.WithLabelValues(name, reason).Set(float64(overrides[reason]))
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Forget drops the series of a baseline that is gone.
func Forget(baseline string) {
	for _, m := range perBaseline {
		m.DeletePartialMatch(prometheus.Labels{"baseline": baseline})
	}
}
