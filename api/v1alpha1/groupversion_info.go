// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the API of netbaseline.
// +kubebuilder:object:generate=true
// +groupName=netbaseline.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every type in this package.
var GroupVersion = schema.GroupVersion{Group: "netbaseline.io", Version: "v1alpha1"}

// AddToScheme registers the types of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &NetworkBaseline{}, &NetworkBaselineList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
