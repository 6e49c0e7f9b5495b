// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers wires the two controllers of netbaseline: one makes a namespace hold its policies, one owns the life
// and the status of a baseline. What they decide is in package policy, which is pure.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/baseline"
	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/list"
	"github.com/netbaseline/netbaseline/controllers/metrics"
	"github.com/netbaseline/netbaseline/controllers/namespace"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/revision"
)

// Options are the settings of the controllers.
type Options struct {
	// Namespace is the operator's own. It keeps the revisions of baselines, and is protected.
	Namespace string
	// Protection lists the other namespaces that a selector alone never governs.
	Protection policy.Protection
	// Workers is the number of namespaces that converge at the same time; at least 1.
	Workers int
	// Version of the operator, for its metrics.
	Version string
}

// CacheOptions are what the controllers need of the manager's cache. own is the operator's namespace.
func CacheOptions(own string) cache.Options {
	uncopied := true
	few := map[string]cache.Config{}
	for _, name := range facts.Namespaces {
		few[name] = cache.Config{}
	}
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		&corev1.Service{}:             {Namespaces: few, Transform: cache.TransformStripManagedFields()},
		&discoveryv1.EndpointSlice{}:  {Namespaces: few, Transform: cache.TransformStripManagedFields()},
		&appsv1.ControllerRevision{}:  {Namespaces: map[string]cache.Config{own: {}}, Transform: cache.TransformStripManagedFields()},
		&networkingv1.NetworkPolicy{}: {Transform: namespace.SlimPolicy, UnsafeDisableDeepCopy: &uncopied},
		&corev1.Namespace{}:           {Transform: slimNamespace, UnsafeDisableDeepCopy: &uncopied},
	}}
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
	if o.Namespace == "" {
		return errors.New("the operator's own namespace is not set: set POD_NAMESPACE, or --operator-namespace")
	}
	if err := o.Protection.Validate(); err != nil {
		return err
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &networkingv1.NetworkPolicy{}, baseline.OwnerUIDIndex, ownerUIDs); err != nil {
		return fmt.Errorf("indexing policies by owner: %w", err)
	}
	metrics.SetBuildInfo(o.Version)
	c, protection := mgr.GetClient(), append(policy.Protection{o.Namespace}, o.Protection...)
	revisions := revision.NewStore(c, o.Namespace)
	tracker := facts.NewTracker(c)
	toBaselines, toNamespaces := &trigger{}, &trigger{}
	records := namespace.NewRecords(toBaselines.fire)
	watcher := facts.NewWatcher(tracker, func(ctx context.Context) { wakeAll(ctx, c, toBaselines, toNamespaces) })

	timed := options(o.Workers)
	timed.NewQueue = newTimedQueue(records, mgr.GetLogger())
	if err := ctrl.NewControllerManagedBy(mgr).Named("namespace").
		For(&corev1.Namespace{}, builder.OnlyMetadata, builder.WithPredicates(namespaceChanged())).
		Watches(&networkingv1.NetworkPolicy{}, policyEvents(records)).
		Watches(&v1alpha1.NetworkBaseline{}, baselineEvents(c, revisions, protection)).
		Watches(&corev1.Service{}, watcher.Events()).
		Watches(&discoveryv1.EndpointSlice{}, watcher.Events()).
		WatchesRawSource(toNamespaces).
		WithOptions(timed).
		Complete(namespace.New(c, protection, tracker, revisions, records, mgr.GetEventRecorder(policy.FieldManager))); err != nil {
		return fmt.Errorf("adding the namespace controller: %w", err)
	}
	if err := ctrl.NewControllerManagedBy(mgr).Named("baseline").
		For(&v1alpha1.NetworkBaseline{}).
		Owns(&appsv1.ControllerRevision{}).
		Watches(&corev1.Namespace{}, namespaceEvents(c), builder.OnlyMetadata, builder.WithPredicates(namespaceChanged())).
		WatchesRawSource(toBaselines).
		WithOptions(options(1)).
		Complete(baseline.New(c, mgr.GetAPIReader(), protection, tracker, revisions, records)); err != nil {
		return fmt.Errorf("adding the baseline controller: %w", err)
	}
	if err := mgr.AddReadyzCheck("synced", synced(mgr.GetCache())); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	return nil
}

// synced is ready when the caches are: a rollout of the operator must not stop the old leader before.
func synced(c cache.Cache) func(*http.Request) error {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the caches are not synced yet")
		}
		return nil
	}
}

// wakeAll wakes everything that is rendered from the facts.
func wakeAll(ctx context.Context, reader client.Reader, toBaselines, toNamespaces *trigger) {
	var baselines v1alpha1.NetworkBaselineList
	if err := reader.List(ctx, &baselines, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "Could not list baselines")
	}
	for i := range baselines.Items {
		toBaselines.fire(baselines.Items[i].Name)
	}
	namespaces, err := list.Namespaces(ctx, reader)
	if err != nil {
		log.FromContext(ctx).Error(err, "Could not list namespaces")
	}
	requests := make([]reconcile.Request, 0, len(namespaces))
	for i := range namespaces {
		requests = append(requests, requestFor(namespaces[i].Name))
	}
	toNamespaces.fireAll(requests)
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
