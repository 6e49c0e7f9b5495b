// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package suggest

import (
	"maps"
	"net/netip"
	"regexp"
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// TestPodLabels: which labels identify a workload.
func TestPodLabels(t *testing.T) {
	for _, tc := range []struct{ labels, want map[string]string }{
		{map[string]string{"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "a", "helm.sh/chart": "web-1"}, map[string]string{"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "a"}},
		{map[string]string{"app": "web", "version": "2", "pod-template-hash": "x"}, map[string]string{"app": "web"}},
		{map[string]string{"k8s-app": "kube-dns", "pod-template-hash": "x"}, map[string]string{"k8s-app": "kube-dns"}},
		{map[string]string{"tier": "front", "pod-template-hash": "x", "statefulset.kubernetes.io/pod-name": "a-0"}, map[string]string{"tier": "front"}},
		{map[string]string{"pod-template-hash": "x"}, nil},
		{nil, nil},
	} {
		if got := PodLabels(tc.labels); !maps.Equal(got, tc.want) {
			t.Errorf("%v: %v, want %v", tc.labels, got, tc.want)
		}
	}
}

var flowName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// TestFlowNames: names are such as the API accepts.
func TestFlowNames(t *testing.T) {
	ends := []End{
		{Namespace: "shop", Labels: map[string]string{"app": "Web_Front.End"}},
		{Namespace: "a-namespace-with-a-name-that-is-very-long-indeed-and-longer"},
		{Address: netip.MustParseAddr("2001:db8::1")},
		{Address: netip.MustParseAddr("::1")},
	}
	for _, from := range ends {
		for _, to := range ends {
			if name := FlowName(from, to); !flowName.MatchString(name) || len(name) > 40 {
				t.Errorf("%v to %v: %q", from, to, name)
			}
		}
	}
}

// TestFlowsYAML: the name comes first.
func TestFlowsYAML(t *testing.T) {
	flow := Flow(End{Namespace: "shop", Labels: map[string]string{"app": "web"}}, End{Address: netip.MustParseAddr("10.0.0.1")}, SortPorts([]Port{{"UDP", 53}, {"TCP", 80}, {"UDP", 53}}))
	got, err := FlowsYAML([]v1alpha1.Flow{flow})
	const want = `flows:
- name: web-to-10-0-0-1
  from:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: shop
    podSelector:
      matchLabels:
        app: web
  to:
    cidr: 10.0.0.1/32
  ports:
  - port: 80
  - port: 53
    protocol: UDP
`
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
}
