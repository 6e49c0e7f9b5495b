// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// Describe puts allowances into words, for status: at most limit lines.
func Describe(all []policy.Allowance, limit int) []string {
	var out []string
	for _, a := range all {
		for i := range a.Peers {
			if len(out) == limit {
				return out
			}
			out = append(out, describePeer(&a.Peers[i])+" on "+describePorts(a.Ports))
		}
	}
	return out
}

func describePeer(p *v1alpha1.Peer) string {
	if p.CIDR != "" {
		if prefix, err := netip.ParsePrefix(string(p.CIDR)); err == nil && prefix.IsSingleIP() {
			return prefix.Addr().String()
		}
		return string(p.CIDR)
	}
	var selected []string
	for _, k := range sortedKeys(p.PodSelector.MatchLabels) {
		selected = append(selected, fmt.Sprintf("%s=%s", k, p.PodSelector.MatchLabels[k]))
	}
	return "pods " + strings.Join(selected, ",") + " in " + string(p.NamespaceSelector.MatchLabels[corev1.LabelMetadataName])
}

func describePorts(ports []v1alpha1.Port) string {
	var out []string
	for _, p := range ports {
		out = append(out, fmt.Sprintf("%s %s", p.Protocol, p.Port.String()))
	}
	return strings.Join(out, ", ")
}
