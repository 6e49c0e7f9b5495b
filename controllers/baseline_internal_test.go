// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// A status that was true before a restart stays, for a while, until all namespaces were looked at again; one that
// tells of a rollout goes on telling.
func TestHold(t *testing.T) {
	at := func(generation int64, conditionType string) v1alpha1.NetworkBaselineStatus {
		return v1alpha1.NetworkBaselineStatus{ObservedGeneration: generation, Conditions: []metav1.Condition{{Type: conditionType, Status: "True"}}}
	}
	for _, test := range []struct {
		name   string
		status v1alpha1.NetworkBaselineStatus
		unseen int32
		after  time.Duration
		want   bool
	}{
		{"all looked at", at(5, "Ready"), 0, 0, false},
		{"some not yet", at(5, "Ready"), 1, 0, true},
		{"some not yet, for long", at(5, "Ready"), 1, 29 * time.Second, true},
		{"some not yet, for too long", at(5, "Ready"), 1, 30 * time.Second, false},
		{"the spec changed", at(4, "Ready"), 1, 0, false},
		{"never written", at(-1, "Ready"), 1, 0, false},
		{"a rollout", at(5, "Reconciling"), 1, 0, false},
		{"stalled", at(5, "Stalled"), 1, 0, true},
	} {
		now := noon
		r := &BaselineReconciler{now: func() time.Time { return now }, held: map[types.UID]time.Time{}}
		b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Generation: 5}, Status: test.status}
		r.hold(b, view{unseen: test.unseen})
		now = now.Add(test.after)
		if got := r.hold(b, view{unseen: test.unseen}); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestGoverns(t *testing.T) {
	for _, test := range []struct {
		name                    string
		finalizer, holds, going bool
		want                    bool
	}{
		{"with its finalizer", true, false, false, true},
		{"before it has its finalizer", false, false, false, false},
		{"its finalizer was taken off", false, true, false, true},
		{"deleted", true, true, true, false},
		{"deleted, its finalizer off", false, true, true, false},
	} {
		b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "production", UID: "u"}}
		if test.finalizer {
			b.Finalizers = []string{"netbaseline.io/ordered-removal"}
		}
		if test.going {
			b.DeletionTimestamp = &somewhen
		}
		s := &situation{}
		if test.holds {
			s.policies = append(s.policies, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
				OwnerReferences: []metav1.OwnerReference{{Kind: "NetworkBaseline", UID: "u"}},
			}})
		}
		if got := s.governs(b); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}
