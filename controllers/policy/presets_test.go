// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// enumOf reads the values of a string type from the marker that makes the API server accept them.
func enumOf(t *testing.T, typeName string) []string {
	t.Helper()
	source, err := os.ReadFile("../../api/v1alpha1/profile_types.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\+kubebuilder:validation:Enum=(\S+)\ntype ` + typeName + ` string`).FindSubmatch(source)
	if found == nil {
		t.Fatalf("no enum marker of type %s", typeName)
	}
	return strings.Split(string(found[1]), ";")
}

func TestPresets(t *testing.T) {
	checkPresets(t, ingressControllers, enumOf(t, "IngressController"))
	checkPresets(t, monitoringStacks, enumOf(t, "MonitoringStack"))
}

func checkPresets[N ~string](t *testing.T, table map[N]preset, enum []string) {
	t.Helper()
	if len(table) != len(enum) {
		t.Errorf("%d rows for %d values of the API", len(table), len(enum))
	}
	for _, name := range enum {
		row, ok := table[N(name)]
		if !ok || len(row.peers) == 0 || row.source == "" {
			t.Errorf("%s: got %+v, want peers and the source that they rest on", name, row)
		}
		for i := range row.peers {
			checkScope(t, name, &row.peers[i])
		}
	}
}

// checkScope makes sure that a peer is no gate that whoever may label a pod, in a namespace of their own, can walk
// through: pods are chosen within a namespace that is chosen, too.
func checkScope(t *testing.T, name string, p *v1alpha1.Peer) {
	t.Helper()
	switch {
	case p.CIDR != "":
		if p.NamespaceSelector != nil || p.PodSelector != nil {
			t.Errorf("%s: %s with selectors", name, p.CIDR)
		}
	case p.NamespaceSelector == nil || len(p.NamespaceSelector.MatchLabels) == 0:
		t.Errorf("%s: %s is not scoped to a namespace", name, compact(p))
	default:
		if _, err := p.NamespaceSelector.Selector(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.PodSelector.Selector(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The directory of facts, sections 3 to 5: what stands here was read in the source of these projects.
func TestPresetPeers(t *testing.T) {
	const ns = `"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":`
	for _, tc := range []struct{ name, got, want string }{
		{"DNS", compact(DefaultDNS[0].Peers), `[{` + ns + `"kube-system"}},"podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}]`},
		{"DNS ports", compact(DefaultDNS[0].Ports), `[{"protocol":"UDP","port":53},{"protocol":"TCP","port":53}]`},
		{"IngressNginx", compact(ingressControllers[v1alpha1.IngressNginx].peers), `[{` + ns + `"ingress-nginx"}},"podSelector":{"matchLabels":{"app.kubernetes.io/name":"ingress-nginx"}}}]`},
		{"GKELoadBalancer", compact(ingressControllers[v1alpha1.GKELoadBalancer].peers), `[{"cidr":"130.211.0.0/22"},{"cidr":"35.191.0.0/16"}]`},
		{"Prometheus", compact(monitoringStacks[v1alpha1.Prometheus].peers), `[{` + ns + `"monitoring"}},"podSelector":{"matchLabels":{"app.kubernetes.io/name":"prometheus"}}}]`},
	} {
		if tc.got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, tc.got, tc.want)
		}
	}
}
