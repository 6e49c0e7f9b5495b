// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// cluster is what was read of one. The zero value is no cluster.
type cluster struct {
	baselines  []v1alpha1.NetworkBaseline
	namespaces []namespace
	facts      policy.Facts
	policies   map[string][]networkingv1.NetworkPolicy // by namespace
}

// readCluster lists what the operator would watch. It writes nothing.
func readCluster(ctx context.Context, kubeconfig string) (cluster, error) {
	var out cluster
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return out, fmt.Errorf("building the scheme: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return out, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	reader, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return out, fmt.Errorf("reaching the cluster of kubeconfig %s: %w", kubeconfig, err)
	}
	var baselines v1alpha1.NetworkBaselineList
	// Before the CRD is installed there are none.
	if err := reader.List(ctx, &baselines); err != nil && !meta.IsNoMatchError(err) {
		return out, fmt.Errorf("listing NetworkBaselines: %w", err)
	}
	out.baselines = baselines.Items
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := reader.List(ctx, namespaces); err != nil {
		return out, fmt.Errorf("listing Namespaces: %w", err)
	}
	for i := range namespaces.Items {
		if ns := &namespaces.Items[i]; ns.DeletionTimestamp == nil {
			out.namespaces = append(out.namespaces, newNamespace(ns.Name, ns.Labels))
		}
	}
	var policies networkingv1.NetworkPolicyList
	if err := reader.List(ctx, &policies); err != nil {
		return out, fmt.Errorf("listing NetworkPolicies: %w", err)
	}
	out.policies = map[string][]networkingv1.NetworkPolicy{}
	for _, p := range policies.Items {
		out.policies[p.Namespace] = append(out.policies[p.Namespace], p)
	}
	tracker := facts.NewTracker(reader)
	if _, _, err := tracker.Refresh(ctx); err != nil {
		return out, fmt.Errorf("looking for the cluster's DNS and API server: %w", err)
	}
	out.facts, _ = tracker.Current(ctx)
	return out, nil
}

// madeUpUID marks the baselines that no cluster knows.
const madeUpUID = "preview-of-"

// with returns the cluster's baselines with those of the files in place of theirs, as if they had just been applied.
func (c *cluster) with(declared []v1alpha1.NetworkBaseline) []v1alpha1.NetworkBaseline {
	known := map[string]*v1alpha1.NetworkBaseline{}
	for i := range c.baselines {
		known[c.baselines[i].Name] = &c.baselines[i]
	}
	var out []v1alpha1.NetworkBaseline
	for _, b := range declared {
		b.UID = types.UID(madeUpUID + b.Name)
		if live := known[b.Name]; live != nil {
			b.ObjectMeta = live.ObjectMeta
			delete(known, b.Name)
		}
		out = append(out, b)
	}
	for i := range c.baselines {
		if known[c.baselines[i].Name] != nil {
			out = append(out, c.baselines[i])
		}
	}
	return out
}
