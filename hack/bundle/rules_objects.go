// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// supportedKinds are what OLM installs from a bundle: https://olm.operatorframework.io/docs/tasks/creating-operator-bundle.
var supportedKinds = []string{
	"ClusterServiceVersion", "CustomResourceDefinition",
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount",
	"ConfigMap", "Secret", "Service", "PodDisruptionBudget", "PriorityClass", "VerticalPodAutoscaler",
	"PrometheusRule", "ServiceMonitor", "ConsoleYAMLSample", "ConsoleQuickStart", "ConsoleCLIDownload", "ConsoleLink",
}

// objectRules are about what is installed.
var objectRules = []rule{
	{"supported kinds", func(b *bundle) (wrong []string) {
		for _, o := range b.objects {
			wrong = append(wrong, unless(slices.Contains(supportedKinds, o.GetKind()), "%s is of a kind that OLM does not install from a bundle", id(o))...)
		}
		return wrong
	}},
	{"no namespaces", func(b *bundle) (wrong []string) {
		for _, o := range b.objects {
			wrong = append(wrong, unless(o.GetNamespace() == "", "%s has metadata.namespace: the user chooses it", id(o))...)
			subjects, _, _ := unstructured.NestedSlice(o.Object, "subjects")
			for _, s := range subjects {
				subject, _ := s.(map[string]any)
				wrong = append(wrong, unless(subject["namespace"] == nil, "%s names a namespace in subjects: the user chooses it", id(o))...)
			}
		}
		return wrong
	}},
	{"no ServiceAccount of a deployment", func(b *bundle) (wrong []string) {
		for _, o := range b.objects {
			for _, d := range deploymentsOf(b) {
				wrong = append(wrong, unless(o.GetKind() != "ServiceAccount" || o.GetName() != d.Spec.Template.Spec.ServiceAccountName,
					"%s is that of deployment %s: OLM makes it, from the permissions in the ClusterServiceVersion", id(o), d.Name)...)
			}
		}
		return wrong
	}},
	{"unique objects", func(b *bundle) (wrong []string) {
		seen := map[string]bool{}
		for _, o := range b.objects {
			wrong = append(wrong, unless(!seen[id(o)], "%s is there twice", id(o))...)
			seen[id(o)] = true
		}
		return wrong
	}},
	{"install strategy", func(b *bundle) []string {
		wrong := unless(b.csvs[0].Spec.Install.Strategy == "deployment", "spec.install.strategy is %q: it must be deployment", b.csvs[0].Spec.Install.Strategy)
		return append(wrong, unless(len(deploymentsOf(b)) > 0, "spec.install.spec.deployments is empty")...)
	}},
	{"deployments", checkDeployments},
	{"permissions", checkPermissions},
	{"no rights to make CRDs", func(b *bundle) (wrong []string) {
		for _, r := range rulesOf(b) {
			crds := covers(r.APIGroups, "apiextensions.k8s.io") && covers(r.Resources, "customresourcedefinitions")
			makes := covers(r.Verbs, "create") || covers(r.Verbs, "patch")
			wrong = append(wrong, unless(!crds || !makes, "the permissions let the operator create or patch CRDs: OLM alone does that")...)
		}
		return wrong
	}},
	{"CRDs", func(b *bundle) (wrong []string) {
		for _, crd := range b.crds {
			wrong = append(wrong, unless(crd.GetAPIVersion() == "apiextensions.k8s.io/v1", "%s is %s: it must be apiextensions.k8s.io/v1", id(crd), crd.GetAPIVersion())...)
			versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
			for _, v := range versions {
				version, _ := v.(map[string]any)
				_, ok, _ := unstructured.NestedMap(version, "schema", "openAPIV3Schema", "properties", "spec")
				wrong = append(wrong, unless(ok, "%s: version %v has no schema of spec", id(crd), version["name"])...)
			}
		}
		return wrong
	}},
	{"disruption budgets", func(b *bundle) (wrong []string) {
		for _, o := range b.objects {
			if o.GetKind() != "PodDisruptionBudget" {
				continue
			}
			spec, _, _ := unstructured.NestedMap(o.Object, "spec")
			blocks := fmt.Sprint(spec["maxUnavailable"]) == "0" || fmt.Sprint(spec["maxUnavailable"]) == "0%" || fmt.Sprint(spec["minAvailable"]) == "100%"
			wrong = append(wrong, unless(!blocks, "%s lets no pod be evicted, so no node could be drained", id(o))...)
		}
		return wrong
	}},
}

// id is how messages name an object.
func id(o *unstructured.Unstructured) string { return o.GetKind() + " " + o.GetName() }

func deploymentsOf(b *bundle) []deployment { return b.csvs[0].Spec.Install.Spec.Deployments }

func rulesOf(b *bundle) (rules []rbacv1.PolicyRule) {
	for _, p := range slices.Concat(b.csvs[0].Spec.Install.Spec.ClusterPermissions, b.csvs[0].Spec.Install.Spec.Permissions) {
		rules = append(rules, p.Rules...)
	}
	return rules
}

func covers(list []string, word string) bool {
	return slices.Contains(list, word) || slices.Contains(list, "*")
}

func checkDeployments(b *bundle) (wrong []string) {
	csv := b.csvs[0]
	for _, d := range deploymentsOf(b) {
		for _, c := range d.Spec.Template.Spec.Containers {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				wrong = append(wrong, unless(!c.Resources.Requests.Name(name, "").IsZero(), "container %s requests no %s", c.Name, name)...)
			}
			wrong = append(wrong, unless(csv.Annotations["containerImage"] == c.Image, "the annotation containerImage is %q, and container %s runs %q", csv.Annotations["containerImage"], c.Name, c.Image)...)
			wrong = append(wrong, unless(slices.Contains(csv.Spec.RelatedImages, relatedImage{c.Name, c.Image}), "spec.relatedImages lacks %s: clusters without internet mirror what it lists", c.Image)...)
			wrong = append(wrong, unless(strings.HasSuffix(c.Image, ":v"+csv.Spec.Version), "container %s runs %s, which is not of version %s", c.Name, c.Image, csv.Spec.Version)...)
		}
	}
	return wrong
}

func checkPermissions(b *bundle) (wrong []string) {
	for _, d := range deploymentsOf(b) {
		name := d.Spec.Template.Spec.ServiceAccountName
		for list, all := range map[string][]permissions{
			"clusterPermissions": b.csvs[0].Spec.Install.Spec.ClusterPermissions,
			"permissions":        b.csvs[0].Spec.Install.Spec.Permissions,
		} {
			wrong = append(wrong, unless(len(all) == 1 && all[0].ServiceAccountName == name && len(all[0].Rules) > 0,
				"spec.install.spec.%s must grant rights to ServiceAccount %q of deployment %s, and to no other", list, name, d.Name)...)
		}
	}
	for _, o := range b.objects {
		wrong = append(wrong, unless(!strings.HasSuffix(o.GetKind(), "RoleBinding"), "%s binds nobody whom OLM knows: bind rights to the deployment's ServiceAccount, so that they go into the ClusterServiceVersion", id(o))...)
	}
	return wrong
}
