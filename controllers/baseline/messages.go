// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/list"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// How messages put things: what is looked for as kubectl's -l takes it, and what to write as YAML that can be copied.

// inPlace is what to write for a need, as YAML that can be copied, and what goes with it.
func inPlace(need policy.Need, peer string) string {
	out := fmt.Sprintf("%s: [%s]", need.Instead, peer)
	if need.InPlaceOf != "" {
		out += " in place of " + need.InPlaceOf
	}
	return out
}

// podsIn is a peer, pods of one namespace, as YAML.
func podsIn(namespace string, pods *v1alpha1.LabelSelector) string {
	return fmt.Sprintf("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}, podSelector: %s}", yamlString(namespace), yamlSelector(pods))
}

// describe is the peer as a message has it.
func describe(peer *v1alpha1.Peer) string {
	where := "in the namespaces with " + inWords(peer.NamespaceSelector)
	if name := peer.NamespaceSelector.MatchLabels[corev1.LabelMetadataName]; name != "" {
		where = "in namespace " + string(name)
	} else if inWords(peer.NamespaceSelector) == "" {
		where = "in any namespace"
	}
	if what := inWords(peer.PodSelector); what != "" {
		return what + " " + where
	}
	return "anything " + where
}

// inWords is a selector as kubectl's -l takes it.
func inWords(s *v1alpha1.LabelSelector) string {
	selector, err := s.Selector()
	if err != nil {
		return ""
	}
	return selector.String()
}

// yamlSelector is a selector as one would write it, in one line.
func yamlSelector(s *v1alpha1.LabelSelector) string {
	var parts, pairs, expressions []string
	for _, k := range list.SortedKeys(s.MatchLabels) {
		pairs = append(pairs, k+": "+yamlString(string(s.MatchLabels[k])))
	}
	for _, r := range s.MatchExpressions {
		expression := fmt.Sprintf("{key: %s, operator: %s", r.Key, r.Operator)
		var values []string
		for _, v := range r.Values {
			values = append(values, yamlString(string(v)))
		}
		if len(values) > 0 {
			expression += ", values: [" + strings.Join(values, ", ") + "]"
		}
		expressions = append(expressions, expression+"}")
	}
	if len(pairs) > 0 {
		parts = append(parts, "matchLabels: {"+strings.Join(pairs, ", ")+"}")
	}
	if len(expressions) > 0 {
		parts = append(parts, "matchExpressions: ["+strings.Join(expressions, ", ")+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// yamlString quotes a label's value where YAML would take it for something else: true, or a number.
func yamlString(value string) string {
	var read any
	if err := yaml.Unmarshal([]byte(value), &read); err == nil && read == value {
		return value
	}
	return strconv.Quote(value)
}

// leftAlone tells of protected namespaces that a baseline matches: some by name, all by number.
func leftAlone(names []string) string {
	const named = 3
	if len(names) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(names))
	first := strings.Join(sorted[:min(len(sorted), named)], ", ")
	if more := len(sorted) - named; more > 0 {
		first += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("; protected and left alone: %s (to govern one, name it in spec.includedProtectedNamespaces)", first)
}
