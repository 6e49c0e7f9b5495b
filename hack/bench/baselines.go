// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const sample = "config/samples/netbaseline_v1alpha1_networkbaseline.yaml"

// baselineOf is the sample with another name and another selector.
func baselineOf(name, group string) (*v1alpha1.NetworkBaseline, error) {
	data, err := os.ReadFile(sample)
	if err != nil {
		return nil, err
	}
	b := &v1alpha1.NetworkBaseline{}
	if err := yaml.UnmarshalStrict(data, b); err != nil {
		return nil, fmt.Errorf("%s: %w", sample, err)
	}
	b.Name = name
	b.Spec.NamespaceSelector = v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{groupLabel: v1alpha1.LabelValue(group)}}
	return b, nil
}

// change changes a component of a baseline, or changes it back, and returns the generation that this made.
func (s *scene) change(ctx context.Context, name string, changed bool) (int64, error) {
	ports := "null"
	if changed {
		ports = `[{"port":9090}]`
	}
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: name}}
	patch := fmt.Sprintf(`{"spec":{"profile":{"allowMonitoring":{"ports":%s}}}}`, ports)
	if err := s.baselines.Patch(ctx, b, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return 0, fmt.Errorf("changing baseline %s: %w", name, err)
	}
	return b.Generation, nil
}

func (s *scene) waitReady(ctx context.Context, name string, generation int64) error {
	return s.waitBaseline(ctx, name, "be ready", func(b *v1alpha1.NetworkBaseline) bool { return isReady(b, generation) })
}

// remove deletes a baseline and waits until it and its policies are gone.
func (s *scene) remove(ctx context.Context, name string) error {
	if err := s.baselines.Delete(ctx, &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return err
	}
	return s.waitBaseline(ctx, name, "be gone", func(b *v1alpha1.NetworkBaseline) bool { return b == nil })
}

func (s *scene) waitBaseline(ctx context.Context, name, what string, fulfilled func(*v1alpha1.NetworkBaseline) bool) error {
	timeout := time.After(s.patience())
	for {
		b, changed := s.register.get(name)
		if fulfilled(b) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return fmt.Errorf("baseline %s did not %s within %v: %s", name, what, s.patience(), describe(b))
		case <-changed:
		case <-time.After(time.Second):
			if err := s.alive(); err != nil {
				return err
			}
		}
	}
}

// forms are the policies of one namespace, as the operator renders them, before and after the change of a component.
type forms struct {
	before, after map[string]*networkingv1.NetworkPolicy
	changed       []string // names of those that differ
}

// prepare learns from the operator what a namespace holds, and creates the namespaces.
func (s *scene) prepare(ctx context.Context) error {
	defer s.progress("preparing namespaces", 1, func() int { return 0 })()
	if err := s.learn(ctx); err != nil {
		return fmt.Errorf("learning what the operator renders: %w", err)
	}
	s.names = numbered("first", s.n)
	return s.addNamespaces(ctx, "first", s.names)
}

func (s *scene) learn(ctx context.Context) error {
	if err := s.addNamespaces(ctx, "template", []string{"template"}); err != nil {
		return err
	}
	if err := s.startAndWait(ctx); err != nil {
		return err
	}
	b, err := baselineOf("production", "template")
	if err != nil {
		return err
	}
	if err := s.baselines.Create(ctx, b); err != nil {
		return err
	}
	if err := s.waitReady(ctx, b.Name, b.Generation); err != nil {
		return err
	}
	if s.forms.before, err = s.templates(ctx); err != nil {
		return err
	}
	generation, err := s.change(ctx, b.Name, true)
	if err != nil {
		return err
	}
	if err := s.waitReady(ctx, b.Name, generation); err != nil {
		return err
	}
	if s.forms.after, err = s.templates(ctx); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.forms.before)) {
		if after := s.forms.after[name]; after == nil || !equality.Semantic.DeepEqual(s.forms.before[name].Spec, after.Spec) {
			s.forms.changed = append(s.forms.changed, name)
		}
	}
	if len(s.forms.before) == 0 || len(s.forms.changed) == 0 || len(s.forms.after) != len(s.forms.before) {
		return fmt.Errorf("%d policies, %d of them changed, %d afterwards", len(s.forms.before), len(s.forms.changed), len(s.forms.after))
	}
	if err := s.remove(ctx, b.Name); err != nil {
		return err
	}
	return s.stop()
}

// templates are the policies that the operator has written, ready to be created elsewhere: same labels, annotations
// and owner, so that they are as large.
func (s *scene) templates(ctx context.Context) (map[string]*networkingv1.NetworkPolicy, error) {
	list, err := s.admin.NetworkingV1().NetworkPolicies("template").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := map[string]*networkingv1.NetworkPolicy{}
	for i := range list.Items {
		p := &list.Items[i]
		out[p.Name] = &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: p.Name, Labels: p.Labels, Annotations: p.Annotations, OwnerReferences: p.OwnerReferences},
			Spec:       p.Spec,
		}
	}
	return out, nil
}

// hashes are the forms of the policies as the recorder sees them.
func (s *scene) hashes(policies map[string]*networkingv1.NetworkPolicy) map[string]uint64 {
	out := map[string]uint64{}
	for name, p := range policies {
		out[name] = s.policies.form(p)
	}
	return out
}
