// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// steady is how long something must hold still to be believed: longer than the engine lets pass between two looks.
const steady = 1500 * time.Millisecond

// appStage is where an application plays.
type appStage struct {
	stage
	app *app
}

func newAppStage(t *testing.T, name string) *appStage {
	t.Helper()
	g := NewWithT(t)
	a, err := newApp(name, here.cluster.Config, script(t), syncOptions(t)...)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(a.stop)
	return &appStage{stage{g, t, nil}, a}
}

// syncOptions are those of the example.
func syncOptions(t *testing.T) []string {
	t.Helper()
	example := parse(t, read(t, root, "config", "argocd", "application.yaml"))
	options, _, err := unstructured.NestedStringSlice(example.Object, "spec", "syncPolicy", "syncOptions")
	if err != nil {
		t.Fatal(err)
	}
	return options
}

// start begins a sync, which ends with the test at the latest.
func (s *appStage) start(manifests []*unstructured.Unstructured) <-chan operation {
	s.t.Helper()
	ctx, out, done := s.t.Context(), make(chan operation, 1), make(chan struct{})
	go func() {
		defer close(done)
		result, err := s.app.sync(ctx, manifests)
		if err != nil && ctx.Err() == nil {
			s.t.Errorf("sync: %v", err)
			return
		}
		out <- result
	}()
	s.t.Cleanup(func() { <-done }) // the context of the test is over by then
	return out
}

// syncs makes a sync that succeeds.
func (s *appStage) syncs(manifests []*unstructured.Unstructured) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	result, err := s.app.sync(ctx, manifests)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(result).To(succeeded(), result.Message)
}

func succeeded() types.GomegaMatcher { return HaveField("Phase", common.OperationSucceeded) }

// inSync checks that nothing is OutOfSync, however Argo CD compares, and stays so.
func (s *appStage) inSync(manifests []*unstructured.Unstructured) {
	s.t.Helper()
	for _, kind := range diffs {
		s.Eventually(func() ([]string, error) { return s.app.outOfSync(manifests, kind) }).Should(BeEmpty(), kind)
	}
	s.Consistently(func() ([]string, error) { return s.app.outOfSync(manifests, diffs[0]) }).WithTimeout(steady / 5).Should(BeEmpty())
}

func (s *appStage) healthy(o *unstructured.Unstructured, message string) {
	s.t.Helper()
	s.Eventually(func() (*health.HealthStatus, error) { return s.app.healthOf(o) }).
		Should(Equal(&health.HealthStatus{Status: health.HealthStatusHealthy, Message: message}))
}

func (s *appStage) healthCode() (health.HealthStatusCode, error) {
	got, err := s.app.healthOf(s.object)
	if err != nil {
		return "", err
	}
	return got.Status, nil
}

func (s *stage) missing(o client.Object) bool {
	s.t.Helper()
	err := here.client.Get(s.t.Context(), client.ObjectKeyFromObject(o), o.DeepCopyObject().(client.Object))
	s.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return apierrors.IsNotFound(err)
}

// versions are those of the baseline's policies and, under "", of its spec and finalizers: status may still be written.
func (s *stage) versions() map[string]string {
	s.t.Helper()
	baseline := s.now()
	out := map[string]string{"": fmt.Sprint(baseline.GetGeneration(), baseline.GetFinalizers())}
	var policies networkingv1.NetworkPolicyList
	s.Expect(here.client.List(s.t.Context(), &policies, client.InNamespace(baseline.GetName()))).To(Succeed())
	for i := range policies.Items {
		p := &policies.Items[i]
		out[p.Name] = string(p.UID) + "@" + p.ResourceVersion
	}
	return out
}

// deletions are the names of the policies of a namespace that are deleted from now on, in order.
func (s *stage) deletions(namespace string) <-chan string {
	s.t.Helper()
	w, err := here.client.Watch(s.t.Context(), &networkingv1.NetworkPolicyList{}, client.InNamespace(namespace))
	s.Expect(err).NotTo(HaveOccurred())
	s.t.Cleanup(w.Stop)
	out := make(chan string, 100)
	go func() {
		for e := range w.ResultChan() {
			if p, ok := e.Object.(*networkingv1.NetworkPolicy); ok && e.Type == watch.Deleted {
				out <- p.Name
			}
		}
	}()
	return out
}

// folder reads the manifests of a folder, one in each file.
func folder(t *testing.T, path ...string) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(append(path, "*.yaml")...))
	if err != nil || len(files) == 0 {
		t.Fatal(path, files, err)
	}
	var out []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		out = append(out, parse(t, read(t, file)))
	}
	return out
}

func find(t *testing.T, manifests []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	for _, m := range manifests {
		if m.GetKind() == kind {
			return m
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}
