// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// files are the contents of a bundle's files by path, with slashes, below the bundle's folder.
type files map[string][]byte

// read returns the files of a folder.
func read(dir string) (files, error) {
	out := files{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	return out, err
}

// write makes the folder hold these files and no others.
func (f files) write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, data := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// add adds a file of YAML.
func (f files) add(path string, content any) error {
	data, err := yaml.Marshal(content)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if _, taken := f[path]; taken {
		return fmt.Errorf("two objects would be written to %s", path)
	}
	f[path] = data
	return nil
}

// decode reads every document of a stream.
func decode(r io.Reader) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(r)); ; {
		data, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		// By way of JSON, which keeps integers apart from floats.
		if data, err = yaml.YAMLToJSONStrict(data); err != nil {
			return nil, err
		}
		if string(data) == "null" {
			continue // nothing but comments
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(data); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
}

// fileName is the name that operator-sdk would give an object's file.
func fileName(o *unstructured.Unstructured) string {
	gvk := o.GroupVersionKind()
	if gvk.Kind == "CustomResourceDefinition" {
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		plural, _, _ := unstructured.NestedString(o.Object, "spec", "names", "plural")
		return fmt.Sprintf("manifests/%s_%s.yaml", group, plural)
	}
	api := gvk.Version
	if gvk.Group != "" {
		api = gvk.Group + "_" + gvk.Version
	}
	return fmt.Sprintf("manifests/%s_%s_%s.yaml", o.GetName(), api, strings.ToLower(gvk.Kind))
}
