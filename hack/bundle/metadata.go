// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

const (
	packageName = "netbaseline"
	// channel is that of releases which nobody has run for long yet. OperatorHub knows candidate, fast and stable.
	channel = "candidate"
	// scorecardImage holds the scorecard's own tests.
	scorecardImage = "quay.io/operator-framework/scorecard-test:v1.41.1"
)

// labels say what is where in a bundle. Its annotations and its image's labels have to be the same.
var labels = map[string]string{
	"operators.operatorframework.io.bundle.mediatype.v1":       "registry+v1",
	"operators.operatorframework.io.bundle.manifests.v1":       "manifests/",
	"operators.operatorframework.io.bundle.metadata.v1":        "metadata/",
	"operators.operatorframework.io.bundle.package.v1":         packageName,
	"operators.operatorframework.io.bundle.channels.v1":        channel,
	"operators.operatorframework.io.bundle.channel.default.v1": channel,
	"operators.operatorframework.io.test.mediatype.v1":         "scorecard+v1",
	"operators.operatorframework.io.test.config.v1":            "tests/scorecard/",
}

// scorecardTests are all that the scorecard comes with.
var scorecardTests = []struct{ suite, name string }{
	{"basic", "basic-check-spec"},
	{"olm", "olm-bundle-validation"},
	{"olm", "olm-crds-have-validation"},
	{"olm", "olm-crds-have-resources"},
	{"olm", "olm-spec-descriptors"},
	{"olm", "olm-status-descriptors"},
}

type annotationsFile struct {
	Annotations map[string]string `json:"annotations"`
}

type scorecardFile struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Stages     []scorecardStage  `json:"stages"`
}

type scorecardStage struct {
	Parallel bool            `json:"parallel"`
	Tests    []scorecardTest `json:"tests"`
}

type scorecardTest struct {
	Image      string            `json:"image"`
	Entrypoint []string          `json:"entrypoint"`
	Labels     map[string]string `json:"labels"`
}

// metadata are the files that say what the bundle is.
func metadata() files {
	stage := scorecardStage{Parallel: true}
	for _, test := range scorecardTests {
		stage.Tests = append(stage.Tests, scorecardTest{
			Image:      scorecardImage,
			Entrypoint: []string{"scorecard-test", test.name},
			Labels:     map[string]string{"suite": test.suite, "test": test.name + "-test"},
		})
	}
	out := files{"Dockerfile": dockerfile()}
	for path, content := range map[string]any{
		"metadata/annotations.yaml": annotationsFile{labels},
		"tests/scorecard/config.yaml": scorecardFile{
			"scorecard.operatorframework.io/v1alpha3", "Configuration", map[string]string{"name": "config"}, []scorecardStage{stage},
		},
	} {
		if err := out.add(path, content); err != nil {
			panic(err) // plain strings can be written
		}
	}
	return out
}

func dockerfile() []byte {
	var b bytes.Buffer
	b.WriteString("# The bundle's image: docker build -f bundle/Dockerfile bundle\nFROM scratch\n\n")
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "LABEL %s=%s\n", name, labels[name])
	}
	b.WriteString("\nCOPY manifests /manifests/\nCOPY metadata /metadata/\nCOPY tests/scorecard /tests/scorecard/\n")
	return b.Bytes()
}
