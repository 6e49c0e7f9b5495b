// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

func TestProtection(t *testing.T) {
	for _, tc := range []struct {
		name, own string
		args      []string
		want      policy.Protection
	}{
		{"default", "", nil, policy.DefaultProtection},
		{"its own namespace", "netbaseline-system", nil, append(slices.Clone(policy.DefaultProtection), "netbaseline-system")},
		{"a list", "netbaseline-system", []string{"--protected-namespaces=kube-system, payments-*,"}, policy.Protection{"kube-system", "payments-*", "netbaseline-system"}},
		{"nothing but its own", "netbaseline-system", []string{"--protected-namespaces="}, policy.Protection{"netbaseline-system"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", tc.own)
			f, err := parse(tc.args)
			if err != nil {
				t.Fatal(err)
			}
			if got := protection(f); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
