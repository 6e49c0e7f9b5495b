// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/suggest"
)

// peers are the pods of some namespaces with some values of a label, or the pods with certain labels, or a range. Each
// stands for exactly what was seen: the product of namespaces and values never holds more.
type peers struct {
	namespaces []string
	key        string // of the one label, if there is just one
	values     []string
	labels     map[string]string // if there are more than one, or none
	prefix     netip.Prefix
}

func peersOf(e suggest.End) peers {
	if e.Namespace == "" {
		return peers{prefix: netip.PrefixFrom(e.Address, e.Address.BitLen())}
	}
	out := peers{namespaces: []string{e.Namespace}, labels: e.Labels}
	if len(e.Labels) == 1 {
		for key, value := range e.Labels {
			out.key, out.values, out.labels = key, []string{value}, nil
		}
	}
	return out
}

func (p *peers) pods() string {
	var l []string
	for _, key := range slices.Sorted(maps.Keys(p.labels)) {
		l = append(l, key+"="+p.labels[key])
	}
	return p.key + "=" + strings.Join(p.values, "|") + ";" + strings.Join(l, ",")
}

func (p *peers) id() string {
	return strings.Join(p.namespaces, ",") + " " + p.pods() + " " + p.prefix.String()
}

// example is one end of those that the peers stand for, after which a flow is named.
func (p *peers) example() suggest.End {
	if p.prefix.IsValid() {
		return suggest.End{Address: p.prefix.Addr()}
	}
	out := suggest.End{Namespace: p.namespaces[0], Labels: p.labels}
	if p.key != "" && len(p.values) == 1 {
		out.Labels = map[string]string{p.key: p.values[0]}
	}
	return out
}

func (p *peers) peer() v1alpha1.Peer {
	if p.prefix.IsValid() {
		return v1alpha1.Peer{CIDR: v1alpha1.CIDR(p.prefix.String())}
	}
	out := v1alpha1.Peer{NamespaceSelector: oneOf(corev1.LabelMetadataName, p.namespaces)}
	switch {
	case p.key != "":
		out.PodSelector = oneOf(p.key, p.values)
	case len(p.labels) > 0:
		out.PodSelector = &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{}}
		for key, value := range p.labels {
			out.PodSelector.MatchLabels[key] = v1alpha1.LabelValue(value)
		}
	}
	return out
}

// NamespacesOf are the namespaces that a suggested flow names.
func NamespacesOf(f *v1alpha1.Flow) []string {
	var out []string
	for _, s := range []*v1alpha1.LabelSelector{f.From.NamespaceSelector, f.To.NamespaceSelector} {
		if s == nil {
			continue
		}
		for _, v := range s.MatchLabels {
			out = append(out, string(v))
		}
		for _, r := range s.MatchExpressions {
			for _, v := range r.Values {
				out = append(out, string(v))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func oneOf(key string, values []string) *v1alpha1.LabelSelector {
	if len(values) == 1 {
		return &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{key: v1alpha1.LabelValue(values[0])}}
	}
	r := v1alpha1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn}
	for _, v := range values {
		r.Values = append(r.Values, v1alpha1.LabelValue(v))
	}
	return &v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{r}}
}
