// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// queue is what handlers add requests to.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// backlogPriority is that of namespaces which come because a baseline changed: drift, at 0, overtakes them.
const backlogPriority = handler.LowPriority / 2

// verifyDelay puts the look that follows our own writes behind whatever waits already, and tells it from an event.
const verifyDelay = time.Millisecond

// ownerUIDIndex finds the policies of a baseline.
const ownerUIDIndex = "metadata.ownerReferences.uid"

func ownerUIDs(o client.Object) []string {
	var uids []string
	for _, ref := range o.GetOwnerReferences() {
		if ref.Kind == "NetworkBaseline" {
			uids = append(uids, string(ref.UID))
		}
	}
	return uids
}

// namespaceChanged passes what selection reads: labels, and whether the namespace is going.
func namespaceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
			(e.ObjectOld.GetDeletionTimestamp() == nil) != (e.ObjectNew.GetDeletionTimestamp() == nil)
	}}
}

// policyEvents wakes the namespace of a policy, whoever's it is: conflicts, stripped labels and the metadata block
// depend on those of others. It also tells inflight what the cache has seen. Of our own writes only the last to
// come back wakes, and if nothing else happened meanwhile there is no hurry.
func policyEvents(inflight *inflight) handler.EventHandler {
	tell := func(q queue, o client.Object, gone, changed bool) {
		p, ok := o.(*networkingv1.NetworkPolicy)
		if !ok {
			return
		}
		request := reconcile.Request{NamespacedName: types.NamespacedName{Name: p.Namespace}}
		switch inflight.seen(p, gone) {
		case wakeNot:
		case wakeLater:
			addBacklog(q, verifyDelay, []reconcile.Request{request})
		case wakeNow:
			q.Add(request)
		case wakeIfChanged:
			if changed {
				q.Add(request)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { tell(q, e.Object, false, true) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			tell(q, e.ObjectNew, false, policyChanged(e.ObjectOld, e.ObjectNew))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { tell(q, e.Object, true, true) },
	}
}

// policyChanged says whether anything changed that convergence reads. A new UID means that a delete was missed.
func policyChanged(before, after client.Object) bool {
	return before.GetUID() != after.GetUID() ||
		before.GetGeneration() != after.GetGeneration() ||
		(before.GetDeletionTimestamp() == nil) != (after.GetDeletionTimestamp() == nil) ||
		!equality.Semantic.DeepEqual(before.GetLabels(), after.GetLabels()) ||
		!equality.Semantic.DeepEqual(before.GetOwnerReferences(), after.GetOwnerReferences()) ||
		before.GetAnnotations()[v1alpha1.DescriptionAnnotation] != after.GetAnnotations()[v1alpha1.DescriptionAnnotation]
}

// baselineEvents wakes the namespaces that a baseline selects or selected, and those that hold its policies.
func baselineEvents(reader client.Reader, protection policy.Protection) handler.EventHandler {
	wake := func(ctx context.Context, q queue, baselines ...client.Object) {
		addBacklog(q, 0, concernedNamespaces(ctx, reader, protection, baselines...))
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { wake(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if baselineChanged(e.ObjectOld, e.ObjectNew) {
				wake(ctx, q, e.ObjectOld, e.ObjectNew)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { wake(ctx, q, e.Object) },
	}
}

// baselineChanged says whether anything changed that a namespace's convergence reads; status is not.
func baselineChanged(before, after client.Object) bool {
	return before.GetUID() != after.GetUID() ||
		before.GetGeneration() != after.GetGeneration() ||
		(before.GetDeletionTimestamp() == nil) != (after.GetDeletionTimestamp() == nil) ||
		hasFinalizer(before) != hasFinalizer(after)
}

func concernedNamespaces(ctx context.Context, reader client.Reader, protection policy.Protection, baselines ...client.Object) []reconcile.Request {
	concerned := map[string]bool{}
	for _, o := range baselines {
		b, ok := o.(*v1alpha1.NetworkBaseline)
		if !ok {
			continue
		}
		// A cache answers, and knows both kinds: it cannot fail but for a programming error, which the tests would show.
		var policies networkingv1.NetworkPolicyList
		_ = reader.List(ctx, &policies, client.MatchingFields{ownerUIDIndex: string(b.UID)}, client.UnsafeDisableDeepCopy)
		for i := range policies.Items {
			concerned[policies.Items[i].Namespace] = true
		}
		selector, err := policy.NewSelector(&b.Spec, protection)
		if err != nil {
			continue
		}
		namespaces, _ := listNamespaces(ctx, reader)
		for i := range namespaces {
			if selector.Select(namespaces[i].Name, namespaces[i].Labels) == policy.Selected {
				concerned[namespaces[i].Name] = true
			}
		}
	}
	requests := make([]reconcile.Request, 0, len(concerned))
	for name := range concerned {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return requests
}

// listNamespaces returns the cached metadata of all namespaces. It is shared: never change it.
func listNamespaces(ctx context.Context, reader client.Reader) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// bell is a source through which one part of the operator wakes another: baselines when a namespace's outcome
// changes, namespaces when a baseline's preflight passes.
type bell struct{ q atomic.Pointer[queue] }

// bellDelay makes rings that are close to each other one.
const bellDelay = 20 * time.Millisecond

// Start implements source.Source.
func (b *bell) Start(_ context.Context, q queue) error {
	b.q.Store(&q)
	return nil
}

// ring wakes a request. Before its controller starts it does nothing: everything is looked at then anyway.
func (b *bell) ring(name string) {
	if q := b.q.Load(); q != nil {
		(*q).AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}, bellDelay)
	}
}

// ringAll wakes many requests that others may overtake.
func (b *bell) ringAll(requests []reconcile.Request) {
	if q := b.q.Load(); q != nil {
		addBacklog(*q, 0, requests)
	}
}

// addBacklog adds requests that drift overtakes.
func addBacklog(q queue, after time.Duration, requests []reconcile.Request) {
	pq, ok := q.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok {
		for _, request := range requests {
			q.AddAfter(request, after)
		}
		return
	}
	priority := backlogPriority
	pq.AddWithOpts(priorityqueue.AddOpts{Priority: &priority, After: after}, requests...)
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
