// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// settled waits until all is in place, and said to be, and returns how many changes there were so far.
func (w *world) settled(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		err := w.inOrder(ctx)
		if ctx.Err() == nil {
			last = err
		}
		if err == nil {
			var n int
			if n, err = w.recorder.caughtUp(ctx); err == nil {
				return n, nil
			}
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("not settled after %s: %w", patience, last)
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// inOrder returns what is not as it should be.
func (w *world) inOrder(ctx context.Context) error {
	var baselines v1alpha1.NetworkBaselineList
	if err := w.client.List(ctx, &baselines); err != nil {
		return err
	}
	var all networkingv1.NetworkPolicyList
	if err := w.client.List(ctx, &all); err != nil {
		return err
	}
	live := map[string]map[string]*networkingv1.NetworkPolicy{}
	for i := range all.Items {
		p := &all.Items[i]
		if live[p.Namespace] == nil {
			live[p.Namespace] = map[string]*networkingv1.NetworkPolicy{}
		}
		live[p.Namespace][p.Name] = p
	}
	selected := map[string]int32{}
	for _, name := range w.namespaces {
		if err := w.namespaceInOrder(ctx, name, baselines.Items, live[name], selected); err != nil {
			return err
		}
	}
	for i := range baselines.Items {
		if err := truthful(&baselines.Items[i], selected[baselines.Items[i].Name]); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) namespaceInOrder(ctx context.Context, name string, baselines []v1alpha1.NetworkBaseline, live map[string]*networkingv1.NetworkPolicy, selected map[string]int32) error {
	ns := &corev1.Namespace{}
	if err := w.client.Get(ctx, client.ObjectKey{Name: name}, ns); err != nil {
		return err
	}
	input := policy.Input{NamespaceLabels: ns.Labels}
	for i := range baselines {
		b := &baselines[i]
		if b.DeletionTimestamp != nil {
			return fmt.Errorf("baseline %s is still there", b.Name)
		}
		selector, err := policy.NewSelector(&b.Spec, policy.DefaultProtection)
		if err != nil {
			return err
		}
		if selector.Select(name, ns.Labels) == policy.Selected {
			input.Baselines = append(input.Baselines, b)
			selected[b.Name]++
		}
	}
	want := []string{"copied", "theirs"}
	for _, p := range policy.Render(input).Policies {
		want = append(want, p.Name)
		if got := live[p.Name]; got == nil || !policy.Same(got, p.NetworkPolicy) || !equality.Semantic.DeepEqual(got.Labels, p.Labels) {
			return fmt.Errorf("policy %s/%s is not as it should be", name, p.Name)
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(live)); !slices.Equal(got, want) {
		return fmt.Errorf("namespace %s holds %s, want %s", name, strings.Join(got, ", "), strings.Join(want, ", "))
	}
	return nil
}

func truthful(b *v1alpha1.NetworkBaseline, selected int32) error {
	ready := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady)
	n := b.Status.Namespaces
	if ready == nil || ready.Status != metav1.ConditionTrue || b.Status.ObservedGeneration != b.Generation || n.Selected != selected || n.InSync != selected || len(b.Status.Problems) > notes(b) {
		return fmt.Errorf("baseline %s, generation %d, %d namespaces selected, says %+v", b.Name, b.Generation, selected, b.Status)
	}
	return nil
}

// notes counts the problems that are none: components that are without effect where nothing is denied.
func notes(b *v1alpha1.NetworkBaseline) int {
	n := 0
	for _, p := range b.Status.Problems {
		if p.Reason == v1alpha1.ReasonWithoutEffect {
			n++
		}
	}
	return n
}

// untouched returns an error when somebody else's policy is not to the byte what it was.
func (w *world) untouched() error {
	for key, version := range w.decoys {
		namespace, name, _ := strings.Cut(key, "/")
		held := w.recorder.of(namespace)[name]
		if held == nil {
			return fmt.Errorf("policy %s of somebody else is gone", key)
		}
		for _, c := range w.recorder.since(0) {
			if c.namespace == namespace && c.name == name && fmt.Sprint(c.revision) != version {
				return fmt.Errorf("policy %s of somebody else was %s", key, c.verb)
			}
		}
	}
	return nil
}
