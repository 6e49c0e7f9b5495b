// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"fmt"
	"maps"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// labelledPolicy is a policy that selects the pods of an app and belongs to a component.
func labelledPolicy(namespace, app, component string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "deny", Labels: map[string]string{v1alpha1.ComponentLabel: component},
			Annotations:     map[string]string{v1alpha1.DescriptionAnnotation: "of " + component},
			OwnerReferences: []metav1.OwnerReference{{Kind: "NetworkBaseline", UID: "a"}},
		},
		Spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
	}
}

func TestInternerSharesWhatIsAlike(t *testing.T) {
	i := newInterner()
	first, second := labelledPolicy("shop", "web", "deny"), labelledPolicy("blog", "web", "deny")
	otherSpec, otherMeta := labelledPolicy("blog", "db", "deny"), labelledPolicy("blog", "web", "dns")
	for _, p := range []*networkingv1.NetworkPolicy{first, second, otherSpec, otherMeta} {
		before := p.DeepCopy()
		i.share(p)
		if !equality.Semantic.DeepEqual(before, p) {
			t.Errorf("got %v, want it as it was: %v", p, before)
		}
	}
	// Maps are the same when a change of the one shows in the other.
	first.Labels["mark"], first.Spec.PodSelector.MatchLabels["mark"] = "", ""
	if !maps.Equal(first.Labels, second.Labels) || !maps.Equal(first.Spec.PodSelector.MatchLabels, second.Spec.PodSelector.MatchLabels) {
		t.Error("two policies that are alike share nothing")
	}
	if &first.OwnerReferences[0] != &second.OwnerReferences[0] {
		t.Error("two policies of one owner hold two references")
	}
	if _, marked := otherSpec.Spec.PodSelector.MatchLabels["mark"]; marked {
		t.Error("policies with different rules share them")
	}
	if _, marked := otherMeta.Labels["mark"]; marked {
		t.Error("policies with different labels share them")
	}
}

func TestInternerIsBounded(t *testing.T) {
	i := newInterner()
	for n := range 3 * internerCapacity {
		i.share(labelledPolicy("shop", fmt.Sprint(n), fmt.Sprint(n)))
	}
	if len(i.specs) > internerCapacity || len(i.metas) > internerCapacity {
		t.Errorf("it keeps %d and %d", len(i.specs), len(i.metas))
	}
}
