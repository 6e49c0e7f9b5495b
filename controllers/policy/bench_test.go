// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

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
	in := Input{Baselines: []*v1alpha1.NetworkBaseline{fullProfile()}}
	for b.Loop() {
		Render(in)
	}
}

func BenchmarkPlanInSync(b *testing.B) {
	rendered := Render(Input{Baselines: []*v1alpha1.NetworkBaseline{fullProfile()}})
	var live []*networkingv1.NetworkPolicy
	for i := range rendered.Policies {
		live = append(live, rendered.Policies[i].DeepCopy())
	}
	own := Ownership{Owners: map[types.UID]string{"uid-production": "production"}}
	for b.Loop() {
		if plan := NewPlan(rendered, own.Sort(live, rendered)); !plan.Empty() {
			b.Fatal("not in sync")
		}
	}
}

func BenchmarkPlanFresh(b *testing.B) {
	rendered := Render(Input{Baselines: []*v1alpha1.NetworkBaseline{fullProfile()}})
	own := Ownership{Owners: map[types.UID]string{"uid-production": "production"}}
	for b.Loop() {
		NewPlan(rendered, own.Sort(nil, rendered))
	}
}
