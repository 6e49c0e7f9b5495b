// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/packets/cluster"
	"github.com/netbaseline/netbaseline/hack/packets/table"
)

// TestSamples applies each sample to the cluster of its table and tries each connection that the table names: all of them
// succeed before, exactly the allowed ones while the sample is in force, and all of them again afterwards.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "config", "samples", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("no samples: %v", err)
	}
	if err := shared.operator.Start(); err != nil {
		t.Fatal(err)
	}
	defer shared.operator.Kill()
	for _, file := range files {
		if name := filepath.Base(file); name != "kustomization.yaml" {
			t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) { shared.trySample(t, file) })
		}
	}
}

func (s *scene) trySample(t *testing.T, file string) {
	ctx := t.Context()
	tab := s.tables[filepath.Base(file)]
	if tab == nil {
		t.Fatalf("%s has no table in hack/conformance/testdata/samples", file)
	}
	t.Cleanup(func() { s.clear(t, slices.Collect(maps.Keys(tab.Namespaces))...) })
	if err := s.populate(ctx, tab.Namespaces); err != nil {
		t.Fatal(err)
	}
	tries := s.tries(ctx, t, tab)
	if err := s.wait(ctx, "control before the sample", tries.allConnect); err != nil {
		t.Fatal(err)
	}
	b := s.apply(ctx, t, file)
	applied := time.Now()
	if err := s.wait(ctx, "enforcement", func() error {
		err := tries.asTable()
		if lost := tries.lost(); len(lost) > 0 {
			t.Errorf("lost while the sample arrived, although allowed before and after it:\n  %s", strings.Join(lost, "\n  "))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d connections, as the table says %s after the sample was applied", len(tries), time.Since(applied).Round(time.Millisecond))
	if err := s.wait(ctx, "Ready", func() error { return s.ready(ctx, b.Name) }); err != nil {
		t.Fatal(err)
	}
	if err := tries.asTable(); err != nil {
		t.Fatalf("when Ready: %v", err)
	}
	if err := s.Client.Delete(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(ctx, "control after the sample", tries.allConnect); err != nil {
		t.Fatal(err)
	}
}

// tries are the expectations of a table, for each address family that both ends have.
func (s *scene) tries(ctx context.Context, t *testing.T, tab *table.Table) tries {
	t.Helper()
	expectations, err := tab.Expectations()
	if err != nil {
		t.Fatal(err)
	}
	var out tries
	for _, e := range expectations {
		connections, err := s.resolve(ctx, tab, e.Connection)
		if err != nil {
			t.Fatalf("%s: %v", e.Connection, err)
		}
		for _, c := range connections {
			out = append(out, &try{Connection: c, name: fmt.Sprintf("%s (%s)", e.Connection, c.To), allowed: e.Allowed})
		}
	}
	return out
}

// apply creates the baseline of a file, as it is.
func (s *scene) apply(ctx context.Context, t *testing.T, file string) *v1alpha1.NetworkBaseline {
	t.Helper()
	objects, err := cluster.Read(file)
	if err != nil || len(objects) != 1 {
		t.Fatalf("%s has %d objects: %v", file, len(objects), err)
	}
	data, err := yaml.Marshal(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	b := &v1alpha1.NetworkBaseline{}
	if err := yaml.UnmarshalStrict(data, b); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Create(ctx, b); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.baselineGone(t, b.Name) })
	return b
}

// ready returns nil when the baseline's status says that all is in place.
func (s *scene) ready(ctx context.Context, name string) error {
	b := &v1alpha1.NetworkBaseline{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, b); err != nil {
		return err
	}
	c := meta.FindStatusCondition(b.Status.Conditions, "Ready")
	if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != b.Generation {
		return fmt.Errorf("baseline %s says %+v", name, b.Status)
	}
	return nil
}

// baselineGone deletes a baseline and waits until the operator has let it go.
func (s *scene) baselineGone(t *testing.T, name string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := client.IgnoreNotFound(s.Client.Delete(ctx, b)); err != nil {
		t.Error(err)
	}
	if err := s.wait(ctx, "baseline gone", func() error { return s.absent(ctx, b) }); err != nil {
		t.Error(err)
	}
}

// clear empties namespaces. They stay for the next table: it takes seconds until a namespace is gone.
func (s *scene) clear(t *testing.T, names ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for _, name := range names {
		for _, o := range []client.Object{&corev1.Pod{}, &corev1.Service{}, &discoveryv1.EndpointSlice{}} {
			if err := s.Client.DeleteAllOf(ctx, o, client.InNamespace(name)); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.wait(ctx, "pods gone", func() error { return s.noPods(ctx, names) }); err != nil {
		t.Error(err)
	}
}

func (s *scene) noPods(ctx context.Context, namespaces []string) error {
	for _, name := range namespaces {
		var pods corev1.PodList
		if err := s.Client.List(ctx, &pods, client.InNamespace(name)); err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("%d pods in namespace %s", len(pods.Items), name)
		}
	}
	return nil
}

func (s *scene) absent(ctx context.Context, o client.Object) error {
	err := s.Client.Get(ctx, client.ObjectKeyFromObject(o), o)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s is still there", o.GetName())
	}
	return err
}
