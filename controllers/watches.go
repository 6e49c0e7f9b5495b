// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/baseline"
	"github.com/netbaseline/netbaseline/controllers/list"
	"github.com/netbaseline/netbaseline/controllers/namespace"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/revision"
)

// queue is what handlers add requests to.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// backlogPriority is that of namespaces which come because a baseline changed: drift, at 0, overtakes them.
const backlogPriority = handler.LowPriority / 2

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

// ownerUIDs are the keys of baseline.OwnerUIDIndex.
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

// namespaceEvents wakes all baselines: a namespace that one selects is no longer in sync until it was looked at.
func namespaceEvents(reader client.Reader) handler.EventHandler {
	wake := func(ctx context.Context, q queue) {
		var baselines v1alpha1.NetworkBaselineList
		_ = reader.List(ctx, &baselines, client.UnsafeDisableDeepCopy) // a cache answers
		for i := range baselines.Items {
			q.AddAfter(requestFor(baselines.Items[i].Name), triggerDelay)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				wake(ctx, q)
			}
		},
		UpdateFunc: func(ctx context.Context, _ event.UpdateEvent, q queue) { wake(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { wake(ctx, q) },
	}
}

// policyEvents wakes the namespace of a policy, whoever's it is: names, stripped labels, effect and the metadata block depend
// on those of others. It also tells the records what the cache has seen. Of our own writes only the last to come back
// wakes, and if nothing else happened meanwhile there is no hurry.
func policyEvents(records *namespace.Records) handler.EventHandler {
	observed := func(q queue, o client.Object, gone, changed bool) {
		p, ok := o.(*networkingv1.NetworkPolicy)
		if !ok {
			return
		}
		request := requestFor(p.Namespace)
		switch records.Observed(p, gone) {
		case namespace.WakeNot:
		case namespace.WakeLater:
			addBacklog(q, namespace.VerifyDelay, []reconcile.Request{request})
		case namespace.WakeNow:
			q.Add(request)
		case namespace.WakeIfChanged:
			if changed {
				q.Add(request)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { observed(q, e.Object, false, true) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			observed(q, e.ObjectNew, false, policyChanged(e.ObjectOld, e.ObjectNew))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { observed(q, e.Object, true, true) },
	}
}

// policyChanged reports whether anything changed that a decision reads. A new UID means that a delete was missed.
func policyChanged(before, after client.Object) bool {
	return before.GetUID() != after.GetUID() ||
		before.GetGeneration() != after.GetGeneration() ||
		(before.GetDeletionTimestamp() == nil) != (after.GetDeletionTimestamp() == nil) ||
		!equality.Semantic.DeepEqual(before.GetLabels(), after.GetLabels()) ||
		!equality.Semantic.DeepEqual(before.GetOwnerReferences(), after.GetOwnerReferences()) ||
		before.GetAnnotations()[v1alpha1.DescriptionAnnotation] != after.GetAnnotations()[v1alpha1.DescriptionAnnotation]
}

// baselineEvents wakes the namespaces that a baseline selects or selected, and those that hold its policies.
func baselineEvents(reader client.Reader, revisions *revision.Store, protection policy.Protection) handler.EventHandler {
	wake := func(ctx context.Context, q queue, baselines ...client.Object) {
		addBacklog(q, 0, concernedNamespaces(ctx, reader, revisions, protection, baselines...))
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

// baselineChanged reports whether anything changed that decisions on namespaces read: the fields that act at once, and the
// revision in force. A new spec is read when it is admitted, or as long as none was.
func baselineChanged(before, after client.Object) bool {
	a, okA := before.(*v1alpha1.NetworkBaseline)
	b, okB := after.(*v1alpha1.NetworkBaseline)
	if !okA || !okB || a.UID != b.UID || (a.DeletionTimestamp == nil) != (b.DeletionTimestamp == nil) {
		return true
	}
	return revision.InForce(&a.Status) != revision.InForce(&b.Status) || revision.InForce(&b.Status) == "" && a.Generation != b.Generation ||
		a.Spec.Mode != b.Spec.Mode || a.Spec.DeletionPolicy != b.Spec.DeletionPolicy ||
		a.Spec.Mode == v1alpha1.ModeAudit && a.Generation != b.Generation ||
		!equality.Semantic.DeepEqual(a.Spec.ExcludedNamespaces, b.Spec.ExcludedNamespaces)
}

func concernedNamespaces(ctx context.Context, reader client.Reader, revisions *revision.Store, protection policy.Protection, baselines ...client.Object) []reconcile.Request {
	concerned := map[string]bool{}
	// A cache answers, and knows these kinds: it cannot fail but for a programming error, which the tests would show.
	namespaces, _ := list.Namespaces(ctx, reader)
	for _, o := range baselines {
		b, ok := o.(*v1alpha1.NetworkBaseline)
		if !ok {
			continue
		}
		var policies networkingv1.NetworkPolicyList
		_ = reader.List(ctx, &policies, client.MatchingFields{baseline.OwnerUIDIndex: string(b.UID)}, client.UnsafeDisableDeepCopy)
		for i := range policies.Items {
			concerned[policies.Items[i].Namespace] = true
		}
		observed := revisions.Observe(ctx, b)
		for i := range namespaces {
			ns := &namespaces[i]
			if observed.Selects(observed.Update, ns.Name, ns.Labels, protection) == policy.Selected ||
				observed.Selects(observed.Current, ns.Name, ns.Labels, protection) == policy.Selected {
				concerned[ns.Name] = true
			}
		}
	}
	requests := make([]reconcile.Request, 0, len(concerned))
	for name := range concerned {
		requests = append(requests, requestFor(name))
	}
	return requests
}
