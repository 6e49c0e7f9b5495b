// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// describe fills in the owned CRDs' descriptions and descriptors: those that the schema has, so that they never differ.
func (a *assembly) describe() error {
	for i := range a.csv.Spec.CRDs.Owned {
		owned := &a.csv.Spec.CRDs.Owned[i]
		at := slices.IndexFunc(a.crds, func(o *unstructured.Unstructured) bool { return o.GetName() == owned.Name })
		if at < 0 {
			return fmt.Errorf("the ClusterServiceVersion owns %s, which the manifests don't have", owned.Name)
		}
		schema := schemaOf(a.crds[at], owned.Version)
		owned.Description = descriptionOf(schema)
		owned.SpecDescriptors = descriptors(schema, "spec", nil)
		owned.StatusDescriptors = descriptors(schema, "status", map[string][]string{
			"conditions": {"urn:alm:descriptor:io.kubernetes.conditions"},
		})
	}
	return nil
}

// descriptors describe the fields at the top of a part of the schema, in order.
func descriptors(schema map[string]any, part string, widgets map[string][]string) []descriptor {
	fields, _, _ := unstructured.NestedMap(schema, "properties", part, "properties")
	var out []descriptor
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field, _ := fields[name].(map[string]any)
		out = append(out, descriptor{
			Path:        name,
			DisplayName: title(name),
			Description: descriptionOf(field),
			Descriptors: widgets[name],
		})
	}
	return out
}

// schemaOf returns the schema of a version of a CRD; empty when there is none.
func schemaOf(crd *unstructured.Unstructured, version string) map[string]any {
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		if v, ok := v.(map[string]any); ok && v["name"] == version {
			schema, _, _ := unstructured.NestedMap(v, "schema", "openAPIV3Schema")
			return schema
		}
	}
	return nil
}

// descriptionOf is the description in one line: the lines of Go's comments mean nothing.
func descriptionOf(schema map[string]any) string {
	text, _, _ := unstructured.NestedString(schema, "description")
	return strings.Join(strings.Fields(text), " ")
}

// title makes words of a field's name: namespaceSelector is Namespace selector.
func title(field string) string {
	var words strings.Builder
	for i, r := range field {
		switch {
		case i == 0:
			words.WriteRune(unicode.ToUpper(r))
		case unicode.IsUpper(r):
			words.WriteByte(' ')
			words.WriteRune(unicode.ToLower(r))
		default:
			words.WriteRune(r)
		}
	}
	return words.String()
}
