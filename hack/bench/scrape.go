// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

type families map[string]*dto.MetricFamily

func parseMetrics(r io.Reader) (families, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(r)
}

// sum adds up the values of a counter or gauge by the values of some labels, joined by a space, over the series that
// have the given values of others.
func (f families) sum(name string, where map[string]string, by ...string) map[string]int {
	out := map[string]int{}
	for _, m := range f[name].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		matches := true
		for k, v := range where {
			matches = matches && labels[k] == v
		}
		if !matches {
			continue
		}
		var key []string
		for _, l := range by {
			if labels[l] != "" {
				key = append(key, labels[l])
			}
		}
		out[strings.Join(key, " ")] += int(m.GetCounter().GetValue() + m.GetGauge().GetValue())
	}
	return out
}

// total is the sum of all series that match.
func (f families) total(name string, where map[string]string) int { return f.sum(name, where)[""] }

// minus is the growth of each count, without those that did not grow.
func minus(after, before map[string]int) map[string]int {
	out := maps.Clone(after)
	for k := range out {
		if out[k] -= before[k]; out[k] == 0 {
			delete(out, k)
		}
	}
	return out
}

// metrics reads the operator's own metrics.
func (o *operator) metrics(ctx context.Context) (families, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.metricsAddress+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // nothing is written
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the operator's metrics: %s", res.Status)
	}
	return parseMetrics(res.Body)
}

// requests are the API requests that the operator has made, by method.
func (o *operator) requests(ctx context.Context) (map[string]int, error) {
	f, err := o.metrics(ctx)
	return f.sum("rest_client_requests_total", nil, "method"), err
}

// touched are the resources that the operator may read or write.
var touched = map[string]bool{
	"networkpolicies": true, "networkbaselines": true, "namespaces": true, "pods": true, "services": true,
	"endpointslices": true, "events": true, "validatingwebhookconfigurations": true, "mutatingwebhookconfigurations": true,
	"apiservices": true, "customresourcedefinitions": true, "controllerrevisions": true,
}

// served are the requests that the API server has answered, by verb and resource. A watch counts when it ends.
func (s *scene) served(ctx context.Context) (map[string]int, error) {
	body, err := s.admin.Discovery().RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("the API server's metrics: %w", err)
	}
	defer body.Close() //nolint:errcheck // nothing is written
	f, err := parseMetrics(body)
	if err != nil {
		return nil, fmt.Errorf("the API server's metrics: %w", err)
	}
	out := f.sum("apiserver_request_total", nil, "verb", "resource", "subresource")
	maps.DeleteFunc(out, func(key string, _ int) bool {
		fields := strings.Fields(key)
		return len(fields) < 2 || !touched[fields[1]]
	})
	return out, nil
}
