// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers holds the two controllers of netbaseline: one makes a namespace hold its policies, one owns
// the life and the status of a baseline. What they decide is in package policy, which is pure.
package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// Options are the settings of the controllers.
type Options struct {
	// Protection lists the namespaces that a selector alone never governs.
	Protection policy.Protection
	// Workers is the number of namespaces that converge at the same time; at least 1.
	Workers int
	// Version of the operator, for its metrics.
	Version string
}

// CacheOptions are what the controllers need of the manager's cache.
func CacheOptions() cache.Options {
	uncopied := true
	few := map[string]cache.Config{}
	for _, namespace := range facts.Namespaces {
		few[namespace] = cache.Config{}
	}
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		&corev1.Service{}:             {Namespaces: few, Transform: cache.TransformStripManagedFields()},
		&discoveryv1.EndpointSlice{}:  {Namespaces: few, Transform: cache.TransformStripManagedFields()},
		&networkingv1.NetworkPolicy{}: {Transform: slimPolicy, UnsafeDisableDeepCopy: &uncopied},
		&corev1.Namespace{}:           {Transform: slimNamespace, UnsafeDisableDeepCopy: &uncopied},
	}}
}

// slimPolicy drops what nobody reads, of managedFields all but who wrote when, and shares what others hold as well.
func slimPolicy(o any) (any, error) {
	if p, ok := o.(*networkingv1.NetworkPolicy); ok {
		for i := range p.ManagedFields {
			entry := &p.ManagedFields[i]
			*entry = metav1.ManagedFieldsEntry{Manager: entry.Manager, Operation: entry.Operation, Time: entry.Time}
		}
		shared.share(p)
	}
	return o, nil
}

// slimNamespace keeps the name, the labels and whether the namespace is going.
func slimNamespace(o any) (any, error) {
	if m, ok := o.(metav1.Object); ok {
		m.SetManagedFields(nil)
		m.SetAnnotations(nil)
	}
	return o, nil
}

// SetupWithManager adds both controllers to the manager.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := o.Protection.Validate(); err != nil {
		return err
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &networkingv1.NetworkPolicy{}, ownerUIDIndex, ownerUIDs); err != nil {
		return fmt.Errorf("indexing policies by owner: %w", err)
	}
	setBuildInfo(o.Version)
	baselineBell, namespaceBell := &bell{}, &bell{}
	outcomes := newOutcomes(baselineBell.ring)
	gate := newGate(func(b *v1alpha1.NetworkBaseline) {
		namespaceBell.ringAll(concernedNamespaces(ctx, mgr.GetClient(), o.Protection, b))
	})
	inflight := newInflight()
	tracker := facts.NewTracker(mgr.GetClient())
	follow := &follower{tracker: tracker, reader: mgr.GetClient(), baselines: baselineBell, namespaces: namespaceBell}

	namespaces := &NamespaceReconciler{
		client:    mgr.GetClient(),
		writer:    &writer{client: client.WithFieldOwner(mgr.GetClient(), policy.FieldManager), inflight: inflight},
		inflight:  inflight,
		renderer:  newRenderer(),
		outcomes:  outcomes,
		narrator:  newNarrator(mgr.GetEventRecorder(policy.FieldManager)),
		memory:    newMemory(),
		gate:      gate,
		facts:     tracker,
		selectors: newSelectors(o.Protection),
		stopwatch: newStopwatch(),
		now:       time.Now,
	}
	timed := options(o.Workers)
	timed.NewQueue = namespaces.stopwatch.queue(mgr.GetLogger())
	if err := ctrl.NewControllerManagedBy(mgr).Named("namespace").
		For(&corev1.Namespace{}, builder.OnlyMetadata, builder.WithPredicates(namespaceChanged())).
		Watches(&networkingv1.NetworkPolicy{}, policyEvents(inflight)).
		Watches(&v1alpha1.NetworkBaseline{}, baselineEvents(mgr.GetClient(), o.Protection)).
		Watches(&corev1.Service{}, follow.events()).
		Watches(&discoveryv1.EndpointSlice{}, follow.events()).
		WatchesRawSource(namespaceBell).
		WithOptions(timed).
		Complete(namespaces); err != nil {
		return fmt.Errorf("adding the namespace controller: %w", err)
	}

	baselines := &BaselineReconciler{
		client:         client.WithFieldOwner(mgr.GetClient(), policy.FieldManager),
		outcomes:       outcomes,
		gate:           gate,
		preflight:      &preflight{pods: mgr.GetAPIReader(), namespaces: mgr.GetClient()},
		facts:          tracker,
		infrastructure: &infrastructure{reader: mgr.GetAPIReader()},
		protection:     o.Protection,
		now:            time.Now,
		checks:         checks{},
		written:        map[types.UID]time.Time{},
		held:           map[types.UID]time.Time{},
	}
	if err := ctrl.NewControllerManagedBy(mgr).Named("baseline").
		For(&v1alpha1.NetworkBaseline{}).
		WatchesRawSource(baselineBell).
		WithOptions(options(1)).
		Complete(baselines); err != nil {
		return fmt.Errorf("adding the baseline controller: %w", err)
	}
	return nil
}

// options keep the caches of a standby warm, so that it takes over at once.
func options(workers int) controller.Options {
	warm := true
	return controller.Options{MaxConcurrentReconciles: workers, RateLimiter: backoff(), EnableWarmup: &warm}
}

// backoff is per item, so that one namespace's failures delay no other's work, and ends at a minute, so that a quota
// that was raised is noticed.
func backoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](100*time.Millisecond, time.Minute)
}
