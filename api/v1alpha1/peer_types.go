// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// LabelSelector selects objects by their labels, like metav1.LabelSelector. It is a type of its own because the API
// server does not validate metav1.LabelSelector in a custom resource, and leaves its lists unbounded.
// +structType=atomic
type LabelSelector struct {
	// matchLabels must all be present with these values.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="a label key is [prefix/]name, such as environment or example.com/team"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`
	// matchExpressions must all hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`
type LabelValue string

// LabelSelectorRequirement relates a label to a set of values.
// +kubebuilder:validation:XValidation:rule="self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",message="In and NotIn need values; Exists and DoesNotExist take none"
type LabelSelectorRequirement struct {
	// key of the label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`
	Key string `json:"key"`
	// operator is In, NotIn, Exists or DoesNotExist.
	// +required
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
	Operator metav1.LabelSelectorOperator `json:"operator"`
	// values for In and NotIn.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Values []LabelValue `json:"values,omitempty"`
}

// Meta returns the selector as the type that NetworkPolicies use. A nil selector is an empty one: it selects
// everything.
func (s *LabelSelector) Meta() metav1.LabelSelector {
	var out metav1.LabelSelector
	if s == nil {
		return out
	}
	if len(s.MatchLabels) > 0 {
		out.MatchLabels = make(map[string]string, len(s.MatchLabels))
		for k, v := range s.MatchLabels {
			out.MatchLabels[k] = string(v)
		}
	}
	for _, r := range s.MatchExpressions {
		requirement := metav1.LabelSelectorRequirement{Key: r.Key, Operator: r.Operator}
		for _, v := range r.Values {
			requirement.Values = append(requirement.Values, string(v))
		}
		out.MatchExpressions = append(out.MatchExpressions, requirement)
	}
	return out
}

// Selector returns the compiled selector. An error means that the API server accepted what it should have refused.
func (s *LabelSelector) Selector() (labels.Selector, error) {
	meta := s.Meta()
	return metav1.LabelSelectorAsSelector(&meta)
}

// CIDR is an address range in canonical form, as the API server itself demands of NetworkPolicies since 1.36
// (StrictIPCIDRValidation): no host bits, no leading zeros, no IPv4-mapped IPv6.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be an address range such as 10.0.0.0/8 or 2001:db8::/32; for one address write 192.0.2.1/32 or 2001:db8::1/128"
// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || string(cidr(self).masked()) == self",message="is not in canonical form: write the first address of the range in lower case, 10.0.0.0/8 instead of 10.1.2.3/8"
type CIDR string

// Peer is the other end of a connection: pods, chosen by namespace and pod labels, or an address range.
// +kubebuilder:validation:XValidation:rule="has(self.cidr) || has(self.namespaceSelector) || has(self.podSelector)",message="a peer needs namespaceSelector and/or podSelector, or a cidr; for every pod of every namespace write namespaceSelector: {}"
// +kubebuilder:validation:XValidation:rule="!has(self.cidr) || (!has(self.namespaceSelector) && !has(self.podSelector))",message="a peer is either selectors or a cidr: write two peers"
// +kubebuilder:validation:XValidation:rule="!has(self.except) || has(self.cidr)",message="except goes with cidr only"
// +kubebuilder:validation:XValidation:rule="!has(self.except) || !has(self.cidr) || !isCIDR(self.cidr) || self.except.all(e, !isCIDR(e) || (e != self.cidr && cidr(self.cidr).containsCIDR(e)))",message="each except must lie inside the cidr and be smaller than it"
type Peer struct {
	// namespaceSelector chooses namespaces by label; {} is all of them. Without it podSelector chooses pods of the
	// governed namespace itself.
	// +optional
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`
	// podSelector chooses pods by label; without it, all pods of the chosen namespaces.
	// +optional
	PodSelector *LabelSelector `json:"podSelector,omitempty"`
	// cidr is an address range, instead of selectors. Some networks (Cilium) never match pods by address.
	// +optional
	CIDR CIDR `json:"cidr,omitempty"`
	// except are parts of cidr that do not belong to the peer.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Except []CIDR `json:"except,omitempty"`
}

// Port is a port, a range of ports or a named port, with its protocol.
// +kubebuilder:validation:XValidation:rule="type(self.port) != int || (self.port >= 1 && self.port <= 65535)",message="port must be from 1 to 65535; leave ports out for all ports"
// +kubebuilder:validation:XValidation:rule="type(self.port) != string || size(self.port) <= 15",message="a port name has at most 15 characters"
// +kubebuilder:validation:XValidation:rule="!has(self.endPort) || (type(self.port) == int && self.endPort >= self.port)",message="endPort needs a numeric port that is not greater than it"
type Port struct {
	// protocol is TCP (the default when it is absent), UDP or SCTP.
	// +optional
	// +kubebuilder:validation:Enum=TCP;UDP;SCTP
	Protocol corev1.Protocol `json:"protocol,omitempty"`
	// port is a number, or the name of a container port. Not every network supports names: prefer numbers.
	// +required
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([a-z0-9]+-)*[0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$`
	Port intstr.IntOrString `json:"port"`
	// endPort makes it a range: port to endPort, both included.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	EndPort *int32 `json:"endPort,omitempty"`
}
