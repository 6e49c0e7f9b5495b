// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// bundle is what the rules read: the files, and what is in them.
type bundle struct {
	files       files
	annotations map[string]string
	dockerfile  string
	scorecard   scorecardFile
	// csvs is one, if the bundle is right.
	csvs    []*clusterServiceVersion
	crds    []*unstructured.Unstructured
	objects []*unstructured.Unstructured // all, CSVs and CRDs too
	// documents counts the documents of each manifest.
	documents map[string]int
}

// parse decodes a bundle's files, strictly.
func parse(f files) (*bundle, error) {
	b := &bundle{files: f, dockerfile: string(f["Dockerfile"]), documents: map[string]int{}}
	var meta annotationsFile
	if err := errors.Join(
		yaml.UnmarshalStrict(f["metadata/annotations.yaml"], &meta),
		yaml.UnmarshalStrict(f["tests/scorecard/config.yaml"], &b.scorecard),
	); err != nil {
		return nil, err
	}
	b.annotations = meta.Annotations
	for name, data := range f {
		if path.Dir(name) != "manifests" {
			continue
		}
		objects, err := decode(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b.documents[name] = len(objects)
		for _, o := range objects {
			if err := b.add(o); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return b, nil
}

func (b *bundle) add(o *unstructured.Unstructured) error {
	b.objects = append(b.objects, o)
	switch o.GetKind() {
	case "ClusterServiceVersion":
		csv := &clusterServiceVersion{}
		b.csvs = append(b.csvs, csv)
		return convert(o, csv)
	case "CustomResourceDefinition":
		b.crds = append(b.crds, o)
	}
	return nil
}

// rule is one thing that `operator-sdk bundle validate`, with the operatorhub and good-practices suites, or the scorecard
// demands. check returns what is wrong, in words that say what to write instead.
type rule struct {
	name  string
	check func(*bundle) []string
}

// structure is checked before the other rules, which rely on it.
var structure = []rule{
	{"one document in each manifest", func(b *bundle) (wrong []string) {
		for name, n := range b.documents {
			if n != 1 {
				wrong = append(wrong, fmt.Sprintf("%s holds %d documents: OLM reads the first, so write one", name, n))
			}
		}
		return wrong
	}},
	{"no folders among the manifests", func(b *bundle) (wrong []string) {
		for name := range b.files {
			if strings.HasPrefix(name, "manifests/") && path.Dir(name) != "manifests" {
				wrong = append(wrong, name+" is in a folder below manifests/: put it into manifests/ itself")
			}
		}
		return wrong
	}},
	{"exactly one ClusterServiceVersion", func(b *bundle) []string {
		return unless(len(b.csvs) == 1, "the bundle has %d ClusterServiceVersions: it must have one", len(b.csvs))
	}},
	{"annotations of the bundle", func(b *bundle) (wrong []string) {
		for name, want := range map[string]string{
			"mediatype.v1": "registry+v1", "manifests.v1": "manifests/", "metadata.v1": "metadata/", "package.v1": "netbaseline",
		} {
			got := b.annotations[bundleAnnotation+name]
			wrong = append(wrong, unless(got == want, "metadata/annotations.yaml: %s%s is %q: it must be %q", bundleAnnotation, name, got, want)...)
		}
		return wrong
	}},
	{"channels", checkChannels},
	{"the Dockerfile's labels are the annotations", checkDockerfile},
	{"scorecard configuration", checkScorecard},
	{"size", func(b *bundle) []string {
		size := 0
		for _, data := range b.files {
			size += len(data)
		}
		// OLM unpacks a bundle into a ConfigMap. It compresses first; ours is to fit without.
		return unless(size < 1<<20, "the bundle has %d bytes: a ConfigMap holds 1048576", size)
	}},
}

const bundleAnnotation = "operators.operatorframework.io.bundle."

// check returns everything that is wrong with a bundle, or nil.
func check(b *bundle) error {
	if err := apply(b, structure); err != nil {
		return err
	}
	return apply(b, slices.Concat(csvRules, objectRules))
}

func apply(b *bundle, rules []rule) error {
	var errs []error
	for _, r := range rules {
		for _, wrong := range r.check(b) {
			errs = append(errs, fmt.Errorf("%s: %s", r.name, wrong))
		}
	}
	return errors.Join(errs...)
}

// unless returns the message when the condition does not hold.
func unless(holds bool, format string, args ...any) []string {
	if holds {
		return nil
	}
	return []string{fmt.Sprintf(format, args...)}
}

func checkChannels(b *bundle) (wrong []string) {
	channels := strings.Split(b.annotations[bundleAnnotation+"channels.v1"], ",")
	for _, name := range channels {
		wrong = append(wrong, unless(slices.Contains([]string{"candidate", "fast", "stable"}, name),
			"channel %q: write candidate, fast or stable", name)...)
	}
	first := b.annotations[bundleAnnotation+"channel.default.v1"]
	return append(wrong, unless(slices.Contains(channels, first), "the default channel %q is not among the channels %q", first, channels)...)
}

func checkDockerfile(b *bundle) (wrong []string) {
	for name, value := range b.annotations {
		label := fmt.Sprintf("LABEL %s=%s\n", name, value)
		wrong = append(wrong, unless(strings.Contains(b.dockerfile, label), "the Dockerfile lacks %q", label)...)
	}
	for _, folder := range []string{"manifests", "metadata", "tests/scorecard"} {
		line := fmt.Sprintf("COPY %s /%s/\n", folder, folder)
		wrong = append(wrong, unless(strings.Contains(b.dockerfile, line), "the Dockerfile lacks %q", line)...)
	}
	return append(wrong, unless(strings.Count(b.dockerfile, "LABEL ") == len(b.annotations),
		"the Dockerfile has labels that metadata/annotations.yaml lacks")...)
}

func checkScorecard(b *bundle) []string {
	c := b.scorecard
	wrong := unless(c.APIVersion == "scorecard.operatorframework.io/v1alpha3" && c.Kind == "Configuration" && c.Metadata["name"] == "config",
		"tests/scorecard/config.yaml is %s %s %s: it must be scorecard.operatorframework.io/v1alpha3 Configuration config", c.APIVersion, c.Kind, c.Metadata["name"])
	var tests []string
	for _, stage := range c.Stages {
		for _, test := range stage.Tests {
			tests = append(tests, strings.Join(test.Entrypoint, " "))
			wrong = append(wrong, unless(test.Image != "" && !strings.HasSuffix(test.Image, ":latest") && test.Labels["suite"] != "",
				"scorecard test %s: it needs an image of a fixed version and the label suite", test.Entrypoint)...)
		}
	}
	for _, name := range []string{"basic-check-spec", "olm-bundle-validation", "olm-crds-have-validation",
		"olm-crds-have-resources", "olm-spec-descriptors", "olm-status-descriptors"} {
		wrong = append(wrong, unless(slices.Contains(tests, "scorecard-test "+name), "scorecard test %s is missing", name)...)
	}
	return wrong
}
