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

	"golang.org/x/sync/errgroup"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// parallel calls do for 0 to n-1, in order, by a number of workers.
func parallel(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(workers, n) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// ceiling creates in every namespace what the operator would create there, then updates what it would update, several
// times, and deletes everything. No operator runs.
func (s *scene) ceiling(ctx context.Context, r *round) error {
	names := slices.Sorted(maps.Keys(s.forms.before))
	total := len(s.names) * len(names)
	// The latest version of each policy: an update is guarded by it, as the operator's are.
	written := make([]*networkingv1.NetworkPolicy, total)
	create := func(ctx context.Context, i int) (err error) {
		p := s.forms.before[names[i%len(names)]].DeepCopy()
		p.Namespace = s.names[i/len(names)]
		written[i], err = s.plain.NetworkingV1().NetworkPolicies(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
		return err
	}
	var err error
	if r.Creates, err = s.write(ctx, "ceiling: creates", total, s.hashes(s.forms.before), create); err != nil {
		return err
	}
	for flip := range flips {
		form := s.forms.after
		if flip%2 == 1 {
			form = s.forms.before
		}
		var jobs []int
		for i := range total {
			if slices.Contains(s.forms.changed, names[i%len(names)]) {
				jobs = append(jobs, i)
			}
		}
		update := func(ctx context.Context, j int) (err error) {
			i := jobs[j]
			p := written[i].DeepCopy()
			p.Spec = *form[p.Name].Spec.DeepCopy()
			p.ManagedFields = nil
			written[i], err = s.plain.NetworkingV1().NetworkPolicies(p.Namespace).Update(ctx, p, metav1.UpdateOptions{})
			return err
		}
		t, err := s.write(ctx, "ceiling: updates", len(jobs), s.hashes(form), update)
		if err != nil {
			return err
		}
		t.Curve = nil
		r.Updates = append(r.Updates, t)
	}
	// With the preconditions of the operator's deletes.
	remove := func(ctx context.Context, i int) error {
		p := written[i]
		return s.plain.NetworkingV1().NetworkPolicies(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &p.UID, ResourceVersion: &p.ResourceVersion},
		})
	}
	r.Deletes, err = s.write(ctx, "ceiling: deletes", total, nil, remove)
	r.Deletes.Curve = nil
	return err
}

// write writes in parallel until the watcher has seen every namespace hold the forms, and measures until then.
func (s *scene) write(ctx context.Context, what string, n int, forms map[string]uint64, do func(ctx context.Context, i int) error) (throughput, error) {
	mark := s.policies.mark()
	stop := s.progress(what, n, func() int { return s.policies.mark() - mark })
	defer stop()
	before, err := cpuByProcess()
	if err != nil {
		return throughput{}, err
	}
	// For about as long as it takes on two cores.
	profiled := s.profile(ctx, fmt.Sprintf("%d-%s", s.n, strings.ReplaceAll(what, ": ", "-")), time.Duration(n)*time.Millisecond)
	start := time.Now()
	if err := parallel(ctx, s.set.Writers, n, do); err != nil {
		return throughput{}, fmt.Errorf("%s: %w", what, err)
	}
	if err := s.waitForms(ctx, s.names, forms); err != nil {
		return throughput{}, fmt.Errorf("%s: %w", what, err)
	}
	after, err := cpuByProcess()
	if err != nil {
		return throughput{}, err
	}
	t := measure(start, s.policies.since(mark), n)
	t.CPU = spent(after, before)
	return t, profiled()
}

// waitForms waits until the watcher has seen all namespaces hold exactly the forms.
func (s *scene) waitForms(ctx context.Context, namespaces []string, forms map[string]uint64) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		example, n := s.policies.unlike(namespaces, forms)
		if n == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d namespaces, %s among them, do not hold what the first did: %d instead of %d policies", n, example, len(s.policies.forms(example)), len(forms))
		}
		if err := sleep(ctx.Done(), 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// measure makes a throughput of what the watcher saw: useful writes until the last policy had its final form.
func measure(start time.Time, seen []sighting, useful int) throughput {
	last := map[[2]string]time.Time{}
	end := start
	for _, s := range seen {
		last[[2]string{s.namespace, s.name}] = s.at
		if s.at.After(end) {
			end = s.at
		}
	}
	return throughput{
		Writes: useful, Seen: len(seen), Seconds: end.Sub(start).Seconds(),
		Curve: thin(cumulate(start, slices.Collect(maps.Values(last))), 200),
	}
}
