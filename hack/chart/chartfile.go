// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

//go:embed Chart.yaml.tmpl
var chartFile string

// example is what Artifact Hub shows beside the CRD.
const example = "config/samples/netbaseline_v1alpha1_networkbaseline.yaml"

// change is an entry of Artifact Hub's list of changes.
type change struct {
	Kind        string `json:"kind"` // added, changed, deprecated, removed, fixed, security
	Description string `json:"description"`
}

// writeChartFile writes Chart.yaml, whose version, changes, CRDs and example each have their one place elsewhere.
func writeChartFile(version string, f folders) error {
	log, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	changes, err := changesOf(version, string(log))
	if err != nil {
		return err
	}
	sample, err := os.ReadFile(example)
	if err != nil {
		return err
	}
	var crds []map[string]string
	for _, o := range f["config/default"] {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
		for _, v := range versions {
			name, _, _ := unstructured.NestedString(v.(map[string]any), "name")
			crds = append(crds, map[string]string{
				"kind": kind, "name": o.GetName(), "version": name, "displayName": kind,
				"description": "The NetworkPolicies that every selected namespace holds",
			})
		}
	}
	fields := map[string]any{"Version": version}
	for name, list := range map[string]any{"Changes": changes, "CRDs": crds} {
		text, err := yaml.Marshal(list)
		if err != nil {
			return err
		}
		fields[name] = indent(string(text))
	}
	// Artifact Hub wants a list.
	var parsed any
	if err := yaml.Unmarshal(sample, &parsed); err != nil {
		return fmt.Errorf("%s: %w", example, err)
	}
	text, err := yaml.Marshal([]any{parsed})
	if err != nil {
		return err
	}
	fields["Examples"] = indent(string(text))

	var out bytes.Buffer
	if err := template.Must(template.New("Chart.yaml").Option("missingkey=error").Parse(chartFile)).Execute(&out, fields); err != nil {
		return err
	}
	return os.WriteFile("dist/chart/Chart.yaml", out.Bytes(), 0o644)
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

// changesOf reads the entries of the version, or those that are not released yet, out of a changelog of the form of
// keepachangelog.com.
func changesOf(version, log string) ([]change, error) {
	section := func(heading string) (string, bool) {
		_, after, found := strings.Cut(log, "\n## ["+heading+"]")
		before, _, _ := strings.Cut(after, "\n## [")
		return before, found
	}
	text, found := section(version)
	if !found {
		if text, found = section("Unreleased"); !found {
			return nil, fmt.Errorf("CHANGELOG.md has neither a section [%s] nor [Unreleased]", version)
		}
	}
	var changes []change
	kind := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "### "):
			kind = strings.ToLower(strings.TrimPrefix(line, "### "))
		case strings.HasPrefix(line, "- "):
			changes = append(changes, change{Kind: kind, Description: strings.TrimPrefix(line, "- ")})
		case strings.HasPrefix(line, "  ") && len(changes) > 0:
			changes[len(changes)-1].Description += " " + strings.TrimSpace(line)
		}
	}
	if len(changes) == 0 {
		return nil, errors.New("the newest section of CHANGELOG.md has no entries")
	}
	return changes, nil
}
