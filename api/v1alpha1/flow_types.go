// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Flow is one line of intent. Under a default deny a connection needs an egress policy at its source and an ingress
// policy at its destination: a flow generates both, each in the selected namespaces that it concerns, and only in the
// directions that are denied by default there.
//
// Two ends without namespaceSelector are pods of one namespace, in each selected namespace; two ends with it are pods
// across namespaces. One end may be a cidr: an external API, or a trusted range; then only the pods' side is generated.
// +kubebuilder:validation:XValidation:rule="!has(self.from.cidr) || !has(self.to.cidr)",message="one end of a flow must be pods: write a podSelector in from or in to"
// +kubebuilder:validation:XValidation:rule="has(self.from.cidr) || has(self.to.cidr) || has(self.from.namespaceSelector) == has(self.to.namespaceSelector)",message="write namespaceSelector at both ends for a flow across namespaces, or at neither for one within each namespace; every namespace is namespaceSelector: {}"
type Flow struct {
	// name of the flow; it becomes part of the policies' names.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// from is where connections are opened.
	// +required
	From Peer `json:"from"`
	// to is where they go.
	// +required
	To Peer `json:"to"`
	// ports that are open; all when absent.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Ports []Port `json:"ports,omitempty"`
}
