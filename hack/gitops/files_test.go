// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// read reads a file of the repository.
func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parse reads an object as clients do: whole numbers are int64.
func parse(t *testing.T, data []byte) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	asJSON, err := yaml.YAMLToJSON(data)
	if err == nil {
		err = o.UnmarshalJSON(asJSON)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}
