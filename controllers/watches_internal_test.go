// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

var somewhen = metav1.NewTime(time.Unix(1, 0))

func TestNamespaceChanged(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*metav1.PartialObjectMetadata)
		want   bool
	}{
		{"nothing", func(*metav1.PartialObjectMetadata) {}, false},
		{"only the version", func(m *metav1.PartialObjectMetadata) { m.ResourceVersion = "2" }, false},
		{"an annotation", func(m *metav1.PartialObjectMetadata) { m.Annotations = map[string]string{"a": "b"} }, false},
		{"a label's value", func(m *metav1.PartialObjectMetadata) { m.Labels = map[string]string{"env": "test"} }, true},
		{"a label gone", func(m *metav1.PartialObjectMetadata) { m.Labels = nil }, true},
		{"terminating", func(m *metav1.PartialObjectMetadata) { m.DeletionTimestamp = &somewhen }, true},
	} {
		before := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "shop", ResourceVersion: "1", Labels: map[string]string{"env": "prod"}}}
		after := before.DeepCopy()
		test.change(after)
		if got := namespaceChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
	some := &metav1.PartialObjectMetadata{}
	if !namespaceChanged().Create(event.CreateEvent{Object: some}) || !namespaceChanged().Delete(event.DeleteEvent{Object: some}) {
		t.Error("a namespace that comes or goes wakes nobody")
	}
}

func TestPolicyChanged(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*networkingv1.NetworkPolicy)
		want   bool
	}{
		{"nothing", func(*networkingv1.NetworkPolicy) {}, false},
		{"only the version", func(p *networkingv1.NetworkPolicy) { p.ResourceVersion = "2" }, false},
		{"managedFields", func(p *networkingv1.NetworkPolicy) {
			p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		}, false},
		{"somebody's annotation", func(p *networkingv1.NetworkPolicy) { p.Annotations["example.com/a"] = "b" }, false},
		{"our annotation", func(p *networkingv1.NetworkPolicy) { p.Annotations["netbaseline.io/description"] = "x" }, true},
		{"our annotation gone", func(p *networkingv1.NetworkPolicy) { p.Annotations = nil }, true},
		{"the spec", func(p *networkingv1.NetworkPolicy) { p.Generation = 2 }, true},
		{"a label", func(p *networkingv1.NetworkPolicy) { p.Labels = map[string]string{"a": "c"} }, true},
		{"the owner", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil }, true},
		{"terminating", func(p *networkingv1.NetworkPolicy) { p.DeletionTimestamp = &somewhen }, true},
		{"another of the same name", func(p *networkingv1.NetworkPolicy) { p.UID = "other" }, true},
	} {
		before := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
			Name: "deny", UID: "a", ResourceVersion: "1", Generation: 1, Labels: map[string]string{"a": "b"},
			Annotations:     map[string]string{"netbaseline.io/description": "Denies."},
			OwnerReferences: []metav1.OwnerReference{{Kind: "NetworkBaseline", UID: "u"}},
		}}
		after := before.DeepCopy()
		test.change(after)
		if got := policyChanged(before, after); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
		if got := policyChanged(after, before); got != test.want {
			t.Errorf("%s, backwards: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestBaselineChanged(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.NetworkBaseline)
		want   bool
	}{
		{"nothing", func(*v1alpha1.NetworkBaseline) {}, false},
		{"status", func(b *v1alpha1.NetworkBaseline) { b.Status.ObservedGeneration = 7; b.ResourceVersion = "2" }, false},
		{"a label", func(b *v1alpha1.NetworkBaseline) { b.Labels = map[string]string{"a": "b"} }, false},
		{"somebody's finalizer", func(b *v1alpha1.NetworkBaseline) { b.Finalizers = append(b.Finalizers, "example.com/hold") }, false},
		{"the spec", func(b *v1alpha1.NetworkBaseline) { b.Generation = 2 }, true},
		{"our finalizer", func(b *v1alpha1.NetworkBaseline) { b.Finalizers = nil }, true},
		{"deleted", func(b *v1alpha1.NetworkBaseline) { b.DeletionTimestamp = &somewhen }, true},
		{"another of the same name", func(b *v1alpha1.NetworkBaseline) { b.UID = "other" }, true},
	} {
		before := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{
			Name: "production", UID: "u", ResourceVersion: "1", Generation: 1, Finalizers: []string{"netbaseline.io/ordered-removal"},
		}}
		after := before.DeepCopy()
		test.change(after)
		if got := baselineChanged(before, after); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

// newReader is a cache that holds the objects.
func newReader(t *testing.T, objects ...client.Object) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&networkingv1.NetworkPolicy{}, ownerUIDIndex, ownerUIDs).Build()
}

func named(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func selectingBaseline(uid, environment string) *v1alpha1.NetworkBaseline {
	b := &v1alpha1.NetworkBaseline{}
	b.Name, b.UID = "production", "u"
	if uid != "" {
		b.UID = "other"
	}
	b.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"environment": v1alpha1.LabelValue(environment)}
	return b
}

func TestConcernedNamespaces(t *testing.T) {
	owned := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "left", Name: "deny",
		OwnerReferences: []metav1.OwnerReference{{Kind: "NetworkBaseline", UID: "u"}}}}
	foreign := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "foreign", Name: "deny",
		OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", UID: "u"}}}}
	reader := newReader(t, owned, foreign,
		named("shop", map[string]string{"environment": "prod"}), named("blog", map[string]string{"environment": "prod"}),
		named("lab", map[string]string{"environment": "test"}), named("left", nil), named("foreign", nil),
		named("kube-system", map[string]string{"environment": "prod"}))
	invalid := selectingBaseline("", "prod")
	invalid.Spec.NamespaceSelector.MatchExpressions = []v1alpha1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}

	for _, test := range []struct {
		name      string
		baselines []client.Object
		want      []string
	}{
		{"selected ones, and those that hold its policies, but no protected one", []client.Object{selectingBaseline("", "prod")}, []string{"blog", "left", "shop"}},
		{"before and after a change", []client.Object{selectingBaseline("", "prod"), selectingBaseline("", "test")}, []string{"blog", "lab", "left", "shop"}},
		{"another baseline", []client.Object{selectingBaseline("other", "test")}, []string{"lab"}},
		{"a selector that does not compile: what it holds", []client.Object{invalid}, []string{"left"}},
		{"something else", []client.Object{owned}, nil},
	} {
		var got []string
		for _, request := range concernedNamespaces(t.Context(), reader, policy.Protection{"kube-system"}, test.baselines...) {
			got = append(got, request.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func newQueue(t *testing.T) priorityqueue.PriorityQueue[reconcile.Request] {
	t.Helper()
	q := priorityqueue.New[reconcile.Request](t.Name())
	t.Cleanup(q.ShutDown)
	return q
}

// next takes the next request out of a queue.
func next(q priorityqueue.PriorityQueue[reconcile.Request]) (name string, priority int) {
	request, priority, _ := q.GetWithPriority()
	q.Done(request)
	return request.Name, priority
}

func TestDriftOvertakesTheBacklog(t *testing.T) {
	q := newQueue(t)
	reader := newReader(t, named("blog", map[string]string{"environment": "prod"}))
	baselineEvents(reader, nil).Create(t.Context(), event.CreateEvent{Object: selectingBaseline("", "prod")}, q)
	policyEvents(newInflight()).Delete(t.Context(), event.DeleteEvent{Object: versioned("a", "1")}, q)
	for _, want := range []string{"shop", "blog"} {
		if got, priority := next(q); got != want {
			t.Errorf("%s at priority %d, want %s", got, priority, want)
		}
	}
}

func TestPolicyEvents(t *testing.T) {
	ctx := context.Background()
	created := func(f *inflight, q queue) {
		policyEvents(f).Create(ctx, event.CreateEvent{Object: versioned("a", "5")}, q)
	}
	changed := func(f *inflight, q queue) {
		now := versioned("a", "5")
		now.Generation = 2
		policyEvents(f).Update(ctx, event.UpdateEvent{ObjectOld: versioned("a", "4"), ObjectNew: now}, q)
	}
	touched := func(f *inflight, q queue) {
		policyEvents(f).Update(ctx, event.UpdateEvent{ObjectOld: versioned("a", "4"), ObjectNew: versioned("a", "5")}, q)
	}
	deleted := func(f *inflight, q queue) {
		policyEvents(f).Delete(ctx, event.DeleteEvent{Object: versioned("a", "5")}, q)
	}
	foreign := func(f *inflight, q queue) {
		other := versioned("b", "6")
		other.Name = "other"
		policyEvents(f).Create(ctx, event.CreateEvent{Object: other}, q)
	}
	idle := func(*inflight) {}
	writing := func(f *inflight) { f.wrote(versioned("a", "5"), inCache(nil)) }
	written := func(f *inflight) { writing(f); f.wroteAll("shop") }
	for _, test := range []struct {
		name  string
		of    func(*inflight)
		do    func(*inflight, queue)
		wakes bool
	}{
		{"created", idle, created, true},
		{"changed", idle, changed, true},
		{"changed in nothing that counts", idle, touched, false},
		{"deleted", idle, deleted, true},
		{"our last write comes back: later", written, created, false},
		{"our last write comes back, and somebody wrote before", func(f *inflight) { written(f); f.seen(versioned("b", "4"), false) }, touched, true},
		{"our last write comes back, deleted by somebody", written, deleted, true},
		{"our write comes back while others are to follow", writing, created, false},
		{"somebody's, while ours is to come back", written, foreign, true},
		{"somebody's, while we write", writing, foreign, true},
		{"somebody's, when ours has come back", func(f *inflight) { written(f); f.seen(versioned("a", "5"), false) }, foreign, true},
	} {
		q, f := newQueue(t), newInflight()
		test.of(f)
		test.do(f, q)
		q.Add(reconcile.Request{}) // Get would wait for ever
		got, _ := next(q)
		if (got == "shop") != test.wakes {
			t.Errorf("%s: woke %q, want that it wakes: %t", test.name, got, test.wakes)
		}
	}
}

func TestOwnWritesAreVerifiedBehindTheBacklog(t *testing.T) {
	q, f := newQueue(t), newInflight()
	f.wrote(versioned("a", "5"), inCache(nil))
	f.wroteAll("shop")
	policyEvents(f).Create(context.Background(), event.CreateEvent{Object: versioned("a", "5")}, q)
	if got, priority := next(q); got != "shop" || priority != backlogPriority {
		t.Errorf("woke %q at priority %d, want shop at %d", got, priority, backlogPriority)
	}
}

func TestBell(t *testing.T) {
	b := &bell{}
	b.ring("nobody listens yet")
	q := newQueue(t)
	if err := b.Start(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		b.ring("production")
	}
	b.ring("staging")
	var got []string
	for range 2 {
		name, _ := next(q)
		got = append(got, name)
	}
	slices.Sort(got)
	if want := []string{"production", "staging"}; !slices.Equal(got, want) || q.Len() != 0 {
		t.Errorf("woke %v and %d more, want %v once each", got, q.Len(), want)
	}
}

func TestOwnerUIDs(t *testing.T) {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{
		{Kind: "Deployment", UID: "d"}, {Kind: "NetworkBaseline", UID: "b"},
	}}}
	if got := ownerUIDs(p); !slices.Equal(got, []string{"b"}) {
		t.Errorf("indexed under %v", got)
	}
}
