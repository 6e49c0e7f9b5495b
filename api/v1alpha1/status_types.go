// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NetworkBaselineStatus is what is true of a baseline. Nothing in it grows with the number of namespaces.
type NetworkBaselineStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first look, so that
	// kstatus (Flux, kpt) waits for the operator.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// currentRevision is the ControllerRevision that is in force in every namespace which the update revision has not
	// reached; empty until the first revision is in force everywhere.
	// +optional
	CurrentRevision string `json:"currentRevision,omitempty"`
	// updateRevision is the ControllerRevision of the spec. It differs from currentRevision while it waits for its
	// admission, or is being rolled out.
	// +optional
	UpdateRevision string `json:"updateRevision,omitempty"`
	// rollout is the position of the update revision; absent before its admission, and when it is in force everywhere.
	// +optional
	Rollout *RolloutStatus `json:"rollout,omitempty"`
	// namespaces counts namespaces by state.
	// +optional
	Namespaces NamespaceCounts `json:"namespaces"`
	// policies counts generated policies.
	// +optional
	Policies PolicyCounts `json:"policies"`
	// audit counts what mode Enforce would do; absent in mode Enforce.
	// +optional
	Audit *AuditCounts `json:"audit,omitempty"`
	// repairs counts the policies that were put right after somebody changed or deleted them.
	// +optional
	Repairs Repairs `json:"repairs"`
	// resolved is what discovery found, as far as the profile asks for it.
	// +optional
	Resolved *Resolved `json:"resolved,omitempty"`
	// problems are what keeps namespaces from being in sync, sorted; further ones are only counted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Problems []Problem `json:"problems,omitempty"`
	// moreProblems is how many problems there are beyond the listed ones.
	// +optional
	MoreProblems int32 `json:"moreProblems,omitempty"`
	// conditions are Ready, Effective, Preflight, Reconciling and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RolloutStatus is the position of a rollout: the namespaces below it belong to the update revision, all others to the
// current one.
type RolloutStatus struct {
	// share of the selected namespaces, in percent.
	Share int32 `json:"share"`
}

// NamespaceCounts counts namespaces. selected = inSync + pending + failed + waiting.
type NamespaceCounts struct {
	// selected namespaces are governed by the baseline.
	Selected int32 `json:"selected"`
	// inSync namespaces hold exactly their policies.
	InSync int32 `json:"inSync"`
	// pending namespaces are being worked on.
	Pending int32 `json:"pending"`
	// failed namespaces had a write refused or altered; see problems.
	Failed int32 `json:"failed"`
	// waiting namespaces are not enforced yet, because a baseline that selects them has not been admitted.
	Waiting int32 `json:"waiting"`
	// protected namespaces match the selector and are left alone; name them in includedProtectedNamespaces to govern
	// them.
	Protected int32 `json:"protected"`
}

// PolicyCounts counts generated policies.
type PolicyCounts struct {
	// desired policies are asked for in the selected namespaces.
	Desired int32 `json:"desired"`
	// inSync policies are in place exactly as asked for.
	InSync int32 `json:"inSync"`
}

// AuditCounts counts what enforcing a baseline would change.
type AuditCounts struct {
	// namespaces in which something would change.
	Namespaces int32 `json:"namespaces"`
	// create is the number of policies that would be created.
	Create int32 `json:"create"`
	// change is the number of policies that would be changed.
	Change int32 `json:"change"`
	// remove is the number of policies that would be removed.
	Remove int32 `json:"remove"`
}

// Resolved is what the cluster runs, in words: at most 32 lines each.
type Resolved struct {
	// dns is how pods reach the cluster's resolvers.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	DNS []string `json:"dns,omitempty"`
	// kubeAPIServer is how they reach the Kubernetes API.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	KubeAPIServer []string `json:"kubeAPIServer,omitempty"`
}

// Repairs counts repairs.
type Repairs struct {
	// total number of repairs since the baseline was created.
	Total int64 `json:"total"`
	// last repair.
	// +optional
	Last *Repair `json:"last,omitempty"`
}

// Repair is one policy put right.
type Repair struct {
	// time of the repair.
	Time metav1.Time `json:"time"`
	// namespace of the policy.
	Namespace string `json:"namespace"`
	// policy is its name.
	Policy string `json:"policy"`
	// action that somebody took: Changed or Deleted.
	Action string `json:"action"`
	// manager is the field manager that changed it, as far as the API server tells.
	// +optional
	Manager string `json:"manager,omitempty"`
}

// Problem is one thing that is wrong, and where.
type Problem struct {
	// namespace that it is about; empty when it is about the baseline as a whole.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// policy that it is about.
	// +optional
	Policy string `json:"policy,omitempty"`
	// reason is a word for programs.
	Reason string `json:"reason"`
	// message says what is wrong and what to do, with the API server's own words where it refused something.
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// Condition types.
const (
	// ConditionReady is True when, at this generation, every selected namespace holds exactly its policies; Unknown
	// while the baseline converges; False when something keeps it from converging.
	ConditionReady = "Ready"
	// ConditionEffective is False when a foreign policy undoes the baseline somewhere.
	ConditionEffective = "Effective"
	// ConditionPreflight is False when something that must be reachable cannot be found.
	ConditionPreflight = "Preflight"
	// ConditionReconciling is present while the baseline converges (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is present when the baseline cannot converge before its spec is changed (kstatus).
	ConditionStalled = "Stalled"
)

// Reasons of conditions and problems.
const (
	ReasonInSync               = "InSync"
	ReasonNoNamespacesSelected = "NoNamespacesSelected"
	ReasonConverging           = "Converging"
	ReasonAudit                = "Audit"
	ReasonDeleting             = "Deleting"
	// ReasonWriteRefused: the API server refused to write a policy: quota, webhook, permissions.
	ReasonWriteRefused = "WriteRefused"
	// ReasonWriteAltered: the API server stored something else than what was written: a mutating webhook.
	ReasonWriteAltered = "WriteAltered"
	// ReasonWriteBudget: the policies of a namespace are changed so often that repairs are limited.
	ReasonWriteBudget = "WriteBudgetExceeded"
	// ReasonWaitingForBaseline: a namespace is not enforced yet, because another baseline that selects it has not been
	// admitted: the deny of one without the allows of the other would cut traffic.
	ReasonWaitingForBaseline = "WaitingForBaseline"
	// ReasonRevision: a revision of the baseline could not be stored or read.
	ReasonRevision = "RevisionUnavailable"
	// ReasonNameTaken: a policy that netbaseline did not create has the name of a generated one, which got another name.
	ReasonNameTaken = "NameTaken"
	// ReasonTerminating: a generated policy is held in deletion by a finalizer.
	ReasonTerminating = "PolicyTerminating"
	// ReasonInvalidSpec: the spec says something that the schema cannot refuse.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonWithheld: the metadata block is not rendered, because it would widen a policy of somebody else.
	ReasonWithheld = "MetadataBlockWithheld"
	// ReasonMetadataReopened: somebody else's policy allows egress to a blocked metadata address.
	ReasonMetadataReopened = "MetadataReopened"
	// ReasonOpenToEveryone: somebody else's policy allows everyone in a direction that is denied by default.
	ReasonOpenToEveryone = "OpenToEveryone"
	// ReasonEffective: nothing undoes the baseline.
	ReasonEffective = "Effective"
	// ReasonPreflightPassed: everything that must be reachable was found; ReasonNotFound: something was not;
	// ReasonHostNetwork: it was, on the host network, where no selector matches it.
	ReasonPreflightPassed = "Found"
	ReasonNotFound        = "NotFound"
	ReasonHostNetwork     = "HostNetwork"
	ReasonPreflightFailed = "PreflightFailed"
	// ReasonCheckFailed: the preflight could not be made.
	ReasonCheckFailed = "CheckFailed"
	// ReasonInfrastructure: a selected namespace runs what the cluster, or the profile itself, relies on.
	ReasonInfrastructure = "InfrastructureSelected"
	// ReasonWithoutEffect: a component renders nothing here, because nothing is denied that it would allow.
	ReasonWithoutEffect = "WithoutEffect"
)
