// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// namespace is a name and labels; the API server adds the label with the name.
type namespace struct {
	name   string
	labels map[string]string
}

func newNamespace(name string, labels map[string]string) namespace {
	all := map[string]string{corev1.LabelMetadataName: name}
	maps.Copy(all, labels)
	return namespace{name, all}
}

// manifests are what was read from files.
type manifests struct {
	schema     *Schema
	baselines  []v1alpha1.NetworkBaseline
	namespaces []namespace
	// skipped counts the objects of other kinds, by file and kind.
	skipped map[string]map[string]int

	declaredAt map[string]place
}

// place is where an object was found.
type place struct {
	file     string
	document int
	item     int // of a List; from 1
}

func (p place) String() string {
	out := fmt.Sprintf("%s, document %d", p.file, p.document)
	if p.item > 0 {
		out += fmt.Sprintf(", item %d", p.item)
	}
	return out
}

// read takes the documents of a file. It goes on after errors, so that one run tells all of them.
func (m *manifests) read(ctx context.Context, file string, r io.Reader) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(r))
	var errs []error
	for number := 1; ; number++ {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("%s: %w", file, err))...)
		}
		at := place{file: file, document: number}
		data, err := yaml.YAMLToJSONStrict(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			continue
		}
		if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
			continue // nothing but comments
		}
		var object map[string]any
		if err := utiljson.Unmarshal(data, &object); err != nil {
			errs = append(errs, fmt.Errorf("%s: is no Kubernetes object, which begins with apiVersion and kind", at))
			continue
		}
		errs = append(errs, m.take(ctx, at, object))
	}
}

// take sorts an object by its kind.
func (m *manifests) take(ctx context.Context, at place, object map[string]any) error {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	group, _, _ := strings.Cut(apiVersion, "/")
	switch {
	case apiVersion == "" || kind == "":
		return fmt.Errorf("%s: is no Kubernetes object: write apiVersion: %s and kind: NetworkBaseline", at, v1alpha1.GroupVersion)
	case kind == "List" || kind == "NetworkBaselineList" || kind == "NamespaceList":
		return m.takeItems(ctx, at, object)
	case group == v1alpha1.GroupVersion.Group && (apiVersion != v1alpha1.GroupVersion.String() || kind != "NetworkBaseline"):
		return fmt.Errorf("%s: there is no %s in %s: write apiVersion: %s and kind: NetworkBaseline", at, kind, apiVersion, v1alpha1.GroupVersion)
	case group == v1alpha1.GroupVersion.Group:
		return m.takeBaseline(ctx, at, object)
	case apiVersion == "v1" && kind == "Namespace":
		return m.takeNamespace(at, object)
	}
	if m.skipped[at.file] == nil {
		m.skipped[at.file] = map[string]int{}
	}
	m.skipped[at.file][kind]++
	return nil
}

func (m *manifests) takeItems(ctx context.Context, at place, list map[string]any) error {
	items, _ := list["items"].([]any)
	var errs []error
	for i := range items {
		at.item = i + 1
		object, ok := items[i].(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: is no Kubernetes object", at))
			continue
		}
		errs = append(errs, m.take(ctx, at, object))
	}
	return errors.Join(errs...)
}

func (m *manifests) takeBaseline(ctx context.Context, at place, object map[string]any) error {
	b, invalid := m.schema.Read(ctx, object)
	if len(invalid) > 0 {
		var errs []error
		for _, err := range invalid {
			errs = append(errs, fmt.Errorf("%s: %s", at, wording(err)))
		}
		return errors.Join(errs...)
	}
	if first, again := m.declaredAt[b.Name]; again {
		return fmt.Errorf("%s: metadata.name: NetworkBaseline %s is declared in %s already: rename one of the two", at, b.Name, first)
	}
	m.declaredAt[b.Name] = at
	m.baselines = append(m.baselines, *b)
	return nil
}

func (m *manifests) takeNamespace(at place, object map[string]any) error {
	data, err := utiljson.Marshal(object)
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	var ns corev1.Namespace
	if err := utiljson.Unmarshal(data, &ns); err != nil {
		return fmt.Errorf("%s: Namespace: %w", at, err)
	}
	if ns.Name == "" {
		return fmt.Errorf("%s: metadata.name: write the name of the Namespace", at)
	}
	m.namespaces = append(m.namespaces, newNamespace(ns.Name, ns.Labels))
	return nil
}

// skippedNotes tell which kinds of object were left out, by file.
func (m *manifests) skippedNotes() []string {
	var out []string
	for _, file := range slices.Sorted(maps.Keys(m.skipped)) {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(m.skipped[file])) {
			kinds = append(kinds, fmt.Sprintf("%d %s", m.skipped[file][kind], kind))
		}
		out = append(out, file+": skipped what is neither NetworkBaseline nor Namespace: "+strings.Join(kinds, ", "))
	}
	return out
}
