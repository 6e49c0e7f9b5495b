// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NetworkBaseline declares the network policies that every selected namespace holds. The operator generates them,
// and repairs them whenever they are edited or deleted.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=nbl
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`,description="Enforce, or Audit: nothing is written"
// +kubebuilder:printcolumn:name="Selected",type=integer,JSONPath=`.status.namespaces.selected`,description="Namespaces that the baseline governs"
// +kubebuilder:printcolumn:name="InSync",type=integer,JSONPath=`.status.namespaces.inSync`,description="Namespaces that hold exactly their policies"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="True when every selected namespace is in sync"
// +kubebuilder:printcolumn:name="Effective",type=string,JSONPath=`.status.conditions[?(@.type=="Effective")].status`,description="False when a foreign policy undoes the baseline somewhere"
// +kubebuilder:printcolumn:name="Policies",type=integer,priority=1,JSONPath=`.status.policies.inSync`,description="Policies in place"
// +kubebuilder:printcolumn:name="Repairs",type=integer,priority=1,JSONPath=`.status.repairs.total`,description="Policies put right after somebody changed them"
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name may have at most 63 characters, because it becomes a label value: choose a shorter name"
type NetworkBaseline struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the baseline declares.
	// +required
	Spec NetworkBaselineSpec `json:"spec"`
	// status is what is true of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status NetworkBaselineStatus `json:"status,omitzero"`
}

// NetworkBaselineSpec is what a baseline declares. Every field may be changed at any time.
// +kubebuilder:validation:XValidation:rule="(has(self.flows) && size(self.flows) > 0) || (has(self.profile) && (has(self.profile.defaultDeny) || has(self.profile.allowDNS) || has(self.profile.blockMetadata) || has(self.profile.allowIngressController) || has(self.profile.allowMonitoring) || has(self.profile.allowSameNamespace) || has(self.profile.allowKubeAPIServer)))",message="declare at least one component in profile, for example defaultDeny: {} and allowDNS: {}, or a flow"
type NetworkBaselineSpec struct {
	// mode is Enforce, or Audit: say in status what would change, write nothing and remove nothing.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`
	// namespaceSelector chooses the governed namespaces by label; {} is every namespace that is not protected.
	// +required
	NamespaceSelector LabelSelector `json:"namespaceSelector"`
	// excludedNamespaces are never governed by this baseline, whatever their labels.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	ExcludedNamespaces []NamespaceName `json:"excludedNamespaces,omitempty"`
	// includedProtectedNamespaces are protected namespaces (kube-system, say) that the baseline governs all the same,
	// when the selector matches them too.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	IncludedProtectedNamespaces []NamespaceName `json:"includedProtectedNamespaces,omitempty"`
	// preflight is Require: no namespace is newly enforced while the resolvers, a named ingress controller or a named
	// monitoring stack cannot be found; or Warn: it is only said.
	// +optional
	// +kubebuilder:default=Require
	Preflight PreflightPolicy `json:"preflight,omitempty"`
	// deletionPolicy is Delete: the policies go with the baseline; or Retain: they stay in force, unmanaged.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// profile declares what is denied and allowed.
	// +optional
	Profile Profile `json:"profile,omitzero"`
	// flows are further connections to allow, one line of intent each.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Flows []Flow `json:"flows,omitempty"`
}

// NamespaceName is the name of a namespace.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type NamespaceName string

// Mode says whether a baseline writes.
// +kubebuilder:validation:Enum=Enforce;Audit
type Mode string

// The modes.
const (
	ModeEnforce Mode = "Enforce"
	ModeAudit   Mode = "Audit"
)

// PreflightPolicy says what happens while something that must be reachable cannot be found.
// +kubebuilder:validation:Enum=Require;Warn
type PreflightPolicy string

// The preflight policies.
const (
	PreflightRequire PreflightPolicy = "Require"
	PreflightWarn    PreflightPolicy = "Warn"
)

// DeletionPolicy says what becomes of the policies when their baseline is deleted.
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

// The deletion policies.
const (
	DeletionDelete DeletionPolicy = "Delete"
	DeletionRetain DeletionPolicy = "Retain"
)

// NetworkBaselineList is a list of baselines.
// +kubebuilder:object:root=true
type NetworkBaselineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkBaseline `json:"items"`
}
