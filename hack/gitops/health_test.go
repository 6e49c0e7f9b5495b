// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// customization is laid out as Argo CD takes it upstream.
var customization = filepath.Join(root, "config", "argocd", "resource_customizations", "netbaseline.io", "NetworkBaseline")

// healthTests is health_test.yaml.
type healthTests struct {
	Tests []struct {
		HealthStatus health.HealthStatus `json:"healthStatus"`
		InputPath    string              `json:"inputPath"`
	} `json:"tests"`
}

// What Argo CD's own test of health.lua does: status and message of every case are as health_test.yaml has them. That
// each recorded status is a case, and the other way round, is checked too.
func TestHealthScript(t *testing.T) {
	g := NewWithT(t)
	var tests healthTests
	g.Expect(yaml.UnmarshalStrict(read(t, customization, "health_test.yaml"), &tests)).To(Succeed())
	var named []string
	for _, test := range tests.Tests {
		named = append(named, filepath.Base(test.InputPath))
		t.Run(test.InputPath, func(t *testing.T) {
			g := NewWithT(t)
			got, err := script(t).GetResourceHealth(parse(t, read(t, customization, test.InputPath)))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(*got).To(Equal(test.HealthStatus))
		})
	}
	var played []string
	for _, s := range scenarios {
		played = append(played, s.name+".yaml")
	}
	recorded, err := filepath.Glob(filepath.Join(customization, "testdata", "*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	for i := range recorded {
		recorded[i] = filepath.Base(recorded[i])
	}
	g.Expect(named).To(ConsistOf(played))
	g.Expect(recorded).To(ConsistOf(played))
}

// The statuses that are recorded are those that the operator writes.
func TestRecordedByTheOperator(t *testing.T) {
	for _, test := range scenarios {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, test.name, test.spec)
			if test.before != nil {
				test.before(s)
			}
			s.create()
			if test.after != nil {
				test.after(s)
			}
			path := filepath.Join(customization, "testdata", test.name+".yaml")
			if *update {
				s.record(path, test.says)
				return
			}
			const hint = "the operator says it differently now; if that is meant, record it with: make gitops TESTFLAGS=-update"
			if test.says == "" {
				s.Expect(normalised(s.object)).To(Equal(string(read(t, path))), hint)
				return
			}
			s.awaits(test.says)
			s.Eventually(func() string { return normalised(s.now()) }).Should(Equal(string(read(t, path))), hint)
		})
	}
}

// record writes what the operator says, once it says nothing new any more.
func (s *stage) record(path, says string) {
	s.t.Helper()
	if says != "" {
		s.awaits(says)
		before := ""
		s.Eventually(func() bool {
			version := s.now().GetResourceVersion()
			same := version == before
			before = version
			return same
		}).WithPolling(2500 * time.Millisecond).Should(BeTrue())
		s.object = s.now()
	}
	s.Expect(os.WriteFile(path, []byte(normalised(s.object)), 0o600)).To(Succeed())
}

// normalised is an object as YAML, without what is different each time.
func normalised(o *unstructured.Unstructured) string {
	o = o.DeepCopy()
	for _, field := range []string{"uid", "resourceVersion", "managedFields"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	const noon = "2026-01-02T12:00:00Z"
	for _, field := range []string{"creationTimestamp", "deletionTimestamp"} {
		if metadata := o.Object["metadata"].(map[string]any); metadata[field] != nil {
			metadata[field] = noon
		}
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for i := range conditions {
		conditions[i].(map[string]any)["lastTransitionTime"] = noon
	}
	if conditions != nil {
		_ = unstructured.SetNestedSlice(o.Object, conditions, "status", "conditions")
	}
	out, err := yaml.Marshal(o.Object)
	if err != nil {
		return err.Error()
	}
	text := string(out)
	// The names of revisions hold a hash that covers the UID.
	for i, field := range []string{"currentRevision", "updateRevision"} {
		if name, _, _ := unstructured.NestedString(o.Object, "status", field); name != "" {
			text = strings.ReplaceAll(text, name, fmt.Sprintf("%s-revision-%d", o.GetName(), i+1))
		}
	}
	return text
}

// What kstatus makes of the statuses, which Flux and kpt wait by.
func TestKstatus(t *testing.T) {
	for _, test := range scenarios {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := status.Compute(recorded(t, test.name))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got.Status).To(Equal(test.kstatus), got.Message)
		})
	}
}

// Whatever a script returns or does, Argo CD is told a health or an error, and soon.
func TestScriptsAreConfined(t *testing.T) {
	for name, script := range map[string]string{
		"no string library": `return {status = "Healthy", message = string.format("%d", 1)}`,
		"no files":          `return {status = "Healthy", message = io.open("/etc/passwd"):read("*a")}`,
		"no exit":           `os.exit(1)`,
		"no such health":    `return {status = "Fine"}`,
		"nothing":           `return nil`,
		"for ever":          `while true do end`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := healthScript(script).GetResourceHealth(recorded(t, "ready"))
			NewWithT(t).Expect(err).To(HaveOccurred())
		})
	}
}

// argocd-cm.yaml holds health.lua word for word, and is what kubectl patches Argo CD's own ConfigMap with.
func TestConfigMap(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(root, "config", "argocd", "argocd-cm.yaml")
	const key = "resource.customizations.health.netbaseline.io_NetworkBaseline"
	var snippet corev1.ConfigMap
	g.Expect(yaml.UnmarshalStrict(read(t, path), &snippet)).To(Succeed())
	g.Expect(snippet.Data).To(HaveLen(1))
	g.Expect(snippet.Data).To(HaveKeyWithValue(key, string(script(t))))

	g.Expect(here.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}})).To(Succeed())
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "argocd", Name: "argocd-cm"}, Data: map[string]string{"url": "https://argocd.example.com"}}
	g.Expect(here.client.Create(t.Context(), theirs)).To(Succeed())
	out, err := here.kubectl(t.Context(), "patch", "configmap", "argocd-cm", "-n", "argocd", "--patch-file", path)
	g.Expect(err).NotTo(HaveOccurred(), out)
	g.Expect(here.client.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs)).To(Succeed())
	g.Expect(theirs.Data).To(Equal(map[string]string{"url": "https://argocd.example.com", key: string(script(t))}))
}

func script(t *testing.T) healthScript {
	t.Helper()
	return healthScript(read(t, customization, "health.lua"))
}

// recorded is the recorded status of a scenario.
func recorded(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	return parse(t, read(t, customization, "testdata", name+".yaml"))
}
