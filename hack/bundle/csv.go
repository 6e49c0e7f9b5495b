// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The parts of operators.coreos.com/v1alpha1 that a bundle of ours has, as in
// github.com/operator-framework/api/pkg/operators/v1alpha1. Decoding is strict, so nothing else slips in.

type clusterServiceVersion struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec csvSpec `json:"spec"`
}

type csvSpec struct {
	DisplayName    string         `json:"displayName"`
	Description    string         `json:"description"`
	Version        string         `json:"version,omitempty"`
	Maturity       string         `json:"maturity,omitempty"`
	MinKubeVersion string         `json:"minKubeVersion,omitempty"`
	Keywords       []string       `json:"keywords,omitempty"`
	Provider       link           `json:"provider"`
	Maintainers    []maintainer   `json:"maintainers,omitempty"`
	Links          []link         `json:"links,omitempty"`
	Icon           []icon         `json:"icon,omitempty"`
	InstallModes   []installMode  `json:"installModes,omitempty"`
	CRDs           crdLists       `json:"customresourcedefinitions"`
	Install        install        `json:"install"`
	RelatedImages  []relatedImage `json:"relatedImages,omitempty"`
}

type link struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"`
}

type maintainer struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type icon struct {
	Data      string `json:"base64data"`
	MediaType string `json:"mediatype"`
}

type installMode struct {
	Type      string `json:"type"`
	Supported bool   `json:"supported"`
}

type crdLists struct {
	Owned []ownedCRD `json:"owned,omitempty"`
}

type ownedCRD struct {
	Name              string       `json:"name"`
	Version           string       `json:"version"`
	Kind              string       `json:"kind"`
	DisplayName       string       `json:"displayName,omitempty"`
	Description       string       `json:"description,omitempty"`
	Resources         []resource   `json:"resources,omitempty"`
	SpecDescriptors   []descriptor `json:"specDescriptors,omitempty"`
	StatusDescriptors []descriptor `json:"statusDescriptors,omitempty"`
}

type resource struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

type descriptor struct {
	Path        string   `json:"path"`
	DisplayName string   `json:"displayName,omitempty"`
	Description string   `json:"description,omitempty"`
	Descriptors []string `json:"x-descriptors,omitempty"`
}

type install struct {
	Strategy string      `json:"strategy"`
	Spec     installSpec `json:"spec"`
}

type installSpec struct {
	Deployments        []deployment  `json:"deployments"`
	ClusterPermissions []permissions `json:"clusterPermissions,omitempty"`
	Permissions        []permissions `json:"permissions,omitempty"`
}

type deployment struct {
	Name  string                `json:"name"`
	Label map[string]string     `json:"label,omitempty"`
	Spec  appsv1.DeploymentSpec `json:"spec"`
}

type permissions struct {
	ServiceAccountName string              `json:"serviceAccountName"`
	Rules              []rbacv1.PolicyRule `json:"rules"`
}

type relatedImage struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}
