// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
)

// measureRestart restarts the operator and measures until it has looked at everything and confirms that all is in
// sync, and what it writes until some seconds later.
func (s *scene) measureRestart(ctx context.Context) (*restart, error) {
	// Status is written at most once a second.
	if err := sleep(ctx.Done(), 3*time.Second); err != nil {
		return nil, err
	}
	defer s.progress("restart", 1, func() int { return 0 })()
	if err := s.stop(); err != nil {
		return nil, err
	}
	before, _ := s.register.get("production")
	if !isReady(before, 0) {
		return nil, fmt.Errorf("baseline production is not ready: %s", describe(before))
	}
	mark, writes := s.policies.mark(), s.register.mark()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	selected := int(before.Status.Namespaces.Selected)
	if err := s.poll(ctx, 20*time.Millisecond, "the operator to confirm that all is in sync", func() (bool, error) {
		f, err := s.operator.metrics(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // not listening yet
		}
		return f.total("netbaseline_namespaces", map[string]string{"baseline": before.Name, "state": "inSync"}) == selected, nil
	}); err != nil {
		return nil, err
	}
	out := &restart{ReadySeconds: time.Since(s.operator.started).Seconds()}
	if err := sleep(ctx.Done(), 3*time.Second); err != nil {
		return nil, err
	}
	requests, err := s.operator.requests(ctx)
	if err != nil {
		return nil, err
	}
	for method, n := range requests {
		if method != "GET" {
			out.OtherRequests += n
		}
	}
	out.PolicyWrites = s.policies.mark() - mark
	out.StatusWrites = len(s.register.since(writes, before.Name))
	if after, _ := s.register.get("production"); out.StatusWrites == 0 && !equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil, fmt.Errorf("the status changed without an event")
	}
	return out, nil
}
