// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestLint(t *testing.T) {
	out := helm(t, "lint", "--strict", "--kube-version", "v1.30.0", chart)
	if strings.Contains(out, "[INFO]") {
		t.Errorf("Helm has something to say:\n%s", out)
	}
}

// TestDefaultsAreConfigDefault compares everything but what Helm and kustomize each add: the labels of their own, the
// annotation that keeps the CRD, and the namespace, which Helm creates.
func TestDefaultsAreConfigDefault(t *testing.T) {
	want, got := kustomize(t, "config/default"), render(t)
	delete(want, "Namespace "+home)
	for _, all := range []objects{want, got} {
		for _, o := range all {
			labels, annotations := o.GetLabels(), o.GetAnnotations()
			for _, own := range []string{"app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "app.kubernetes.io/version", "helm.sh/chart"} {
				delete(labels, own)
			}
			delete(annotations, "helm.sh/resource-policy")
			o.SetLabels(labels)
			o.SetAnnotations(annotations)
		}
	}
	for _, key := range slices.Compact(slices.Sorted(slices.Values(append(want.keys(), got.keys()...)))) {
		if diff := cmp.Diff(want[key], got[key]); diff != "" {
			t.Errorf("%s: config/default (-) and the chart (+) differ:\n%s", key, diff)
		}
	}
}

func TestSchema(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{"replica=3", "additional properties 'replica' not allowed"},
		{"metrics.serviceMonitor.enable=true", "additional properties 'enable' not allowed"},
		{"workers=0", "'/workers': minimum: got 0, want 1"},
		{"logLevel=verbose", "'/logLevel': 'verbose' does not match"},
		{"protectedNamespaces={Kube-System}", "'/protectedNamespaces/0': 'Kube-System' does not match"},
		{"crds.enabled=yes", "'/crds/enabled': got string, want boolean"},
	} {
		_, err := command(t, helmBinary, "template", "netbaseline", chart, "--set", tc.set)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("--set %s: got %v, want it to say %q", tc.set, err, tc.want)
		}
	}
}

// TestSchemaKnowsEveryValue: one that it lacks would be refused, one that values.yaml lacks would go undocumented.
func TestSchemaKnowsEveryValue(t *testing.T) {
	schema := readYAML(t, filepath.Join(chart, "values.schema.json"))
	compareKeys(t, "", readYAML(t, filepath.Join(chart, "values.yaml")), schema)
}

func compareKeys(t *testing.T, path string, values, schema map[string]any) {
	t.Helper()
	if schema["additionalProperties"] != false {
		return // a map of the user's
	}
	properties, _ := schema["properties"].(map[string]any)
	for key := range properties {
		if _, ok := values[key]; !ok && path+key != "global" {
			t.Errorf("values.yaml lacks %s%s, which values.schema.json has", path, key)
		}
	}
	for key, value := range values {
		property, ok := properties[key].(map[string]any)
		if !ok {
			t.Errorf("values.schema.json lacks %s%s, which values.yaml has", path, key)
		}
		if nested, ok := value.(map[string]any); ok {
			compareKeys(t, path+key+".", nested, property)
		}
	}
}

// TestAnotherRelease: every name and namespace follows the release, and so does what refers to them.
func TestAnotherRelease(t *testing.T) {
	out := helm(t, "template", "edge", chart, "--namespace", "security", "--values", everything(t))
	if i := strings.Index(out, home); i >= 0 {
		t.Errorf("the namespace of config/default is left:\n%s", out[max(0, i-200):i+40])
	}
	all := parse(t, out)
	for key, o := range all {
		if name := o.GetName(); o.GetKind() != "CustomResourceDefinition" && name != "edge-netbaseline" && !strings.HasPrefix(name, "edge-netbaseline-") {
			t.Errorf("the name of %s does not follow the release", key)
		}
		if ns := o.GetNamespace(); ns != "" && ns != "security" {
			t.Errorf("%s is in namespace %s", key, ns)
		}
		// What refers to another object refers to one of the chart.
		for _, path := range [][]string{{"roleRef"}, {"spec", "priorityLevelConfiguration"}} {
			ref, found, _ := unstructured.NestedStringMap(o.Object, path...)
			kind := ref["kind"]
			if kind == "" {
				kind = "PriorityLevelConfiguration"
			}
			if found && all[kind+" "+ref["name"]] == nil {
				t.Errorf("%s refers to %s %s, which is not there", key, kind, ref["name"])
			}
		}
		if policy, found, _ := unstructured.NestedString(o.Object, "spec", "policyName"); found && all["ValidatingAdmissionPolicy "+policy] == nil {
			t.Errorf("%s refers to the policy %s, which is not there", key, policy)
		}
	}
	account := as[corev1.ServiceAccount](t, all, "ServiceAccount")
	if used := as[appsv1.Deployment](t, all, "Deployment").Spec.Template.Spec.ServiceAccountName; used != account.Name {
		t.Errorf("the pods are %s, the ServiceAccount is %s", used, account.Name)
	}
	for key, o := range all {
		for _, subject := range subjects(o.Object) {
			if subject["name"] != account.Name || subject["namespace"] != account.Namespace {
				t.Errorf("%s is about %v, and the ServiceAccount is %s", key, subject, account.Name)
			}
		}
	}
}

// subjects are the ServiceAccounts that a binding or a FlowSchema names.
func subjects(node any) (found []map[string]any) {
	switch node := node.(type) {
	case map[string]any:
		if of, ok := node["serviceAccount"].(map[string]any); ok {
			return []map[string]any{of}
		}
		if node["kind"] == "ServiceAccount" && node["apiVersion"] == nil {
			return []map[string]any{node}
		}
		for _, value := range node {
			found = append(found, subjects(value)...)
		}
	case []any:
		for _, item := range node {
			found = append(found, subjects(item)...)
		}
	}
	return found
}

// TestVersion: Chart.yaml, the image and the Makefile name one version. That it is the Makefile's, `make verify` says.
func TestVersion(t *testing.T) {
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(makefile), "\nVERSION ?= ")
	version, _, _ := strings.Cut(after, "\n")
	file := readYAML(t, filepath.Join(chart, "Chart.yaml"))
	if file["version"] != version || file["appVersion"] != version {
		t.Errorf("Chart.yaml has version %v and appVersion %v, the Makefile %q", file["version"], file["appVersion"], version)
	}
	if image := container(t, render(t)).Image; image != "ghcr.io/netbaseline/netbaseline:v"+version {
		t.Errorf("the image is %s", image)
	}
}
