// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// measureNewcomers creates namespaces one after the other and measures from the request until a watcher saw every
// policy in its final form. They stay.
func (s *scene) measureNewcomers(ctx context.Context) (summary, error) {
	var sample []time.Duration
	defer s.progress("new namespaces", s.set.Newcomers, func() int { return len(sample) })()
	want := s.hashes(s.forms.before)
	for _, name := range numbered("newcomer", s.set.Newcomers) {
		if err := sleep(ctx.Done(), 10*time.Millisecond); err != nil {
			return summary{}, err
		}
		have := map[string]uint64{}
		covered := s.policies.expect(name, func(seen sighting) bool {
			have[seen.name] = seen.form
			return maps.Equal(have, want)
		})
		start := time.Now()
		if _, err := s.admin.CoreV1().Namespaces().Create(ctx, namespaceOf("first", name), metav1.CreateOptions{}); err != nil {
			return summary{}, err
		}
		select {
		case at := <-covered:
			sample = append(sample, at.Sub(start))
		case <-ctx.Done():
			return summary{}, ctx.Err()
		case <-time.After(s.patience()):
			return summary{}, fmt.Errorf("namespace %s was not covered within %v", name, s.patience())
		}
		s.names = append(s.names, name)
	}
	return summarize(sample), nil
}
