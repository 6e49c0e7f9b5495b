// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// release is what the manifests do not say.
type release struct {
	version, created string
	platforms        []string
	icon             []byte
}

// assembly sorts objects into what goes into the CSV and what becomes a file of its own.
type assembly struct {
	csv             clusterServiceVersion
	deployments     []deployment
	crds, samples   []*unstructured.Unstructured
	serviceAccounts []string
	roles           map[string]rbacv1.ClusterRole // by kind and name; a Role's rules look the same
	bindings        []rbacv1.ClusterRoleBinding
	others          []*unstructured.Unstructured
}

// assemble makes the files of a bundle.
func assemble(objects []*unstructured.Unstructured, r *release) (files, error) {
	a := &assembly{roles: map[string]rbacv1.ClusterRole{}}
	for _, o := range objects {
		if err := a.add(o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	if a.csv.Name == "" {
		return nil, errors.New("the manifests have no ClusterServiceVersion: config/manifests/bases should")
	}
	a.permit()
	if err := a.describe(); err != nil {
		return nil, err
	}
	if err := a.release(r); err != nil {
		return nil, err
	}

	out := metadata()
	for _, o := range append(a.crds, a.others...) {
		o.SetNamespace("")
		if err := out.add(fileName(o), o.Object); err != nil {
			return nil, err
		}
	}
	return out, out.add("manifests/"+packageName+".clusterserviceversion.yaml", &a.csv)
}

func (a *assembly) add(o *unstructured.Unstructured) error {
	switch o.GetKind() {
	case "ClusterServiceVersion":
		return convert(o, &a.csv)
	case "CustomResourceDefinition":
		a.crds = append(a.crds, o)
	case "NetworkBaseline":
		a.samples = append(a.samples, o)
	case "Namespace", "ServiceAccount", "Deployment":
		return a.install(o)
	case "ClusterRole", "Role":
		role := rbacv1.ClusterRole{}
		if err := convert(o, &role); err != nil {
			return err
		}
		a.roles[o.GetKind()+" "+o.GetName()] = role
		a.others = append(a.others, o)
	case "ClusterRoleBinding", "RoleBinding":
		binding := rbacv1.ClusterRoleBinding{}
		if err := convert(o, &binding); err != nil {
			return err
		}
		a.bindings = append(a.bindings, binding)
		a.others = append(a.others, o)
	default:
		a.others = append(a.others, o)
	}
	return nil
}

// install leaves to OLM what OLM makes: the user chooses the namespace, and OLM creates the ServiceAccount.
func (a *assembly) install(o *unstructured.Unstructured) error {
	if o.GetKind() != "Deployment" {
		return nil
	}
	d := &appsv1.Deployment{}
	if err := convert(o, d); err != nil {
		return err
	}
	a.serviceAccounts = append(a.serviceAccounts, d.Spec.Template.Spec.ServiceAccountName)
	a.deployments = append(a.deployments, deployment{Name: d.Name, Label: d.Labels, Spec: d.Spec})
	return nil
}

// permit moves what is bound to the deployments' ServiceAccounts into the CSV, from which OLM makes it again.
func (a *assembly) permit() {
	for _, binding := range a.bindings {
		if len(binding.Subjects) != 1 || binding.Subjects[0].Kind != rbacv1.ServiceAccountKind ||
			!slices.Contains(a.serviceAccounts, binding.Subjects[0].Name) {
			continue
		}
		role := a.roles[binding.RoleRef.Kind+" "+binding.RoleRef.Name]
		spec := &a.csv.Spec.Install.Spec
		list := &spec.ClusterPermissions
		if binding.Kind == "RoleBinding" {
			list = &spec.Permissions
		}
		grant(list, binding.Subjects[0].Name, role.Rules)
		a.others = slices.DeleteFunc(a.others, func(o *unstructured.Unstructured) bool {
			return o.GetKind() == binding.Kind && o.GetName() == binding.Name ||
				o.GetKind() == binding.RoleRef.Kind && o.GetName() == binding.RoleRef.Name
		})
	}
}

func grant(list *[]permissions, serviceAccount string, rules []rbacv1.PolicyRule) {
	for i := range *list {
		if (*list)[i].ServiceAccountName == serviceAccount {
			(*list)[i].Rules = append((*list)[i].Rules, rules...)
			return
		}
	}
	*list = append(*list, permissions{serviceAccount, rules})
}

// release fills in what a release decides.
func (a *assembly) release(r *release) error {
	examples, err := almExamples(a.samples)
	if err != nil {
		return err
	}
	csv := &a.csv
	csv.Name = packageName + ".v" + r.version
	csv.Annotations["alm-examples"] = examples
	csv.Annotations["createdAt"] = r.created
	csv.Spec.Version = r.version
	csv.Spec.Install.Strategy = "deployment"
	csv.Spec.Install.Spec.Deployments = a.deployments
	csv.Spec.Icon = []icon{{Data: base64.StdEncoding.EncodeToString(r.icon), MediaType: "image/svg+xml"}}
	csv.Labels = map[string]string{}
	for _, platform := range r.platforms {
		system, arch, ok := strings.Cut(platform, "/")
		if !ok {
			return fmt.Errorf("platform %q: write an operating system and an architecture, linux/amd64 say", platform)
		}
		csv.Labels["operatorframework.io/os."+system] = "supported"
		csv.Labels["operatorframework.io/arch."+arch] = "supported"
	}
	for _, d := range a.deployments {
		for _, c := range d.Spec.Template.Spec.Containers {
			csv.Annotations["containerImage"] = c.Image
			csv.Spec.RelatedImages = append(csv.Spec.RelatedImages, relatedImage{c.Name, c.Image})
		}
	}
	return nil
}

// almExamples is a JSON array. The sample of the README comes first: the scorecard takes one per kind.
func almExamples(samples []*unstructured.Unstructured) (string, error) {
	slices.SortStableFunc(samples, func(x, y *unstructured.Unstructured) int {
		rank := func(o *unstructured.Unstructured) int {
			if o.GetName() == "production" {
				return 0
			}
			return 1
		}
		return rank(x) - rank(y)
	})
	examples := make([]map[string]any, 0, len(samples))
	for _, o := range samples {
		examples = append(examples, o.Object)
	}
	data, err := json.MarshalIndent(examples, "", "  ")
	return string(data), err
}

func convert(o *unstructured.Unstructured, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true)
}
