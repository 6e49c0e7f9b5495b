// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package alerts tests config/prometheus and config/grafana: promtool runs the rules, Prometheus' parser reads every
// query, and no query asks for a metric or a label that the operator does not serve.
//
//	testdata/rules_test.yaml  when each alert fires, and when not
//	testdata/metrics.txt      what a running operator serves, recorded by TestMetricsEndpoint of the main module
package alerts
