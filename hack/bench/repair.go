// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// measureRepair harms one policy at a time: one of a baseline's, which the operator repairs, and one that a bare loop
// writes back, in turns, so that whatever else the machine does disturbs both alike.
func (s *scene) measureRepair(ctx context.Context) (repair, error) {
	bare, err := s.startBareLoop(ctx)
	if err != nil {
		return repair{}, err
	}
	defer bare.stop()
	tries := 0
	defer s.progress("repair of one policy", 2*s.set.Repairs, func() int { return tries })()

	byOperator, byBareLoop := map[harm][]time.Duration{}, map[harm][]time.Duration{}
	components := slices.Sorted(maps.Keys(s.forms.before))
	for range s.set.Repairs {
		for _, what := range []harm{edited, deleted} {
			namespace, name := s.names[s.random.IntN(len(s.names))], components[s.random.IntN(len(components))]
			if err := s.try(ctx, byOperator, what, namespace, name); err != nil {
				return repair{}, err
			}
			if err := s.try(ctx, byBareLoop, what, bare.want.Namespace, bare.want.Name); err != nil {
				return repair{}, err
			}
			tries++
		}
	}
	return repair{
		Edited: summarize(byOperator[edited]), Deleted: summarize(byOperator[deleted]),
		BareEdited: summarize(byBareLoop[edited]), BareDeleted: summarize(byBareLoop[deleted]),
	}, nil
}

// try measures one harm after a moment of quiet.
func (s *scene) try(ctx context.Context, sample map[harm][]time.Duration, what harm, namespace, name string) error {
	if err := sleep(ctx.Done(), 10*time.Millisecond); err != nil {
		return err
	}
	took, err := s.heals(ctx, what, namespace, name)
	sample[what] = append(sample[what], took)
	return err
}

// bareLoop is the least that repairs anything: a watch on one namespace, and the object written back at once.
type bareLoop struct {
	want  *networkingv1.NetworkPolicy
	watch watch.Interface
	ended chan struct{}
}

func (s *scene) startBareLoop(ctx context.Context) (*bareLoop, error) {
	const namespace = "bare"
	_, err := s.admin.CoreV1().Namespaces().Create(ctx, namespaceOf("none", namespace), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	policies := s.plain.NetworkingV1().NetworkPolicies(namespace)
	// One with rules, in the middle of the sizes; nothing on it says that it is the operator's.
	want := s.forms.before[s.forms.changed[0]].DeepCopy()
	want.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "bare-loop"}
	created, err := policies.Create(ctx, want, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	w, err := policies.Watch(ctx, metav1.ListOptions{ResourceVersion: created.ResourceVersion})
	if err != nil {
		return nil, fmt.Errorf("watching namespace %s: %w", namespace, err)
	}
	b := &bareLoop{want: want, watch: w, ended: make(chan struct{})}
	whole := s.policies.form(want)
	go func() {
		defer close(b.ended)
		for e := range w.ResultChan() {
			p, ok := e.Object.(*networkingv1.NetworkPolicy)
			switch {
			case !ok:
			case e.Type == watch.Deleted:
				// A failure shows as a policy that is not put right.
				_, _ = policies.Create(ctx, want, metav1.CreateOptions{})
			case s.policies.form(p) != whole:
				again := want.DeepCopy()
				again.ResourceVersion = p.ResourceVersion
				_, _ = policies.Update(ctx, again, metav1.UpdateOptions{})
			}
		}
	}()
	return b, s.poll(ctx, 10*time.Millisecond, "the watcher to see the bare loop's policy", func() (bool, error) {
		return s.policies.forms(namespace)[want.Name] != 0, nil
	})
}

func (b *bareLoop) stop() {
	b.watch.Stop()
	<-b.ended
}
