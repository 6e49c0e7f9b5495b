// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// objects by kind and name.
type objects map[string]*unstructured.Unstructured

func parse(t *testing.T, text string) objects {
	t.Helper()
	all := objects{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if len(o.Object) == 0 {
			continue
		}
		key := o.GetKind() + " " + o.GetName()
		if all[key] != nil {
			t.Fatalf("%s is there twice", key)
		}
		all[key] = o
	}
}

func (o objects) keys() []string { return slices.Sorted(maps.Keys(o)) }

// without returns the objects that are not in the others.
func (o objects) without(others objects) objects {
	left := maps.Clone(o)
	maps.DeleteFunc(left, func(key string, _ *unstructured.Unstructured) bool { return others[key] != nil })
	return left
}

// as converts the one object of the kind.
func as[T any](t *testing.T, all objects, kind string) *T {
	t.Helper()
	var found *unstructured.Unstructured
	for key, o := range all {
		if strings.HasPrefix(key, kind+" ") {
			if found != nil {
				t.Fatalf("more than one %s: %q", kind, all.keys())
			}
			found = o
		}
	}
	if found == nil {
		t.Fatalf("no %s in %q", kind, all.keys())
	}
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(found.Object, typed, true); err != nil {
		t.Fatal(err)
	}
	return typed
}
