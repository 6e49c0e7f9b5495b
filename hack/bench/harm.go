// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// harm is something that an intruder does to a policy.
type harm string

const (
	edited  harm = "edited"
	deleted harm = "deleted"
)

// opened is the edit: it opens everything, and differs from whatever is rendered.
const opened = `{"spec":{"policyTypes":["Ingress","Egress"],"ingress":[{}],"egress":[{}]}}`

func (s *scene) harm(ctx context.Context, what harm, namespace, name string) error {
	policies := s.admin.NetworkingV1().NetworkPolicies(namespace)
	var err error
	if what == deleted {
		err = policies.Delete(ctx, name, metav1.DeleteOptions{})
	} else {
		_, err = policies.Patch(ctx, name, types.MergePatchType, []byte(opened), metav1.PatchOptions{FieldManager: "intruder"})
	}
	if err != nil {
		return fmt.Errorf("harming %s/%s: %w", namespace, name, err)
	}
	return nil
}

// heals harms a policy and returns for how long a watcher saw it harmed.
func (s *scene) heals(ctx context.Context, what harm, namespace, name string) (time.Duration, error) {
	whole := s.policies.forms(namespace)[name]
	if whole == 0 {
		return 0, fmt.Errorf("%s/%s is not there", namespace, name)
	}
	var since time.Time
	healed := s.policies.expect(namespace, func(seen sighting) bool {
		if seen.name != name {
			return false
		}
		if seen.form != whole {
			if since.IsZero() {
				since = seen.at
			}
			return false
		}
		return !since.IsZero()
	})
	if err := s.harm(ctx, what, namespace, name); err != nil {
		return 0, err
	}
	select {
	case at := <-healed:
		return at.Sub(since), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(s.patience()):
		return 0, fmt.Errorf("%s/%s was %s and not put right within %v", namespace, name, what, s.patience())
	}
}
