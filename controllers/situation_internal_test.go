// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

func selecting(uid types.UID, generation int64, app string) *v1alpha1.NetworkBaseline {
	return &v1alpha1.NetworkBaseline{
		ObjectMeta: metav1.ObjectMeta{Name: "production", UID: uid, Generation: generation},
		Spec: v1alpha1.NetworkBaselineSpec{
			NamespaceSelector: v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": v1alpha1.LabelValue(app)}},
		},
	}
}

func TestSelectorsFollowTheGeneration(t *testing.T) {
	s := newSelectors(policy.Protection{"kube-system"})
	for _, test := range []struct {
		b    *v1alpha1.NetworkBaseline
		app  string
		want policy.Selection
	}{
		{selecting("a", 1, "shop"), "shop", policy.Selected},
		{selecting("a", 1, "shop"), "blog", policy.NotSelected},
		{selecting("a", 2, "blog"), "shop", policy.NotSelected},
		{selecting("a", 2, "blog"), "blog", policy.Selected},
		{selecting("b", 2, "shop"), "shop", policy.Selected},
		{selecting("c", 1, "not/a value"), "not/a value", policy.NotSelected},
	} {
		if got := s.of(test.b).Select("team", map[string]string{"app": test.app}); got != test.want {
			t.Errorf("%s at generation %d, namespace with app=%s: got %v, want %v", test.b.UID, test.b.Generation, test.app, got, test.want)
		}
	}
	if got := s.of(selecting("a", 2, "blog")).Select("kube-system", map[string]string{"app": "blog"}); got != policy.Protected {
		t.Errorf("kube-system: got %v, want that it is protected", got)
	}
	for i := range 3 * selectorsCapacity {
		s.of(selecting(types.UID(fmt.Sprint(i)), 1, "shop"))
	}
	if len(s.byUID) > selectorsCapacity {
		t.Errorf("it keeps %d selectors", len(s.byUID))
	}
}
