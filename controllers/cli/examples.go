// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// examples makes up namespaces, for want of real ones: for each baseline one that it selects, and for each end of its
// flows across namespaces one that it selects and that is such an end. A baseline gets none where its selector fits
// nothing that we can make up.
func examples(baselines []v1alpha1.NetworkBaseline) []namespace {
	var out []namespace
	add := func(name string, selectors ...v1alpha1.LabelSelector) {
		ns, ok := matching(name, selectors)
		same := func(other namespace) bool {
			return other.name == ns.name || maps.Equal(withoutName(other.labels), withoutName(ns.labels)) && ns.name == name
		}
		if ok && !slices.ContainsFunc(out, same) {
			out = append(out, ns)
		}
	}
	sorted := slices.SortedFunc(slices.Values(baselines), func(a, b v1alpha1.NetworkBaseline) int { return cmp.Compare(a.Name, b.Name) })
	for i := range sorted {
		b := &sorted[i]
		before := len(out)
		for _, flow := range b.Spec.Flows {
			for _, end := range []struct {
				name string
				peer v1alpha1.Peer
			}{{flow.Name + "-from", flow.From}, {flow.Name + "-to", flow.To}} {
				if end.peer.NamespaceSelector != nil {
					add("example-"+end.name, b.Spec.NamespaceSelector, *end.peer.NamespaceSelector)
				}
			}
		}
		if len(out) == before {
			add("example-"+b.Name, b.Spec.NamespaceSelector)
		}
	}
	return out
}

func withoutName(l map[string]string) map[string]string {
	out := maps.Clone(l)
	delete(out, corev1.LabelMetadataName)
	return out
}

// matching makes up a namespace that all selectors match: of this name, unless they ask for another.
func matching(name string, selectors []v1alpha1.LabelSelector) (namespace, bool) {
	made := map[string]string{}
	for i := range selectors {
		for k, v := range selectors[i].MatchLabels {
			made[k] = string(v)
		}
	}
	for i := range selectors {
		for _, e := range selectors[i].MatchExpressions {
			_, set := made[e.Key]
			switch {
			case set:
			case e.Operator == metav1.LabelSelectorOpIn:
				made[e.Key] = string(e.Values[0])
			case e.Operator == metav1.LabelSelectorOpExists:
				made[e.Key] = "example"
			}
		}
	}
	ns := newNamespace(cmp.Or(made[corev1.LabelMetadataName], name), made)
	for i := range selectors {
		selector, err := selectors[i].Selector()
		if err != nil || !selector.Matches(labels.Set(ns.labels)) {
			return ns, false
		}
	}
	return ns, true
}
