// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/cache"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

const (
	// fieldManager is Argo CD's.
	fieldManager = "argocd-controller"
	// Argo CD tells by the one or the other, as it is configured, which objects are an application's.
	trackingLabel      = "app.kubernetes.io/instance"
	trackingAnnotation = "argocd.argoproj.io/tracking-id"
)

// app is an application of Argo CD: its sync engine with the options of an Application and a health script.
type app struct {
	name    string
	cache   cache.ClusterCache
	kubectl *kube.KubectlCmd
	config  *rest.Config
	options []sync.SyncOpt
	health  healthScript
}

// newApp starts an application without resources. Stop it in the end.
func newApp(name string, config *rest.Config, script healthScript, syncOptions ...string) (*app, error) {
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{} // of kinds that are deprecated: it watches them all
	kubectl := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	a := &app{name: name, kubectl: kubectl, config: config, health: script}
	a.cache = cache.NewClusterCache(config, cache.SetLogr(logr.Discard()), cache.SetKubectl(kubectl),
		cache.SetPopulateResourceInfoHandler(func(o *unstructured.Unstructured, _ bool) (info any, cacheManifest bool) {
			return a.tracks(o), a.tracks(o)
		}))
	a.options = []sync.SyncOpt{sync.WithLogr(logr.Discard()), sync.WithPrune(true), sync.WithHealthOverride(script)}
	for _, option := range syncOptions {
		switch option {
		case "PrunePropagationPolicy=background":
			policy := metav1.DeletePropagationBackground
			a.options = append(a.options, sync.WithPrunePropagationPolicy(&policy))
		case common.SyncOptionSkipDryRunOnMissingResource:
			a.options = append(a.options, sync.WithSkipDryRunOnMissingResource(true))
		default:
			return nil, fmt.Errorf("sync option %s: not known here", option)
		}
	}
	return a, a.cache.EnsureSynced()
}

func (a *app) stop() { a.cache.Invalidate() }

// track marks an object as the application's, both ways.
func (a *app) track(o *unstructured.Unstructured) {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[trackingLabel], annotations[trackingAnnotation] = a.name, a.trackingID(o)
	o.SetLabels(labels)
	o.SetAnnotations(annotations)
}

// tracks says whether an object is marked, in either way.
func (a *app) tracks(o *unstructured.Unstructured) bool {
	return o.GetLabels()[trackingLabel] == a.name || o.GetAnnotations()[trackingAnnotation] == a.trackingID(o)
}

func (a *app) trackingID(o *unstructured.Unstructured) string {
	return fmt.Sprintf("%s:%s/%s:%s/%s", a.name, o.GroupVersionKind().Group, o.GetKind(), o.GetNamespace(), o.GetName())
}

func isTracked(r *cache.Resource) bool {
	tracked, _ := r.Info.(bool)
	return tracked
}

// operation is a sync as far as it has come.
type operation struct {
	Phase   common.OperationPhase
	Message string
	Results []common.ResourceSyncResult
}

// sync brings the cluster to what the manifests say, waves and all, and prunes what is no longer among them. Like Argo
// CD's controller it looks at the live objects before every step; the engine's own Sync looks once, and so waits for
// ever for the health of what it creates.
func (a *app) sync(ctx context.Context, manifests []*unstructured.Unstructured) (operation, error) {
	now := operation{Phase: common.OperationRunning}
	began := metav1.Now()
	for {
		live, err := a.cache.GetManagedLiveObjs(a.copies(manifests), isTracked)
		if err != nil {
			return now, err
		}
		pairs := sync.Reconcile(a.copies(manifests), live, "default", a.cache)
		options := append(slices.Clone(a.options), sync.WithInitialState(now.Phase, now.Message, now.Results, began))
		step, cleanup, err := sync.NewSyncContext("revision", pairs, a.config, a.config, a.kubectl, "default", options...)
		if err != nil {
			return now, err
		}
		step.Sync()
		cleanup()
		now.Phase, now.Message, now.Results = step.GetState()
		if now.Phase.Completed() {
			return now, nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return now, fmt.Errorf("%w: %s: %s", ctx.Err(), now.Phase, now.Message)
		}
	}
}

// copies are marked as the application's.
func (a *app) copies(manifests []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, m := range manifests {
		m = m.DeepCopy()
		a.track(m)
		out = append(out, m)
	}
	return out
}

// diffs are the ways in which Argo CD compares; which one an Application decides.
var diffs = []string{"three-way", "structured merge", "server-side"}

// outOfSync are the application's objects that differ from the manifests, or are too many, as one kind of diff has it.
func (a *app) outOfSync(manifests []*unstructured.Unstructured, kind string) ([]string, error) {
	manifests = a.copies(manifests)
	live, err := a.cache.GetManagedLiveObjs(manifests, isTracked)
	if err != nil {
		return nil, err
	}
	pairs := sync.Reconcile(manifests, live, "default", a.cache)
	options := []diff.Option{diff.WithLogr(logr.Discard()), diff.WithManager(fieldManager), diff.WithGVKParser(a.cache.GetGVKParser())}
	switch kind {
	case "structured merge":
		options = append(options, diff.WithStructuredMergeDiff(true))
	case "server-side":
		applier, cleanup, err := a.kubectl.ManageServerSideDiffDryRuns(a.config)
		if err != nil {
			return nil, err
		}
		defer cleanup()
		options = append(options, diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier)))
	}
	result, err := diff.DiffArray(pairs.Target, pairs.Live, options...)
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range result.Diffs {
		if d := &result.Diffs[i]; d.Modified {
			out = append(out, fmt.Sprintf("%s\nlive: %s\nwant: %s", name(pairs.Target[i], pairs.Live[i]), d.NormalizedLive, d.PredictedLive))
		}
	}
	return out, nil
}

func name(objects ...*unstructured.Unstructured) string {
	for _, o := range objects {
		if o != nil {
			return o.GetKind() + "/" + o.GetName()
		}
	}
	return ""
}

// healthOf is what Argo CD says of an object of the application; nil when it has no opinion.
func (a *app) healthOf(o *unstructured.Unstructured) (*health.HealthStatus, error) {
	live, err := a.cache.GetManagedLiveObjs(a.copies([]*unstructured.Unstructured{o}), isTracked)
	if err != nil {
		return nil, err
	}
	found := live[kube.GetResourceKey(o)]
	if found == nil {
		return &health.HealthStatus{Status: health.HealthStatusMissing}, nil
	}
	return health.GetResourceHealth(found, a.health)
}

// tree is what Argo CD shows below an object, as "<kind>/<name>", sorted.
func (a *app) tree(o *unstructured.Unstructured) []string {
	shown := map[string]bool{}
	a.cache.IterateHierarchyV2([]kube.ResourceKey{kube.GetResourceKey(o)}, func(r *cache.Resource, _ map[kube.ResourceKey]*cache.Resource) bool {
		if r.ResourceKey() != kube.GetResourceKey(o) {
			shown[r.Ref.Kind+"/"+r.Ref.Name] = true
		}
		return true
	})
	return slices.Sorted(maps.Keys(shown))
}
