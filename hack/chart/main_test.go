// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const changelog = `# Changelog

## [Unreleased]

### Added

- One,
  on two lines.
- Two.

### Fixed

- Three.

## [0.1.0] - 2026-01-01

### Security

- Four.
`

func TestChangesOf(t *testing.T) {
	for _, tc := range []struct {
		name, version, log string
		want               []change
	}{
		{"a release", "0.1.0", changelog, []change{{"security", "Four."}}},
		{"what comes next", "0.2.0", changelog, []change{{"added", "One, on two lines."}, {"added", "Two."}, {"fixed", "Three."}}},
		{"neither", "0.2.0", "# Changelog\n", nil},
		{"nothing in it", "0.2.0", "\n## [Unreleased]\n\n## [0.1.0]\n- x\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := changesOf(tc.version, tc.log)
			if !slices.Equal(got, tc.want) || (err == nil) != (tc.want != nil) {
				t.Errorf("got %q (%v), want %q", got, err, tc.want)
			}
		})
	}
}

func objectOf(kind, name string) object {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "system"}}}
}

// TestEveryObjectHasARow: what is added to config/ must not be missing from the chart unnoticed.
func TestEveryObjectHasARow(t *testing.T) {
	complete := folders{}
	// Such a row wants the text that it replaces.
	all := rows
	t.Cleanup(func() { rows = all })
	rows = slices.DeleteFunc(slices.Clone(all), func(r row) bool { return len(r.replace) > 0 })
	for _, r := range rows {
		kind, name := "Any", "any"
		if len(r.kinds) > 0 {
			kind = r.kinds[0]
		}
		if len(r.names) > 0 {
			name = r.names[0]
		}
		complete[r.folder] = append(complete[r.folder], objectOf(kind, name))
	}
	if _, err := render(complete); err != nil {
		t.Fatal(err)
	}
	complete["config/default"] = append(complete["config/default"], objectOf("Secret", "new"))
	if _, err := render(complete); err == nil || !strings.Contains(err.Error(), "no row of hack/chart/rows.go takes the Secret new of config/default") {
		t.Errorf("got %v", err)
	}
	delete(complete, "config/flow-control")
	if _, err := render(complete); err == nil || !strings.Contains(err.Error(), "finds nothing in config/flow-control") {
		t.Errorf("got %v", err)
	}
}

func TestTextFollowsTheRelease(t *testing.T) {
	o := objectOf("RoleBinding", "metrics")
	o.Object["roleRef"] = map[string]any{"name": "netbaseline-role", "kind": "Role"}
	o.Object["subjects"] = []any{map[string]any{"name": "system:masters", "namespace": "netbaseline-system"}}
	o.Object["note"] = "{{ $labels.baseline }} in netbaseline-system"
	r := row{keep: ".Values.keep", labels: ".Values.more"}
	text, err := r.text(o, map[string]bool{"netbaseline-role": true, "netbaseline-metrics": true})
	if err != nil {
		t.Fatal(err)
	}
	if text, err = r.values(text); err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: v1
kind: RoleBinding
metadata:
  annotations:
    {{- if .Values.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
  labels:
    {{- include "netbaseline.labels" . | nindent 4 }}
    {{- with .Values.more }}{{ toYaml . | nindent 4 }}{{ end }}
  name: {{ include "netbaseline.fullname" . }}-metrics
  namespace: {{ .Release.Namespace }}
note: '{{ "{{" }} $labels.baseline }} in {{ .Release.Namespace }}'
roleRef:
  kind: Role
  name: {{ include "netbaseline.fullname" . }}-role
subjects:
- name: system:masters
  namespace: {{ .Release.Namespace }}
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
