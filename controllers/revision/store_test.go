// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// stored are the revisions that are stored, by name. It answers what a Store asks, and nothing else.
type stored struct {
	client.Client
	byName map[string]appsv1.ControllerRevision
	writes []string
	err    error
}

func (s *stored) Get(_ context.Context, key types.NamespacedName, o client.Object, _ ...client.GetOption) error {
	r, ok := s.byName[key.Name]
	if !ok || key.Namespace != "netbaseline-system" {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "controllerrevisions"}, key.Name)
	}
	r.DeepCopyInto(o.(*appsv1.ControllerRevision))
	return nil
}

func (s *stored) List(_ context.Context, l client.ObjectList, _ ...client.ListOption) error {
	for _, r := range s.byName {
		l.(*appsv1.ControllerRevisionList).Items = append(l.(*appsv1.ControllerRevisionList).Items, r)
	}
	return s.err
}

func (s *stored) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	s.byName[o.GetName()] = *o.(*appsv1.ControllerRevision).DeepCopy()
	s.writes = append(s.writes, "create")
	return nil
}

func (s *stored) Delete(_ context.Context, o client.Object, _ ...client.DeleteOption) error {
	delete(s.byName, o.GetName())
	s.writes = append(s.writes, "delete "+fmt.Sprint(o.(*appsv1.ControllerRevision).Revision))
	return nil
}

func newStore() (*Store, *stored) {
	c := &stored{byName: map[string]appsv1.ControllerRevision{}}
	return NewStore(c, "netbaseline-system"), c
}

// asking is a baseline whose spec differs with n, at a generation of its own.
func asking(n int) *v1alpha1.NetworkBaseline {
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "uid-a", Generation: int64(n)}}
	b.Spec.Mode = "Enforce"
	b.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"n": v1alpha1.LabelValue(fmt.Sprint(n))}
	b.Spec.Profile.DefaultDeny = &v1alpha1.DefaultDeny{}
	return b
}

func nameOf(t *testing.T, n int) string {
	t.Helper()
	name, _, err := policy.EncodeRevision("a", "uid-a", &asking(n).Spec)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// What a restarted operator observes: it reads what the status names, and says so when it cannot.
func TestObserve(t *testing.T) {
	r1, r2, r3 := nameOf(t, 1), nameOf(t, 2), nameOf(t, 3)
	rollout := &v1alpha1.RolloutStatus{Share: 100}
	for _, tc := range []struct {
		name              string
		spec              int
		current, update   string
		rollout           *v1alpha1.RolloutStatus
		lost              bool // the store holds nothing
		wantCurrent, want string
		admitted          bool
		wantLost          string
	}{
		{name: "new", spec: 1, want: r1},
		{name: "not admitted", spec: 1, update: r1, want: r1},
		{name: "first rollout", spec: 1, update: r1, rollout: rollout, want: r1, admitted: true},
		{name: "in force", spec: 1, current: r1, update: r1, wantCurrent: r1, want: r1, admitted: true},
		{name: "in force, and its object deleted: the spec says what it was", spec: 1, current: r1, update: r1, lost: true, wantCurrent: r1, want: r1, admitted: true},
		{name: "a new spec, not noted yet", spec: 2, current: r1, update: r1, wantCurrent: r1, want: r2},
		{name: "a new spec, not admitted", spec: 2, current: r1, update: r2, wantCurrent: r1, want: r2},
		{name: "a new spec, being rolled out", spec: 2, current: r1, update: r2, rollout: rollout, wantCurrent: r1, want: r2, admitted: true},
		{name: "another, while one is rolled out: that one holds", spec: 3, current: r1, update: r2, rollout: rollout, wantCurrent: r2, want: r3},
		{name: "lost", spec: 2, current: r1, update: r2, lost: true, want: r2, wantLost: r1},
		{name: "lost, while it is rolled out and another one comes", spec: 3, update: r2, rollout: rollout, lost: true, want: r3, wantLost: r2},
		{name: "lost, but the new one is in force", spec: 2, current: r1, update: r2, rollout: rollout, lost: true, want: r2, admitted: true},
	} {
		before, c := newStore()
		for n := range 3 {
			if _, err := before.Save(t.Context(), asking(n+1)); err != nil {
				t.Fatal(err)
			}
		}
		if tc.lost {
			c.byName = nil
		}
		s := NewStore(c, "netbaseline-system")
		b := asking(tc.spec)
		b.Status.CurrentRevision, b.Status.UpdateRevision, b.Status.Rollout = tc.current, tc.update, tc.rollout
		got := s.Observe(t.Context(), b)
		name := func(r *policy.Revision) string {
			if r == nil {
				return ""
			}
			return r.Name
		}
		if name(got.Current) != tc.wantCurrent || name(got.Update) != tc.want || got.Admitted != tc.admitted || got.Lost != tc.wantLost {
			t.Errorf("%s: current %q, update %q, admitted %t, lost %q; want %q, %q, %t, %q", tc.name,
				name(got.Current), name(got.Update), got.Admitted, got.Lost, tc.wantCurrent, tc.want, tc.admitted, tc.wantLost)
		}
		if tc.wantCurrent == tc.want && got.Current != got.Update {
			t.Errorf("%s: one revision is decoded twice", tc.name)
		}
	}
}

// The version differs whenever a decision may: with the revision in force and the fields that act at once.
func TestVersion(t *testing.T) {
	version := func(change func(*v1alpha1.NetworkBaseline)) string {
		s, _ := newStore()
		b := asking(1)
		b.Status.CurrentRevision = nameOf(t, 1)
		if change != nil {
			change(b)
		}
		return s.Observe(t.Context(), b).Version
	}
	same := version(nil)
	for what, got := range map[string]string{
		"the revision": version(func(b *v1alpha1.NetworkBaseline) { b.Status.CurrentRevision = "r2" }),
		"mode":         version(func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }),
		"exclusion":    version(func(b *v1alpha1.NetworkBaseline) { b.Spec.ExcludedNamespaces = []v1alpha1.NamespaceName{"x"} }),
		"deletion":     version(func(b *v1alpha1.NetworkBaseline) { b.DeletionTimestamp = &metav1.Time{} }),
		"retention":    version(func(b *v1alpha1.NetworkBaseline) { b.Spec.DeletionPolicy = "Retain" }),
	} {
		if got == same {
			t.Errorf("%s does not show in the version", what)
		}
	}
	if got := version(func(b *v1alpha1.NetworkBaseline) { b.Status.Repairs.Total, b.Labels = 7, map[string]string{"a": "b"} }); got != same {
		t.Error("what no decision reads shows in the version")
	}
}

func TestUpdateFollowsTheGeneration(t *testing.T) {
	s, _ := newStore()
	for _, n := range []int{1, 2, 1} {
		if got, err := s.Update(asking(n)); err != nil || got != nameOf(t, n) {
			t.Errorf("generation %d: %s, %v", n, got, err)
		}
	}
	invalid := asking(4)
	invalid.Spec.NamespaceSelector.MatchExpressions = []v1alpha1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}
	for range 2 {
		if _, err := s.Update(invalid); err == nil || !strings.HasPrefix(err.Error(), "spec.namespaceSelector: ") {
			t.Errorf("a spec that is none: %v", err)
		}
	}
	s.Forget("uid-a")
	if len(s.updates) != 0 {
		t.Error("a baseline that is gone is remembered")
	}
}

// A revision is stored once; the oldest go, but for those in use, and those of others.
func TestSaveAndPrune(t *testing.T) {
	s, c := newStore()
	c.byName["other"] = appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"netbaseline.io/baseline": "a"}}, Data: runtime.RawExtension{}}
	in := nameOf(t, 2)
	for n := 1; n <= 15; n++ {
		b := asking(n)
		b.Status.CurrentRevision, b.Status.UpdateRevision = in, nameOf(t, max(1, n-1))
		for range 2 {
			if got, err := s.Save(t.Context(), b); err != nil || got != nameOf(t, n) {
				t.Fatalf("%s, %v", got, err)
			}
		}
	}
	var left []int64
	for _, r := range c.byName {
		if r.Name != "other" {
			left = append(left, r.Revision)
			if len(r.OwnerReferences) != 1 || r.OwnerReferences[0].UID != "uid-a" || r.Namespace != "netbaseline-system" {
				t.Errorf("%s is stored as %+v", r.Name, r.ObjectMeta)
			}
		}
	}
	slices.Sort(left)
	// The ten newest that were not in use when the last was stored, the one in force, the update before, and the last.
	if want := []int64{2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
	if _, there := c.byName["other"]; !there {
		t.Error("a revision that is not the baseline's was deleted")
	}
	if creates := slices.DeleteFunc(slices.Clone(c.writes), func(w string) bool { return w != "create" }); len(creates) != 15 {
		t.Errorf("%d creates, want 15: what is stored is not stored again", len(creates))
	}
	c.err = errors.New("forbidden")
	if _, err := s.Save(t.Context(), asking(16)); err == nil {
		t.Error("it is not told that nothing could be stored")
	}
}
