// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package suggest writes what would allow a connection: a flow of a NetworkBaseline, or a NetworkPolicy. It is pure.
package suggest

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

// End is one end of what is to be allowed: pods of a namespace by their labels, or one address.
type End struct {
	Namespace string
	Labels    map[string]string // none: all pods of the namespace
	Address   netip.Addr
}

// EndOf is the end that an endpoint stands for.
func EndOf(e connectivity.Endpoint) End {
	if e.Pod == nil {
		return End{Address: e.Address.Unmap()}
	}
	return End{Namespace: e.Pod.Namespace, Labels: PodLabels(e.Pod.Labels)}
}

// Known reports whether the end can be written as a peer.
func (e End) Known() bool { return e.Namespace != "" || e.Address.IsValid() }

// perPod are labels that controllers set on pods, which differ between the pods of a workload or change with each of its
// revisions.
var perPod = []string{
	"pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
	"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index",
}

// PodLabels are those of a pod's labels that identify its workload: the ones that are usual for it, or else all that do
// not belong to this one pod.
func PodLabels(l map[string]string) map[string]string {
	for _, usual := range [][]string{{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}, {"app"}, {"k8s-app"}} {
		if l[usual[0]] == "" {
			continue
		}
		out := map[string]string{}
		for _, key := range usual {
			if l[key] != "" {
				out[key] = l[key]
			}
		}
		return out
	}
	out := maps.Clone(l)
	maps.DeleteFunc(out, func(key, _ string) bool { return slices.Contains(perPod, key) })
	return out
}

// Port that is to be allowed.
type Port struct {
	Protocol corev1.Protocol
	Number   int32
}

// Flow allows connections between two ends at both of its sides.
func Flow(from, to End, ports []Port) v1alpha1.Flow {
	out := v1alpha1.Flow{Name: FlowName(from, to), From: flowPeer(from), To: flowPeer(to)}
	for _, p := range ports {
		port := v1alpha1.Port{Port: intstr.FromInt32(p.Number)}
		if p.Protocol != corev1.ProtocolTCP {
			port.Protocol = p.Protocol
		}
		out.Ports = append(out.Ports, port)
	}
	return out
}

func flowPeer(e End) v1alpha1.Peer {
	if e.Namespace == "" {
		return v1alpha1.Peer{CIDR: v1alpha1.CIDR(single(e.Address))}
	}
	out := v1alpha1.Peer{NamespaceSelector: flowSelector(map[string]string{corev1.LabelMetadataName: e.Namespace})}
	if len(e.Labels) > 0 {
		out.PodSelector = flowSelector(e.Labels)
	}
	return out
}

func flowSelector(l map[string]string) *v1alpha1.LabelSelector {
	out := &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{}}
	for k, v := range l {
		out.MatchLabels[k] = v1alpha1.LabelValue(v)
	}
	return out
}

func single(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// MaxFlowName is the limit of the API.
const MaxFlowName = 40

// FlowName makes a name of the two ends, within the limits of the API.
func FlowName(from, to End) string {
	return trim(word(from)+"-to-"+word(to), MaxFlowName)
}

func word(e End) string {
	if e.Namespace == "" {
		return strings.NewReplacer(".", "-", ":", "-").Replace(e.Address.String())
	}
	for _, key := range []string{"app.kubernetes.io/name", "app", "k8s-app", "tier", "role", "component"} {
		if e.Labels[key] != "" {
			return e.Labels[key]
		}
	}
	return e.Namespace
}

// trim makes a DNS label of text.
func trim(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	text = strings.Trim(text, "-")
	return strings.Trim(text[:min(len(text), most)], "-")
}

// Policy allows the connections at one side: egress at from, or ingress at to.
func Policy(direction networkingv1.PolicyType, from, to End, ports []Port) *networkingv1.NetworkPolicy {
	own, peer := to, from
	if direction == networkingv1.PolicyTypeEgress {
		own, peer = from, to
	}
	out := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: own.Namespace, Name: trim("allow-"+FlowName(from, to), 63)},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: own.Labels}, PolicyTypes: []networkingv1.PolicyType{direction},
		},
	}
	var policyPorts []networkingv1.NetworkPolicyPort
	for _, p := range ports {
		number := intstr.FromInt32(p.Number)
		policyPorts = append(policyPorts, networkingv1.NetworkPolicyPort{Protocol: &p.Protocol, Port: &number})
	}
	peers := []networkingv1.NetworkPolicyPeer{policyPeer(peer, own.Namespace)}
	if direction == networkingv1.PolicyTypeEgress {
		out.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers, Ports: policyPorts}}
	} else {
		out.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: policyPorts}}
	}
	return out
}

func policyPeer(e End, own string) networkingv1.NetworkPolicyPeer {
	if e.Namespace == "" {
		return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: single(e.Address)}}
	}
	out := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: e.Labels}}
	if e.Namespace != own {
		out.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: e.Namespace}}
	}
	return out
}

// SortPorts sorts and removes duplicates.
func SortPorts(ports []Port) []Port {
	out := slices.Clone(ports)
	slices.SortFunc(out, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Number, b.Number))
	})
	return slices.Compact(out)
}

// FlowsYAML are flows as they are written in the spec of a NetworkBaseline.
func FlowsYAML(flows []v1alpha1.Flow) (string, error) {
	var out strings.Builder
	out.WriteString("flows:\n")
	for i := range flows {
		data, err := yaml.Marshal(flows[i])
		if err != nil {
			return "", err
		}
		var fields map[string]any
		if err := yaml.Unmarshal(data, &fields); err != nil {
			return "", err
		}
		mark := "- "
		for _, key := range fieldOrder(fields) {
			text, err := yaml.Marshal(map[string]any{key: fields[key]})
			if err != nil {
				return "", err
			}
			for line := range strings.Lines(string(text)) {
				out.WriteString(mark + line)
				mark = "  "
			}
		}
	}
	return out.String(), nil
}

// fieldOrder is the order in which people write a flow: its name first.
func fieldOrder(fields map[string]any) []string {
	usual := []string{"name", "description", "from", "to", "ports"}
	place := func(key string) int {
		if i := slices.Index(usual, key); i >= 0 {
			return i
		}
		return len(usual)
	}
	return slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	})
}
