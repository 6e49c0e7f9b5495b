// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// option is a value that adds or takes away objects.
type option struct {
	values string
	// folder holds the objects, and kinds limits them.
	folder string
	kinds  []string
	// removes says that they are there by default.
	removes bool
}

// options is the table; a value that is not the default's is a row.
var options = []option{
	{values: "crds: {enabled: false}", folder: "config/crd", removes: true},
	{values: "podDisruptionBudget: {enabled: false}", folder: "config/default", kinds: []string{"PodDisruptionBudget"}, removes: true},
	{values: "replicas: 1", folder: "config/default", kinds: []string{"PodDisruptionBudget"}, removes: true},
	{values: "networkPolicy: {enabled: true}", folder: "config/network-policy"},
	{values: "flowControl: {enabled: true}", folder: "config/flow-control"},
	{values: "metrics: {serviceMonitor: {enabled: true}}", folder: "config/prometheus", kinds: []string{"ServiceMonitor"}},
	{values: "metrics: {prometheusRule: {enabled: true}}", folder: "config/prometheus", kinds: []string{"PrometheusRule"}},
	{values: "metrics: {grafanaDashboard: {enabled: true}}", folder: "config/grafana"},
	{values: "guard: {managedPolicies: {enabled: true}, metadata: {enabled: true}}", folder: "config/guard"},
}

// objects of the option, as the chart names them.
func (o option) objects(t *testing.T) objects {
	t.Helper()
	named := objects{}
	for _, object := range kustomize(t, o.folder) {
		if len(o.kinds) > 0 && !slices.Contains(o.kinds, object.GetKind()) {
			continue
		}
		if name := object.GetName(); object.GetKind() != "CustomResourceDefinition" && name != "netbaseline" && !strings.HasPrefix(name, "netbaseline-") {
			object.SetName("netbaseline-" + name)
		}
		named[object.GetKind()+" "+object.GetName()] = object
	}
	return named
}

// TestOptions: each value adds or takes away its objects, with the content of config/, and no others.
func TestOptions(t *testing.T) {
	standard := render(t)
	for _, o := range options {
		t.Run(o.values, func(t *testing.T) {
			got, want := render(t, "--values", valuesFile(t, o.values)), o.objects(t)
			changed := got.without(standard)
			if o.removes {
				changed = standard.without(got)
			}
			if !slices.Equal(changed.keys(), want.keys()) {
				t.Errorf("it makes a difference of %q, want %q", changed.keys(), want.keys())
			}
			if len(got)-len(standard) != len(want) && len(standard)-len(got) != len(want) {
				t.Errorf("more changes than %q", want.keys())
			}
			for key, object := range changed {
				// Names apart, which TestAnotherRelease follows.
				if same(object.Object["spec"]) != same(want[key].Object["spec"]) || same(object.Object["data"]) != same(want[key].Object["data"]) {
					t.Errorf("%s is\n%s\nand in %s\n%s", key, same(object.Object), o.folder, same(want[key].Object))
				}
			}
		})
	}
}

func same(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestWithoutMetrics(t *testing.T) {
	got := render(t, "--set", "metrics.enabled=false,metrics.serviceMonitor.enabled=true")
	for _, key := range got.keys() {
		if strings.Contains(key, "metrics") {
			t.Errorf("%s is there", key)
		}
	}
	c := container(t, got)
	if strings.Contains(strings.Join(c.Args, " "), "metrics") || len(c.Ports) != 1 {
		t.Errorf("the container still serves metrics: %q, %v", c.Args, c.Ports)
	}
}

// everything is a file of values that turns on all that is optional, and sets what can be set.
func everything(t *testing.T) string {
	t.Helper()
	return valuesFile(t, `
commonLabels: {team: network}
image: {repository: registry.example.com/netbaseline, digest: "sha256:`+strings.Repeat("0f", 32)+`", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
replicas: 3
protectedNamespaces: [kube-system, "platform-*"]
workers: 16
logLevel: debug
resources: {requests: {cpu: "1", memory: 1Gi}, limits: {memory: 2Gi}}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: arch, operator: Exists}]}]}}}
topologySpreadConstraints:
- {maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: b}}}
- {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}
priorityClassName: system-cluster-critical
podLabels: {sidecar: "false"}
podAnnotations: {note: pod}
serviceAccount: {labels: {note: account}, annotations: {note: account}}
metrics:
  serviceMonitor: {enabled: true, labels: {release: prometheus}}
  prometheusRule: {enabled: true, labels: {release: prometheus}}
  grafanaDashboard: {enabled: true, labels: {folder: network}}
networkPolicy: {enabled: true}
flowControl: {enabled: true}
guard: {managedPolicies: {enabled: true}, metadata: {enabled: true, actions: [Warn, Audit]}}
`)
}

func TestEverything(t *testing.T) {
	all := render(t, "--values", everything(t))
	for key, o := range all {
		if o.GetLabels()["team"] != "network" {
			t.Errorf("%s lacks the common label", key)
		}
	}
	deployment := as[appsv1.Deployment](t, all, "Deployment")
	pod := deployment.Spec.Template.Spec
	c := container(t, all)
	for what, pair := range map[string][2]any{
		"image":             {c.Image, "registry.example.com/netbaseline@sha256:" + strings.Repeat("0f", 32)},
		"pullPolicy":        {c.ImagePullPolicy, corev1.PullAlways},
		"imagePullSecrets":  {pod.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "registry"}}},
		"replicas":          {deployment.Spec.Replicas, 3},
		"resources":         {c.Resources.Requests, map[string]string{"cpu": "1", "memory": "1Gi"}},
		"nodeSelector":      {pod.NodeSelector, map[string]string{"kubernetes.io/os": "linux"}},
		"tolerations":       {pod.Tolerations, []corev1.Toleration{{Key: "node-role.kubernetes.io/control-plane", Operator: "Exists", Effect: "NoSchedule"}}},
		"affinity":          {pod.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions[0].Key, "arch"},
		"priorityClassName": {pod.PriorityClassName, "system-cluster-critical"},
		"podLabels":         {deployment.Spec.Template.Labels["sidecar"], "false"},
		"podAnnotations":    {deployment.Spec.Template.Annotations["note"], "pod"},
		"account's label":   {all["ServiceAccount netbaseline-controller-manager"].GetLabels()["note"], "account"},
		"its annotation":    {all["ServiceAccount netbaseline-controller-manager"].GetAnnotations()["note"], "account"},
		"ServiceMonitor":    {all["ServiceMonitor netbaseline-controller-manager-metrics"].GetLabels()["release"], "prometheus"},
		"own constraint":    {pod.TopologySpreadConstraints[0].LabelSelector.MatchLabels, map[string]string{"a": "b"}},
		"no selector":       {pod.TopologySpreadConstraints[1].LabelSelector.MatchLabels, deployment.Spec.Selector.MatchLabels},
		"arguments": {c.Args, []string{"--leader-elect", "--metrics-bind-address=:8443", "--health-probe-bind-address=:8081",
			"--protected-namespaces=kube-system,platform-*", "--workers=16", "--zap-log-level=debug"}},
	} {
		if same(pair[0]) != same(pair[1]) {
			t.Errorf("%s: got %s, want %s", what, same(pair[0]), same(pair[1]))
		}
	}
	// The guard's list of protected namespaces is that of the flag.
	if guard := all["ValidatingAdmissionPolicy netbaseline-metadata"]; guard != nil && !strings.Contains(same(guard.Object), `'^(kube-system|platform-.*|`+home+`)$'`) {
		t.Errorf("the guard protects other namespaces: %s", same(guard.Object))
	}
	if binding := all["ValidatingAdmissionPolicyBinding netbaseline-metadata"]; binding != nil && !strings.Contains(same(binding.Object), `"validationActions":["Warn","Audit"]`) {
		t.Errorf("the guard does something else: %s", same(binding.Object))
	}
}

func container(t *testing.T, all objects) corev1.Container {
	t.Helper()
	containers := as[appsv1.Deployment](t, all, "Deployment").Spec.Template.Spec.Containers
	if len(containers) != 1 {
		t.Fatalf("%d containers", len(containers))
	}
	return containers[0]
}

func valuesFile(t *testing.T, values string) string {
	t.Helper()
	// Not t.TempDir, which has the test's name in it: Helm takes a comma for the end of a file's name.
	file, err := os.CreateTemp("", "values-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(file.Name()) })
	if _, err := file.WriteString(values); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

func readYAML(t *testing.T, path string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := yaml.Unmarshal(data, &out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}
