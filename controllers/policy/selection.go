// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Protection is a list of namespace names, or patterns of path.Match, that a selector alone never governs.
type Protection []string

// DefaultProtection are the namespaces without which a cluster stops working: Kubernetes' own, and those in which
// networks and managed platforms run. Nodes and the API server reach their pods from addresses that no selector
// matches.
var DefaultProtection = Protection{
	"kube-system", "kube-public", "kube-node-lease",
	"calico-system", "calico-apiserver", "tigera-operator", "kube-flannel", "cilium*", "kube-ovn", "ovn-kubernetes",
	"openshift", "openshift-*", "gke-*", "gmp-*", "cattle-*", "app-routing-system",
}

// ParseProtection reads a list with commas, in which blanks mean nothing.
func ParseProtection(list string) Protection {
	var p Protection
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			p = append(p, name)
		}
	}
	return p
}

// Validate returns an error for a malformed pattern.
func (p Protection) Validate() error {
	for _, pattern := range p {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("protected namespace pattern %q: %w", pattern, err)
		}
	}
	return nil
}

// Protects says whether the namespace is protected.
func (p Protection) Protects(namespace string) bool {
	return slices.ContainsFunc(p, func(pattern string) bool {
		if !strings.ContainsAny(pattern, `*?[\`) {
			return pattern == namespace // most patterns are names, and this is asked for every namespace
		}
		match, err := path.Match(pattern, namespace)
		return err == nil && match
	})
}

// Selection is what a baseline is to a namespace.
type Selection int

const (
	// NotSelected means that the selector does not match, or the namespace is excluded.
	NotSelected Selection = iota
	// Selected means that the baseline governs the namespace.
	Selected
	// Protected means that the selector matches, and the namespace is left alone because it is protected.
	Protected
)

// Selector decides which namespaces a baseline governs.
type Selector struct {
	labels     labels.Selector
	excluded   []v1alpha1.NamespaceName
	included   []v1alpha1.NamespaceName
	protection Protection
}

// Select says what the baseline is to a namespace of this name with these labels.
func (s Selector) Select(name string, nsLabels map[string]string) Selection {
	own := v1alpha1.NamespaceName(name)
	switch {
	case s.labels == nil, !s.labels.Matches(labels.Set(nsLabels)), slices.Contains(s.excluded, own):
		return NotSelected
	case s.protection.Protects(name) && !slices.Contains(s.included, own):
		return Protected
	default:
		return Selected
	}
}
