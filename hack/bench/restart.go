// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
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
	out := &restart{ReadySeconds: time.Since(s.operator.Started).Seconds()}
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

// measureUnadmitted deletes what the preflight looks for while the operator is stopped, starts the operator, and counts
// what it writes until some seconds after it has said so; then everything is there again, and that should write nothing either.
func (s *scene) measureUnadmitted(ctx context.Context) (*unadmitted, error) {
	defer s.progress("restart while a preflight fails", 1, func() int { return 0 })()
	if err := s.stop(); err != nil {
		return nil, err
	}
	// The pods alone: the namespaces and the Service stay.
	if err := s.cluster.Kubectl(ctx, "delete", "pods", "--all-namespaces", "--all", "--force", "--grace-period=0"); err != nil {
		return nil, err
	}
	mark := s.policies.mark()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	var out unadmitted
	if err := s.waitBaseline(ctx, "production", "say that its preflight fails", func(b *v1alpha1.NetworkBaseline) bool {
		return b != nil && meta.IsStatusConditionFalse(b.Status.Conditions, v1alpha1.ConditionPreflight)
	}); err != nil {
		return nil, err
	}
	out.ToldSeconds = time.Since(s.operator.Started).Seconds()
	if err := s.waitReconciled(ctx); err != nil {
		return nil, err
	}
	if err := sleep(ctx.Done(), 3*time.Second); err != nil {
		return nil, err
	}
	if err := s.cluster.Kubectl(ctx, "apply", "-f", standIns); err != nil {
		return nil, err
	}
	if err := s.waitBaseline(ctx, "production", "be ready, with all that its preflight looks for", func(b *v1alpha1.NetworkBaseline) bool {
		return isReady(b, 0) && meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionPreflight)
	}); err != nil {
		return nil, err
	}
	if err := sleep(ctx.Done(), 3*time.Second); err != nil {
		return nil, err
	}
	out.PolicyWrites = s.policies.mark() - mark
	return &out, s.waitForms(ctx, s.names, s.hashes(s.forms.before))
}
