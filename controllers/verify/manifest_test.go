// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"os"
	"reflect"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"
)

// TestManifest: the Job of config/verify runs this command, of the release that config/manager names.
func TestManifest(t *testing.T) {
	job := &batchv1.Job{}
	read(t, "../../config/verify/job.yaml", job)
	var messages discard
	args := job.Spec.Template.Spec.Containers[0].Args
	if len(args) == 0 || args[0] != "verify" {
		t.Fatalf("the Job runs %q", args)
	}
	if _, err := parse(args[1:], messages); err != nil {
		t.Error(err)
	}
	if grace := *job.Spec.Template.Spec.TerminationGracePeriodSeconds; float64(grace) <= cleanup.Seconds() {
		t.Errorf("the Job has %d s to end, and its clean-up takes up to %s", grace, cleanup)
	}
	var ours, managers struct {
		Images []map[string]string `json:"images"`
	}
	read(t, "../../config/verify/kustomization.yaml", &ours)
	read(t, "../../config/manager/kustomization.yaml", &managers)
	if len(ours.Images) != 1 || !reflect.DeepEqual(ours, managers) {
		t.Errorf("config/verify has images %v, and config/manager has %v", ours.Images, managers.Images)
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
