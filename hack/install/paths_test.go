// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// paths is the table: each installs into a clean cluster what a user would. A further way to install is a further row.
var paths = []struct {
	name    string
	install func(*testing.T, *cluster)
}{
	{"kubectl apply -k config/default", func(t *testing.T, c *cluster) { c.kubectl(t, "apply", "-k", root+"/config/default") }},
	{"kubectl apply -f dist/install.yaml", func(t *testing.T, c *cluster) { c.kubectl(t, "apply", "-f", root+"/dist/install.yaml") }},
	{"helm install", func(t *testing.T, c *cluster) { c.helm(t, "install", "netbaseline", chart, "--create-namespace") }},
}

// TestPaths goes every way from a clean API server to a baseline that is ready.
func TestPaths(t *testing.T) {
	for _, path := range paths {
		t.Run(path.name, func(t *testing.T) {
			c := start(t, localcluster.Options{})
			path.install(t, c)
			c.kubectl(t, "wait", "--for=condition=Established", "crd/networkbaselines.netbaseline.io", "--timeout="+patience.String())
			c.standIns(t)
			c.restricted(t)
			o := c.run(t, c.deployment(t))
			c.applySample(t)
			o.stop(t)
		})
	}
}

// restricted: the pod is accepted where the strictest pod security standard is enforced. Of a Deployment the API server
// would only warn.
func (c *cluster) restricted(t *testing.T) {
	t.Helper()
	strict := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strict", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if err := c.client.Create(t.Context(), strict); err != nil {
		t.Fatal(err)
	}
	template := c.deployment(t).Spec.Template
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "operator", Namespace: strict.Name}, Spec: template.Spec}
	if err := c.client.Create(t.Context(), pod.DeepCopy(), client.DryRunAll); err != nil {
		t.Errorf("the pod violates the standard: %v", err)
	}
	pod.Spec.Containers[0].SecurityContext.Capabilities = nil
	if err := c.client.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("the API server does not enforce the standard: a pod with capabilities got %v", err)
	}
}

// TestOptionsAreAccepted: a real API server accepts what every option of the chart renders.
func TestOptionsAreAccepted(t *testing.T) {
	c := start(t, localcluster.Options{})
	// Stand-ins for the Prometheus operator's kinds.
	c.apply(t, monitoringKind("ServiceMonitor", "servicemonitors")+"---\n"+monitoringKind("PrometheusRule", "prometheusrules"))
	c.kubectl(t, "wait", "--for=condition=Established", "crd", "--all", "--timeout="+patience.String())
	c.helm(t, "install", "netbaseline", chart, "--create-namespace", "--values", everything(t))
	// Its arguments are such as the operator knows.
	c.run(t, c.deployment(t)).stop(t)
	c.helm(t, "upgrade", "netbaseline", chart, "--reset-values")
}

func monitoringKind(kind, plural string) string {
	return strings.NewReplacer("KIND", kind, "PLURAL", plural, "SINGULAR", strings.ToLower(kind)).Replace(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: KIND, listKind: KINDList, plural: PLURAL, singular: SINGULAR}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`)
}

// TestHelmLifecycle upgrades from a chart of before, whose CRD is another, uninstalls, and installs again: baselines and
// their policies outlive it all, and nothing of the operator is left behind in between.
func TestHelmLifecycle(t *testing.T) {
	c := start(t, localcluster.Options{ControllerManager: true})
	c.helm(t, "install", "netbaseline", chartBefore(t), "--create-namespace")
	c.standIns(t)
	if got := c.shortNames(t); got != "before" {
		t.Fatalf("the chart of before has the short name %q", got)
	}
	o := c.run(t, c.deployment(t))
	c.applySample(t)
	o.stop(t)

	c.helm(t, "upgrade", "netbaseline", chart)
	if got := c.shortNames(t); got != "nbl" {
		t.Errorf("the upgrade left the CRD as it was, with the short name %q", got)
	}
	if d := c.deployment(t); !strings.HasSuffix(d.Spec.Template.Spec.Containers[0].Image, ":v"+d.Labels["app.kubernetes.io/version"]) || strings.Contains(d.Spec.Template.Spec.Containers[0].Image, "0.0.1") {
		t.Errorf("the upgrade left the image as it was: %s", d.Spec.Template.Spec.Containers[0].Image)
	}
	c.run(t, c.deployment(t)).stop(t)
	before := c.left(t)

	c.helm(t, "uninstall", "netbaseline")
	if after := c.left(t); after != before {
		t.Errorf("uninstalling changed what was to stay:\n%s\nbefore:\n%s", after, before)
	}
	c.nothingElse(t)

	c.helm(t, "install", "netbaseline", chart)
	o = c.run(t, c.deployment(t))
	c.applySample(t)
	// And it is repaired again.
	c.kubectl(t, "delete", "networkpolicy", "-n", "shop", "production-default-deny")
	c.kubectl(t, "wait", "--for=create", "networkpolicy/production-default-deny", "-n", "shop", "--timeout="+patience.String())
	o.stop(t)
}

// chartBefore is the chart as an earlier version could have been.
func chartBefore(t *testing.T) string {
	t.Helper()
	before := filepath.Join(t.TempDir(), "netbaseline")
	if err := os.CopyFS(before, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	version := readYAML(t, filepath.Join(chart, "Chart.yaml"))["version"].(string)
	for file, change := range map[string][2]string{
		"Chart.yaml":                    {"ersion: " + version + "\n", "ersion: 0.0.1\n"},
		"templates/generated/crds.yaml": {"    - nbl\n", "    - before\n"},
	} {
		path := filepath.Join(before, file)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), change[0], change[1])
		if text == string(data) {
			t.Fatalf("%s holds no %q", file, change[0])
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return before
}

func (c *cluster) shortNames(t *testing.T) string {
	t.Helper()
	return c.kubectl(t, "get", "crd", "networkbaselines.netbaseline.io", "-o", "jsonpath={.spec.names.shortNames[*]}")
}

// left tells which baselines and policies there are, in their latest form, and which CRD.
func (c *cluster) left(t *testing.T) string {
	t.Helper()
	return c.kubectl(t, "get", "networkbaselines,networkpolicies", "--all-namespaces",
		"-o", `jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {.metadata.uid} {.metadata.resourceVersion}{"\n"}{end}`) +
		c.kubectl(t, "get", "crd", "networkbaselines.netbaseline.io", "-o", "jsonpath={.metadata.uid}")
}

// nothingElse of the chart is there but the CRD.
func (c *cluster) nothingElse(t *testing.T) {
	t.Helper()
	selector := client.MatchingLabels{"app.kubernetes.io/instance": "netbaseline"}
	for _, list := range []client.ObjectList{&corev1.ServiceAccountList{}, &corev1.ServiceList{}, &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{}} {
		if err := c.client.List(t.Context(), list, selector); err != nil {
			t.Fatal(err)
		}
		if text := same(list); !strings.Contains(text, `"items":[]`) && !strings.Contains(text, `"items":null`) {
			t.Errorf("left behind: %s", text)
		}
	}
	if d, err := c.typed.AppsV1().Deployments(home).List(t.Context(), metav1.ListOptions{}); err != nil || len(d.Items) > 0 {
		t.Errorf("the Deployment is left behind (%v)", err)
	}
}

// TestHelmTakesOver: what kubectl installed becomes a release, as the chart's README says.
func TestHelmTakesOver(t *testing.T) {
	c := start(t, localcluster.Options{})
	c.kubectl(t, "apply", "-k", root+"/config/default")
	c.helm(t, "install", "netbaseline", chart, "--take-ownership", "--force-conflicts")
	c.run(t, c.deployment(t)).stop(t)
}
