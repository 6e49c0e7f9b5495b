// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clitest tests the commands explain, test and impact together: against a real API server, and against what the
// documentation shows.
package clitest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/controllers/cli/expect"
	"github.com/netbaseline/netbaseline/controllers/cli/explain"
	"github.com/netbaseline/netbaseline/controllers/cli/impactcmd"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	clusterFile  = "../explain/testdata/cluster.yaml"
	baselineFile = "../explain/testdata/baseline.yaml"
	flowFile     = "../impactcmd/testdata/flows.jsonl"
)

type command func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int

// run runs a command and returns its exit code, its output and its messages.
func run(t *testing.T, c command, in string, args ...string) (code int, out, messages string) {
	t.Helper()
	var o, m strings.Builder
	code = c(t.Context(), args, strings.NewReader(in), &o, &m)
	return code, o.String(), m.String()
}

// TestCluster: of a cluster that holds what the file says, the commands say what they say of the file, with the documented
// rights; and a tenant gets an answer as far as its own rights go.
func TestCluster(t *testing.T) {
	cluster, err := localcluster.Start(localcluster.Options{CRDs: []string{"../../../config/crd/bases"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	k8s, err := client.New(cluster.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, k8s)
	t.Run("reader", func(t *testing.T) { asReader(t, reader(t, cluster, k8s)) })
	t.Run("tenant", func(t *testing.T) { asTenant(t, tenant(t, cluster, k8s)) })
	t.Run("nobody", func(t *testing.T) {
		nobody, err := cluster.AddUser("nobody")
		if err != nil {
			t.Fatal(err)
		}
		code, out, messages := run(t, impactcmd.Run, "", "--flows", "-", "--kubeconfig", nobody)
		if code != 2 || out != "" || !strings.Contains(messages, `error: listing Pods: pods is forbidden: User "nobody" cannot list`) {
			t.Errorf("exit %d: %s%s", code, out, messages)
		}
	})
}

// fill creates the objects of the file. The status of pods and nodes is a subresource.
func fill(t *testing.T, k8s client.Client) {
	t.Helper()
	text, err := os.ReadFile(clusterFile)
	if err != nil {
		t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	if err := yaml.Unmarshal(text, list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		if o.GetName() == "kube-system" {
			continue
		}
		status, hasStatus := o.Object["status"]
		if o.GetKind() == "Pod" { // whose containers need an image, and whose owners a UID
			spec := o.Object["spec"].(map[string]any)
			spec["containers"].([]any)[0].(map[string]any)["image"] = "none"
		}
		if o.GetKind() == "Service" { // the API server has its own range
			unstructured.RemoveNestedField(o.Object, "spec", "clusterIPs")
		}
		if err := k8s.Create(t.Context(), o); err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
		if hasStatus && o.GetKind() != "Service" {
			o.Object["status"] = status
			if err := k8s.Status().Update(t.Context(), o); err != nil {
				t.Fatalf("status of %s %s: %v", o.GetKind(), o.GetName(), err)
			}
		}
	}
}

// reader is a user with the rights that the documentation names.
func reader(t *testing.T, cluster *localcluster.Cluster, k8s client.Client) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- rights -->\n```yaml\n")
	documented, _, _ := strings.Cut(rest, "```")
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict([]byte(documented), role); err != nil || !found {
		t.Fatal(found, err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "reader"}},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role.Name},
	}
	return user(t, cluster, k8s, "reader", role, binding)
}

// tenant is a user who may view namespace shop.
func tenant(t *testing.T, cluster *localcluster.Cluster, k8s client.Client) string {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "tenant"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "tenant"}},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"},
	}
	// The controller-manager, which is not running, would make up view from its parts.
	view := &rbacv1.ClusterRole{}
	if err := k8s.Get(t.Context(), client.ObjectKey{Name: "view"}, view); err != nil {
		t.Fatal(err)
	}
	var parts rbacv1.ClusterRoleList
	if err := k8s.List(t.Context(), &parts, client.MatchingLabels{"rbac.authorization.k8s.io/aggregate-to-view": "true"}); err != nil {
		t.Fatal(err)
	}
	for _, part := range parts.Items {
		view.Rules = append(view.Rules, part.Rules...)
	}
	if err := k8s.Update(t.Context(), view); err != nil {
		t.Fatal(err)
	}
	return user(t, cluster, k8s, "tenant", binding)
}

func user(t *testing.T, cluster *localcluster.Cluster, k8s client.Client, name string, objects ...client.Object) string {
	t.Helper()
	for _, o := range objects {
		if err := k8s.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig, err := cluster.AddUser(name)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

func asReader(t *testing.T, kubeconfig string) {
	t.Helper()
	for _, question := range [][]string{
		{"shop/web-0", "db/postgres-0:5432"},
		{"shop/api", "db/postgres:5432"},
		{"10.244.0.6", "10.244.0.7:5432"},
		{"-f", baselineFile, "shop/web", "db/postgres:5432"},
		{"-f", baselineFile, "-n", "shop", "web", "internet:443"},
		{"lab/exporter-abc", "db/postgres-0:9187"},
	} {
		wantCode, want, _ := run(t, explain.Run, "", append([]string{"-f", clusterFile}, question...)...)
		code, got, messages := run(t, explain.Run, "", append([]string{"--kubeconfig", kubeconfig}, question...)...)
		if code != wantCode || got != want || messages != "" {
			t.Errorf("explain %v: exit %d, want %d:\n%s%s\nwant:\n%s", question, code, wantCode, messages, got, want)
		}
	}
	_, want, _ := run(t, expect.Run, "", "-f", "../expect/testdata/expectations.yaml", "-f", clusterFile, "-f", baselineFile)
	if code, got, messages := run(t, expect.Run, "", "-f", "../expect/testdata/expectations.yaml", "--kubeconfig", kubeconfig, "-f", baselineFile); code != 2 || got != want {
		t.Errorf("test: exit %d: %s%s", code, messages, got)
	}
	// The ClusterIP of the file's Service is another one in the cluster: it is not found there.
	flows, err := os.ReadFile(flowFile)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(flows)) {
		if !strings.Contains(line, "10.96.4.4") {
			lines = append(lines, line)
		}
	}
	in := strings.Join(lines, "")
	_, want, _ = run(t, impactcmd.Run, in, "--flows", "-", "-f", clusterFile, "-f", baselineFile)
	if code, got, messages := run(t, impactcmd.Run, in, "--flows", "-", "--kubeconfig", kubeconfig, "-f", baselineFile); code != 1 || got != want {
		t.Errorf("impact: exit %d: %s%s\nwant:\n%s", code, messages, got, want)
	}
}

func asTenant(t *testing.T, kubeconfig string) {
	t.Helper()
	var a explain.Answer
	ask := func(args ...string) (int, string) {
		code, out, messages := run(t, explain.Run, "", append([]string{"--kubeconfig", kubeconfig, "-o", "json"}, args...)...)
		a = explain.Answer{}
		if err := json.NewDecoder(bytes.NewReader([]byte(out))).Decode(&a); err != nil {
			t.Fatalf("%v: exit %d: %s", args, code, messages)
		}
		return code, messages
	}
	if code, messages := ask("shop/web", "shop/api:http"); code != 0 || a.Outcome != "Allowed" || !strings.Contains(messages, "NetworkBaselines cannot be read") {
		t.Errorf("within its namespace: exit %d, %+v\n%s", code, a, messages)
	}
	if code, messages := ask("shop/web", "db/app=postgres:5432"); code != 1 || a.Outcome != "Undecided" || a.Egress.Outcome != "Allowed" || !strings.Contains(a.Ingress.Why, "cannot list resource") {
		t.Errorf("to a namespace of others: exit %d, %+v\n%s", code, a, messages)
	}
	// The labels of its own namespace are readable, so that a baseline selects it.
	if code, messages := ask("-f", baselineFile, "shop/web", "internet:443"); code != 1 || a.Outcome != "Denied" {
		t.Errorf("with a baseline: exit %d, %+v\n%s", code, a, messages)
	}
	code, out, messages := run(t, explain.Run, "", "--kubeconfig", kubeconfig, "nowhere/web", "shop/web:1")
	if code != 2 || out != "" {
		t.Errorf("no such namespace: exit %d: %s%s", code, out, messages)
	}
}
