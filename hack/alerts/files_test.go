// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

const rulesFile = "../../config/prometheus/rules.yaml"

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path) //nolint:gosec // a file of the repository
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// decode refuses fields that the kind does not have.
func decode(t *testing.T, manifest []byte, into any) {
	t.Helper()
	if len(manifest) == 0 {
		t.Fatalf("no %T", into)
	}
	if err := yaml.UnmarshalStrict(manifest, into); err != nil {
		t.Fatalf("%T: %v", into, err)
	}
}

func prometheusRule(t *testing.T) *monitoringv1.PrometheusRule {
	t.Helper()
	rule := &monitoringv1.PrometheusRule{}
	decode(t, []byte(read(t, rulesFile)), rule)
	return rule
}

// alerts are all rules.
func alerts(t *testing.T) []monitoringv1.Rule {
	t.Helper()
	var out []monitoringv1.Rule
	for _, group := range prometheusRule(t).Spec.Groups {
		out = append(out, group.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("no alerts")
	}
	return out
}

// build is what kustomize makes of a folder: manifests by "<kind> <namespace>/<name>".
func build(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "tool", "-modfile=hack/tools/go.mod", "kustomize", "build", folder) //nolint:gosec // a folder of the repository
	command.Dir = "../.."
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v\n%s", folder, err, stderr.String())
	}
	manifests := map[string][]byte{}
	for manifest := range bytes.SplitSeq(out, []byte("\n---\n")) {
		var object struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Namespace string `json:"namespace"`
				Name      string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal(manifest, &object); err != nil {
			t.Fatal(err)
		}
		manifests[object.Kind+" "+object.Metadata.Namespace+"/"+object.Metadata.Name] = manifest
	}
	return manifests
}
