// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// observe gathers what a decision on a namespace depends on; nil when it is gone. It reads from caches only.
func (r *Reconciler) observe(ctx context.Context, namespace string) (*policy.State, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.client.Get(ctx, types.NamespacedName{Name: namespace}, ns); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	var baselines v1alpha1.NetworkBaselineList
	if err := r.client.List(ctx, &baselines, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing baselines: %w", err)
	}
	var policies networkingv1.NetworkPolicyList
	if err := r.client.List(ctx, &policies, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing its policies: %w", err)
	}
	s := &policy.State{Namespace: NamespaceOf(ns), Protection: r.protection, Memo: r.memo}
	s.Facts, s.FactsVersion = r.facts.Current(ctx)
	for i := range baselines.Items {
		s.Baselines = append(s.Baselines, r.revisions.Observe(ctx, &baselines.Items[i]))
	}
	policy.SortBaselines(s.Baselines)
	for i := range policies.Items {
		s.Policies = append(s.Policies, &policies.Items[i])
	}
	return s, nil
}

// NamespaceOf is what decisions read of a namespace.
func NamespaceOf(ns *metav1.PartialObjectMetadata) policy.Namespace {
	return policy.Namespace{
		Name: ns.Name, Labels: ns.Labels, Created: ns.CreationTimestamp.Time, Terminating: ns.DeletionTimestamp != nil,
	}
}
