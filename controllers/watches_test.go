// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/namespace"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/revision"
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
	rollout := &v1alpha1.RolloutStatus{Share: 100}
	fresh := func(b *v1alpha1.NetworkBaseline) { b.Status = v1alpha1.NetworkBaselineStatus{} }
	audits := func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }
	rolling := func(b *v1alpha1.NetworkBaseline) { b.Status.UpdateRevision, b.Status.Rollout = "r2", rollout }
	for _, test := range []struct {
		name   string
		from   func(*v1alpha1.NetworkBaseline)
		change func(*v1alpha1.NetworkBaseline)
		want   bool
	}{
		{"nothing", nil, func(*v1alpha1.NetworkBaseline) {}, false},
		{"status", nil, func(b *v1alpha1.NetworkBaseline) {
			b.Status.ObservedGeneration, b.Status.Namespaces.Selected, b.ResourceVersion = 7, 3, "2"
		}, false},
		{"a label", nil, func(b *v1alpha1.NetworkBaseline) { b.Labels = map[string]string{"a": "b"} }, false},
		{"finalizers", nil, func(b *v1alpha1.NetworkBaseline) { b.Finalizers = append(b.Finalizers, "example.com/hold") }, false},
		{"a spec that is not admitted", nil, func(b *v1alpha1.NetworkBaseline) { b.Generation = 2 }, false},
		{"a revision that is not admitted", nil, func(b *v1alpha1.NetworkBaseline) { b.Status.UpdateRevision = "r2" }, false},
		{"a revision that is admitted", nil, rolling, true},
		{"a revision that is everywhere", rolling, func(b *v1alpha1.NetworkBaseline) { b.Status.CurrentRevision, b.Status.Rollout = "r2", nil }, false},
		{"a revision that is reverted", rolling, func(b *v1alpha1.NetworkBaseline) { b.Status.UpdateRevision, b.Status.Rollout = "r1", nil }, true},
		{"the first spec changes before it is admitted", fresh, func(b *v1alpha1.NetworkBaseline) { b.Generation = 2 }, true},
		{"the first revision waits", fresh, func(b *v1alpha1.NetworkBaseline) { b.Status.UpdateRevision = "r1" }, false},
		{"the first revision is admitted", fresh, func(b *v1alpha1.NetworkBaseline) { b.Status.UpdateRevision, b.Status.Rollout = "r1", rollout }, true},
		{"the spec while it is audited", audits, func(b *v1alpha1.NetworkBaseline) { b.Generation = 2 }, true},
		{"mode", nil, audits, true},
		{"deletionPolicy", nil, func(b *v1alpha1.NetworkBaseline) { b.Spec.DeletionPolicy = "Retain" }, true},
		{"excludedNamespaces", nil, func(b *v1alpha1.NetworkBaseline) { b.Spec.ExcludedNamespaces = []v1alpha1.NamespaceName{"legacy"} }, true},
		{"preflight alone", nil, func(b *v1alpha1.NetworkBaseline) { b.Spec.Preflight = "Warn" }, false},
		{"deleted", nil, func(b *v1alpha1.NetworkBaseline) { b.DeletionTimestamp = &somewhen }, true},
		{"another of the same name", nil, func(b *v1alpha1.NetworkBaseline) { b.UID = "other" }, true},
	} {
		before := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{
			Name: "production", UID: "u", ResourceVersion: "1", Generation: 1, Finalizers: []string{"netbaseline.io/ordered-removal"},
		}}
		before.Spec.Mode = "Enforce"
		before.Status.CurrentRevision, before.Status.UpdateRevision = "r1", "r1"
		if test.from != nil {
			test.from(before)
		}
		after := before.DeepCopy()
		test.change(after)
		if got := baselineChanged(before, after); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
	if !baselineChanged(&v1alpha1.NetworkBaseline{}, &networkingv1.NetworkPolicy{}) {
		t.Error("what is no baseline wakes nobody")
	}
}

// reader is a cache that holds these objects.
type reader struct {
	client.Reader
	namespaces []metav1.PartialObjectMetadata
	policies   []networkingv1.NetworkPolicy
	baselines  []v1alpha1.NetworkBaseline
}

func (r *reader) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	switch l := list.(type) {
	case *metav1.PartialObjectMetadataList:
		l.Items = r.namespaces
	case *v1alpha1.NetworkBaselineList:
		l.Items = r.baselines
	case *networkingv1.NetworkPolicyList:
		for i := range r.policies {
			if o.FieldSelector == nil || slices.ContainsFunc(ownerUIDs(&r.policies[i]), func(uid string) bool {
				return o.FieldSelector.Matches(fields.Set{"metadata.ownerReferences.uid": uid})
			}) {
				l.Items = append(l.Items, r.policies[i])
			}
		}
	}
	return nil
}

func named(name string, labels map[string]string) metav1.PartialObjectMetadata {
	return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

func selectingBaseline(uid types.UID, environment string) *v1alpha1.NetworkBaseline {
	b := &v1alpha1.NetworkBaseline{}
	b.Name, b.UID, b.Generation = "production", uid, int64(len(environment)) // another spec is another generation
	b.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"environment": v1alpha1.LabelValue(environment)}
	return b
}

func TestConcernedNamespaces(t *testing.T) {
	owned := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "left", Name: "deny",
		OwnerReferences: []metav1.OwnerReference{{Kind: "NetworkBaseline", UID: "u"}}}}
	foreign := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "foreign", Name: "deny",
		OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", UID: "u"}}}}
	cache := &reader{policies: []networkingv1.NetworkPolicy{owned, foreign}, namespaces: []metav1.PartialObjectMetadata{
		named("shop", map[string]string{"environment": "prod"}), named("blog", map[string]string{"environment": "prod"}),
		named("lab", map[string]string{"environment": "testing"}), named("left", nil), named("foreign", nil),
		named("kube-system", map[string]string{"environment": "prod"}),
	}}
	revisions := revision.NewStore(nil, "netbaseline-system")
	before := selectingBaseline("u", "testing")
	current, err := revisions.Update(before)
	if err != nil {
		t.Fatal(err)
	}
	changed := selectingBaseline("u", "prod")
	changed.Status.CurrentRevision = current
	invalid := selectingBaseline("u", "prod")
	invalid.Generation = 99
	invalid.Spec.NamespaceSelector.MatchExpressions = []v1alpha1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}

	for _, test := range []struct {
		name      string
		baselines []client.Object
		want      []string
	}{
		{"selected ones, and those that hold its policies, but no protected one", []client.Object{selectingBaseline("u", "prod")}, []string{"blog", "left", "shop"}},
		{"before and after a change", []client.Object{before, selectingBaseline("u", "prod")}, []string{"blog", "lab", "left", "shop"}},
		{"the revision in force selects others than the spec", []client.Object{changed}, []string{"blog", "lab", "left", "shop"}},
		{"another baseline", []client.Object{selectingBaseline("other", "testing")}, []string{"lab"}},
		{"a selector that does not compile: what it holds", []client.Object{invalid}, []string{"left"}},
		{"something else", []client.Object{&owned}, nil},
	} {
		var got []string
		for _, request := range concernedNamespaces(t.Context(), cache, revisions, policy.Protection{"kube-system"}, test.baselines...) {
			got = append(got, request.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A namespace that comes, goes or changes may concern every baseline; those that are there at the start are no news.
func TestNamespaceEvents(t *testing.T) {
	production, staging := v1alpha1.NetworkBaseline{}, v1alpha1.NetworkBaseline{}
	production.Name, staging.Name = "production", "staging"
	h := namespaceEvents(&reader{baselines: []v1alpha1.NetworkBaseline{production, staging}})
	ns := named("shop", nil)
	for _, test := range []struct {
		name string
		do   func(queue)
		want []string
	}{
		{"new", func(q queue) { h.Create(t.Context(), event.CreateEvent{Object: &ns}, q) }, []string{"production", "staging"}},
		{"there already", func(q queue) { h.Create(t.Context(), event.CreateEvent{Object: &ns, IsInInitialList: true}, q) }, nil},
		{"changed", func(q queue) { h.Update(t.Context(), event.UpdateEvent{ObjectOld: &ns, ObjectNew: &ns}, q) }, []string{"production", "staging"}},
		{"gone", func(q queue) { h.Delete(t.Context(), event.DeleteEvent{Object: &ns}, q) }, []string{"production", "staging"}},
	} {
		q := newQueue(t)
		test.do(q)
		var got []string
		for range len(test.want) {
			name, _ := next(q)
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) || q.Len() != 0 {
			t.Errorf("%s: woke %v and %d more, want %v", test.name, got, q.Len(), test.want)
		}
	}
}

func TestDriftOvertakesTheBacklog(t *testing.T) {
	q := newQueue(t)
	cache := &reader{namespaces: []metav1.PartialObjectMetadata{named("blog", map[string]string{"environment": "prod"})}}
	baselineEvents(cache, revision.NewStore(nil, ""), nil).Create(t.Context(), event.CreateEvent{Object: selectingBaseline("u", "prod")}, q)
	policyEvents(newRecords()).Delete(t.Context(), event.DeleteEvent{Object: versioned("1")}, q)
	for _, want := range []string{"shop", "blog"} {
		if got, priority := next(q); got != want {
			t.Errorf("%s at priority %d, want %s", got, priority, want)
		}
	}
}

func newRecords() *namespace.Records { return namespace.NewRecords(func(string) {}) }

func versioned(resourceVersion string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "deny", UID: "a", ResourceVersion: resourceVersion, Generation: 1,
	}}
}

// What wakes while own writes are to come back is the business of the records, which have tests of their own.
func TestPolicyEvents(t *testing.T) {
	h := policyEvents(newRecords())
	changed := versioned("5")
	changed.Generation = 2
	for _, test := range []struct {
		name  string
		do    func(queue)
		wakes bool
	}{
		{"created", func(q queue) { h.Create(t.Context(), event.CreateEvent{Object: versioned("5")}, q) }, true},
		{"changed", func(q queue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: versioned("4"), ObjectNew: changed}, q)
		}, true},
		{"changed in nothing that counts", func(q queue) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: versioned("4"), ObjectNew: versioned("5")}, q)
		}, false},
		{"deleted", func(q queue) { h.Delete(t.Context(), event.DeleteEvent{Object: versioned("5")}, q) }, true},
		{"something else", func(q queue) {
			h.Delete(t.Context(), event.DeleteEvent{Object: selectingBaseline("u", "prod")}, q)
		}, false},
	} {
		q := newQueue(t)
		test.do(q)
		q.Add(reconcile.Request{}) // Get would wait for ever
		got, _ := next(q)
		if (got == "shop") != test.wakes {
			t.Errorf("%s: woke %q, want that it wakes: %t", test.name, got, test.wakes)
		}
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
