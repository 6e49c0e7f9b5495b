// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// flowControl is the kustomization with the operator's FlowSchema.
	flowControl = "config/flow-control"
	// Convergences are repeated until there are enough repairs for a p99, or it has been tried often enough.
	enoughRepairs    = 100
	mostConvergences = 5
)

// measureBusy measures what others see of the first convergence of a second baseline in as many namespaces again: the
// repair of policies of the first baseline, and the lists of another client. apf applies the FlowSchema before.
func (s *scene) measureBusy(ctx context.Context, apf bool) (*busy, error) {
	if apf {
		if err := s.cluster.Kubectl(ctx, "apply", "-k", flowControl); err != nil {
			return nil, err
		}
	}
	names := numbered("second", s.n)
	if err := s.addNamespaces(ctx, "second", names); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	b := &busy{Namespaces: len(names)}
	var repairs, lists []time.Duration
	defer s.progress("repair during a convergence", enoughRepairs, func() int { return 0 })()

	quiet, err := s.lists(ctx, 300, nil)
	if err != nil {
		return nil, err
	}
	b.NeighbourIdle = summarize(quiet)
	plain, err := s.listUnderPlainWrites(ctx, names)
	if err != nil {
		return nil, err
	}
	b.NeighbourPlain = summarize(plain)
	for len(repairs) < enoughRepairs && b.Convergences < mostConvergences {
		r, l, err := s.disturb(ctx, b, names)
		if err != nil {
			return nil, err
		}
		repairs, lists = append(repairs, r...), append(lists, l...)
		b.Convergences++
	}
	b.Repair, b.Neighbour = summarize(repairs), summarize(lists)
	return b, nil
}

// disturb applies the second baseline, measures until it is ready, and removes it again.
func (s *scene) disturb(ctx context.Context, b *busy, names []string) (repairs, lists []time.Duration, err error) {
	second, err := baselineOf("second", "second")
	if err != nil {
		return nil, nil, err
	}
	if err := s.baselines.Create(ctx, second); err != nil {
		return nil, nil, err
	}
	want := map[string]uint64{}
	for name, form := range s.hashes(s.forms.before) {
		want[second.Name+strings.TrimPrefix(name, "production")] = form
	}
	// Ready is said up to a second after the last write: what counts is when the writes end.
	var converged atomic.Bool
	watched := make(chan error, 1)
	go func() {
		defer converged.Store(true)
		watched <- s.poll(ctx, 20*time.Millisecond, "the second baseline's policies", func() (bool, error) {
			_, left := s.policies.unlike(names, want)
			return left == 0, nil
		})
	}()
	listed := make(chan error, 1)
	go func() {
		var err error
		lists, err = s.lists(ctx, 0, &converged)
		listed <- err
	}()
	components := slices.Sorted(maps.Keys(s.forms.before))
	for !converged.Load() && err == nil {
		var took time.Duration
		what := []harm{edited, deleted}[len(repairs)%2]
		took, err = s.heals(ctx, what, s.names[s.random.IntN(len(s.names))], components[s.random.IntN(len(components))])
		repairs = append(repairs, took)
	}
	converged.Store(true)
	for _, waiting := range []chan error{watched, listed} {
		if e := <-waiting; err == nil {
			err = e
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if err := s.waitReady(ctx, second.Name, second.Generation); err != nil {
		return nil, nil, err
	}
	b.Policies = (len(s.names) + b.Namespaces) * len(s.forms.before)
	if b.RSS, _, err = memory(s.operator.PID()); err != nil {
		return nil, nil, err
	}
	return repairs, lists, s.remove(ctx, second.Name)
}

// listUnderPlainWrites measures the lists while plain writers create as many policies as the second baseline will
// have. Nothing on them says that they are the operator's, so it lets them be.
func (s *scene) listUnderPlainWrites(ctx context.Context, names []string) (lists []time.Duration, err error) {
	var written atomic.Bool
	listed := make(chan error, 1)
	go func() {
		var err error
		lists, err = s.lists(ctx, 0, &written)
		listed <- err
	}()
	components := slices.Sorted(maps.Keys(s.forms.before))
	each := func(do func(ctx context.Context, p *networkingv1.NetworkPolicy) error) error {
		return parallel(ctx, s.set.Writers, len(names)*len(components), func(ctx context.Context, i int) error {
			p := s.forms.before[components[i%len(components)]].DeepCopy()
			p.ObjectMeta = metav1.ObjectMeta{Namespace: names[i/len(components)], Name: "plain-" + p.Name}
			return do(ctx, p)
		})
	}
	err = each(func(ctx context.Context, p *networkingv1.NetworkPolicy) error {
		_, err := s.plain.NetworkingV1().NetworkPolicies(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
		return err
	})
	written.Store(true)
	if e := <-listed; err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	return lists, each(func(ctx context.Context, p *networkingv1.NetworkPolicy) error {
		return s.plain.NetworkingV1().NetworkPolicies(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{})
	})
}

// lists lists the neighbour's ConfigMaps again and again: n times, or until told to end.
func (s *scene) lists(ctx context.Context, n int, end *atomic.Bool) ([]time.Duration, error) {
	var sample []time.Duration
	for i := 0; (n > 0 && i < n) || (n == 0 && !end.Load()); i++ {
		start := time.Now()
		if _, err := s.neighbour.CoreV1().ConfigMaps("neighbour").List(ctx, metav1.ListOptions{}); err != nil {
			return nil, fmt.Errorf("the neighbour's list: %w", err)
		}
		sample = append(sample, time.Since(start))
		if err := sleep(ctx.Done(), 2*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return sample, nil
}
