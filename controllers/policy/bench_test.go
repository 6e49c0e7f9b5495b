// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// A watch event costs one namespace's compare; these are its parts.

func fullProfile() *v1alpha1.NetworkBaseline {
	b := &v1alpha1.NetworkBaseline{}
	b.Name, b.UID = "production", "uid-production"
	b.Spec.Profile = v1alpha1.Profile{
		DefaultDeny: &v1alpha1.DefaultDeny{}, AllowDNS: &v1alpha1.AllowDNS{}, BlockMetadata: &v1alpha1.BlockMetadata{},
		AllowIngressController: &v1alpha1.AllowIngressController{Controllers: []v1alpha1.IngressController{v1alpha1.IngressNginx}},
		AllowMonitoring:        &v1alpha1.AllowMonitoring{Stacks: []v1alpha1.MonitoringStack{v1alpha1.Prometheus}},
		AllowSameNamespace:     &v1alpha1.AllowSameNamespace{},
	}
	return b
}

func BenchmarkRender(b *testing.B) {
	in := Input{Contributions: enforcing(fullProfile())}
	for b.Loop() {
		Render(in)
	}
}

// BenchmarkDecideInSync is what a look costs when nothing has changed.
func BenchmarkDecideInSync(b *testing.B) {
	baselines := admitted([]*v1alpha1.NetworkBaseline{fullProfile()})
	c := holding(Render(Input{Contributions: enforcing(fullProfile())}))
	s := c.state(baselines, Facts{})
	s.Memo = &Memo{}
	for b.Loop() {
		if d := Decide(s); !d.Plan.Empty() {
			b.Fatalf("not in sync: %s", d.Plan)
		}
	}
}

// BenchmarkDecideFresh is what the first look at a namespace costs.
func BenchmarkDecideFresh(b *testing.B) {
	s := newCluster(network{}).state(admitted([]*v1alpha1.NetworkBaseline{fullProfile()}), Facts{})
	s.Memo = &Memo{}
	for b.Loop() {
		Decide(s)
	}
}
