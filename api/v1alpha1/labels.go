// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// What every generated NetworkPolicy carries, beside its controller ownerReference.
const (
	// ManagedByLabel and ManagedByValue say who manages a policy, in the vocabulary of
	// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedByValue = "netbaseline"
	// BaselineLabel names the NetworkBaseline that asked for a policy.
	BaselineLabel = "netbaseline.io/baseline"
	// ComponentLabel names the component of the profile, or the flow, that a policy renders.
	ComponentLabel = "netbaseline.io/component"
	// DescriptionAnnotation explains a policy in one plain sentence to whoever finds it.
	DescriptionAnnotation = "netbaseline.io/description"
)

// Finalizer keeps a deleted NetworkBaseline until its policies are gone in an order that never denies what is
// allowed before and after. Namespaces and policies never carry it.
const Finalizer = "netbaseline.io/ordered-removal"
