// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
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
	for i := range baselines.Items {
		if baselines.Items[i].DeletionTimestamp != nil {
			return fmt.Errorf("baseline %s is still there", baselines.Items[i].Name)
		}
	}
	selected, amiss, err := w.inPlace(ctx, baselines.Items)
	if err != nil {
		return err
	}
	for _, what := range amiss {
		return errors.New(what)
	}
	for i := range baselines.Items {
		if err := truthful(&baselines.Items[i], selected[baselines.Items[i].Name]); err != nil {
			return err
		}
	}
	return nil
}

// inPlace returns the number of namespaces that each baseline selects, and by baseline what is amiss in one of them; ""
// is the baseline of a policy that names none.
func (w *world) inPlace(ctx context.Context, baselines []v1alpha1.NetworkBaseline) (selected map[string]int32, amiss map[string]string, err error) {
	var all networkingv1.NetworkPolicyList
	if err := w.client.List(ctx, &all); err != nil {
		return nil, nil, err
	}
	live := map[string]state{}
	for i := range all.Items {
		p := &all.Items[i]
		if live[p.Namespace] == nil {
			live[p.Namespace] = state{}
		}
		live[p.Namespace][p.Name] = p
	}
	selected, amiss = map[string]int32{}, map[string]string{}
	for _, name := range w.namespaces {
		ns := &corev1.Namespace{}
		if err := w.client.Get(ctx, client.ObjectKey{Name: name}, ns); err != nil {
			return nil, nil, err
		}
		want, selecting, err := wanted(ns, baselines)
		if err != nil {
			return nil, nil, err
		}
		for _, baseline := range selecting {
			selected[baseline]++
		}
		w.compare(name, want, live[name], amiss)
	}
	return selected, amiss, nil
}

// compare notes what is amiss in a namespace. A policy has the name that it is rendered with, or, where that was taken
// when it was created, that name and a number.
func (w *world) compare(namespace string, want []wish, live state, amiss map[string]string) {
	left := maps.Clone(live)
	for _, p := range want {
		if name := find(left, p.policy); name == "" {
			amiss[p.baseline] = fmt.Sprintf("policy %s/%s is not as it should be", namespace, p.policy.Name)
		} else {
			delete(left, name)
		}
	}
	for name, p := range left {
		if _, decoy := w.decoys[namespace+"/"+name]; !decoy {
			baseline := p.Labels[v1alpha1.BaselineLabel]
			amiss[baseline] = cmp.Or(amiss[baseline], fmt.Sprintf("policy %s/%s should not be there", namespace, name))
		}
	}
}

// find returns the name of the live policy that is as wanted; "" for none.
func find(live state, want *networkingv1.NetworkPolicy) string {
	for name, got := range live {
		number, same := strings.CutPrefix(name, want.Name)
		if same && (number == "" || numbered.MatchString(number)) && got.DeletionTimestamp == nil && alike(got, want) {
			return name
		}
	}
	return ""
}

var numbered = regexp.MustCompile(`^-[0-9]+$`)

func alike(got, want *networkingv1.NetworkPolicy) bool {
	return equality.Semantic.DeepEqual(got.Spec, want.Spec) && equality.Semantic.DeepEqual(got.Labels, want.Labels) &&
		equality.Semantic.DeepEqual(got.OwnerReferences, want.OwnerReferences)
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
