// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const (
	appName      = "netbaseline"
	appNamespace = "netbaseline-system"
	// placeholder is the namespace in folders that kustomize builds without config/default's namespace and prefix.
	placeholderNamespace = "system"
)

// These stand in for what only Helm knows, until the object is text.
const (
	fullname  = "__fullname__"
	namespace = "__namespace__"
	labels    = "__labels__"
	keep      = "__keep__"
)

type object = *unstructured.Unstructured

// folders are the objects of each folder, in kustomize's order.
type folders map[string][]object

func (f folders) build(kustomize []string, folder string) error {
	if _, done := f[folder]; done {
		return nil
	}
	f[folder] = nil
	command := exec.Command(kustomize[0], append(kustomize[1:], "build", folder)...) //nolint:gosec,noctx // a tool of the Makefile, to its end
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", folder, err, stderr.Bytes())
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading what kustomize builds of %s: %w", folder, err)
		}
		f[folder] = append(f[folder], o)
	}
}

// render returns the templates by file name.
func render(f folders) (map[string]string, error) {
	templates := map[string]string{}
	taken := map[object]bool{}
	known := f.names()
	for _, r := range rows {
		var text strings.Builder
		for _, o := range f[r.folder] {
			if taken[o] || !r.takes(o) {
				continue
			}
			taken[o] = true
			if r.template == "" {
				continue
			}
			one, err := r.text(o.DeepCopy(), known)
			if err != nil {
				return nil, fmt.Errorf("%s %s of %s: %w", o.GetKind(), o.GetName(), r.folder, err)
			}
			text.WriteString("---\n" + one)
		}
		if r.template == "" {
			continue
		}
		if text.Len() == 0 {
			return nil, fmt.Errorf("the row of %s finds nothing in %s", r.template, r.folder)
		}
		body, err := r.values(text.String())
		if err != nil {
			return nil, err
		}
		if r.when != "" {
			body = "{{- if " + r.when + " }}\n" + body + "{{- end }}\n"
		}
		templates[r.template] = "{{- /* Generated from " + r.folder + " by `make chart`. */}}\n" + body
	}
	for folder, objects := range f {
		for _, o := range objects {
			if !taken[o] {
				return nil, fmt.Errorf("no row of hack/chart/rows.go takes the %s %s of %s: add one, or put it into an existing one", o.GetKind(), o.GetName(), folder)
			}
		}
	}
	return templates, nil
}

// names are those of all objects that Helm's release name goes into, as config/default has them.
func (f folders) names() map[string]bool {
	known := map[string]bool{}
	for _, objects := range f {
		for _, o := range objects {
			known[prefixed(o.GetName())] = true
		}
	}
	return known
}

func prefixed(name string) string {
	if name == appName || strings.HasPrefix(name, appName+"-") {
		return name
	}
	return appName + "-" + name
}

// text is the template of one object.
func (r row) text(o object, known map[string]bool) (string, error) {
	if o.GetKind() != "CustomResourceDefinition" {
		o.SetName(prefixed(o.GetName()))
		rename(o.Object, known)
	}
	own := o.GetLabels()
	if own == nil {
		own = map[string]string{}
	}
	// Those that Helm sets itself.
	delete(own, "app.kubernetes.io/name")
	delete(own, "app.kubernetes.io/managed-by")
	own[labels] = ""
	o.SetLabels(own)
	if r.keep != "" {
		annotations := o.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[keep] = ""
		o.SetAnnotations(annotations)
	}
	text, err := yaml.Marshal(o.Object)
	if err != nil {
		return "", err
	}
	// What looks like Helm's, in an alert or a dashboard, is not; and our namespace may be named in an expression.
	return strings.NewReplacer("{{", `{{ "{{" }}`, appNamespace, namespace).Replace(string(text)), nil
}

// values puts Helm's expressions into the text of the row's objects.
func (r row) values(text string) (string, error) {
	for _, replacement := range r.replace {
		if !replacement.pattern.MatchString(text) {
			return "", fmt.Errorf("%s: nothing in %s matches %s: the row in hack/chart/rows.go is out of date", r.template, r.folder, replacement.pattern)
		}
		text = replacement.pattern.ReplaceAllString(text, replacement.with)
	}
	include := `{{- include "netbaseline.labels" . | nindent 4 }}`
	if r.labels != "" {
		include += "\n    {{- with " + r.labels + " }}{{ toYaml . | nindent 4 }}{{ end }}"
	}
	return strings.NewReplacer(
		fullname, `{{ include "netbaseline.fullname" . }}`,
		namespace, "{{ .Release.Namespace }}",
		labels+`: ""`, include,
		keep+`: ""`, "{{- if "+r.keep+" }}\n    helm.sh/resource-policy: keep\n    {{- end }}",
	).Replace(text), nil
}

// rename lets every name of an object of ours, and our namespace, follow the release.
func rename(node any, known map[string]bool) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			s, ok := value.(string)
			switch {
			case !ok:
				rename(value, known)
			case key == "namespace" && (s == appNamespace || s == placeholderNamespace):
				node[key] = namespace
			case (key == "name" || strings.HasSuffix(key, "Name")) && known[s]:
				node[key] = fullname + strings.TrimPrefix(s, appName)
			}
		}
	case []any:
		for _, item := range node {
			rename(item, known)
		}
	}
}
