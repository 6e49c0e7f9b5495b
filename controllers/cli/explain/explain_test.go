// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/controllers/cli/clitest"
)

// explain runs the command and returns its exit code, its output and its messages.
func explain(t *testing.T, in string, args ...string) (code int, out, messages string) {
	t.Helper()
	return clitest.Run(t, Run, in, args...)
}

const cluster = "testdata/cluster.yaml"

// TestGolden: the answers, to the byte.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		name string
		code int
		args []string
	}{
		{"allowed", 0, []string{"shop/web-0", "db/postgres-0:5432"}},
		{"denied-by-tenant", 1, []string{"shop/api", "db/postgres:5432"}},
		{"denied-by-baseline", 1, []string{"-f", "testdata/baseline.yaml", "shop/web", "db/postgres:5432"}},
		{"within-namespace", 0, []string{"-f", "testdata/baseline.yaml", "shop/web", "shop/api:http"}},
		{"egress-to-address", 1, []string{"-f", "testdata/baseline.yaml", "shop/api", "203.0.113.7:443"}},
		{"internet", 0, []string{"lab/client", "internet:443"}},
		{"host-network", 1, []string{"lab/exporter-abc", "db/postgres-0:5432"}},
		{"by-network", 0, []string{"shop/api", "db/postgres-0:9187"}},
		{"new-pod", 1, []string{"lab/app=new,tier=front", "db/postgres-0:5432"}},
		{"node", 0, []string{"192.168.0.11", "db/postgres-0:5432"}},
		{"service", 0, []string{"shop/web-0", "10.96.4.4:5432"}},
		{"dns", 0, []string{"-f", "testdata/baseline.yaml", "shop/web-0", "kube-system/k8s-app=kube-dns:53/UDP"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, got, messages := explain(t, "", append([]string{"-f", cluster}, tc.args...)...)
			if code != tc.code {
				t.Fatalf("exit %d, want %d: %s%s", code, tc.code, got, messages)
			}
			command := strings.Join(append([]string{"$ netbaseline explain -f", cluster}, tc.args...), " ")
			got = strings.ReplaceAll(command, "testdata/", "") + "\n" + messages + got
			clitest.Golden(t, tc.name+".golden.txt", got)
		})
	}
}

// TestFormats: JSON and YAML hold the same answer.
func TestFormats(t *testing.T) {
	question := []string{"-f", cluster, "shop/api", "db/postgres:5432"}
	var answers [2]Answer
	for i, format := range []string{"json", "yaml"} {
		code, out, messages := explain(t, "", append(question, "-o", format)...)
		if code != 1 {
			t.Fatalf("exit %d: %s", code, messages)
		}
		if err := yaml.UnmarshalStrict([]byte(out), &answers[i]); err != nil {
			t.Fatal(err)
		}
	}
	one, _ := json.Marshal(answers[0])
	two, _ := json.Marshal(answers[1])
	if !bytes.Equal(one, two) || answers[0].Outcome != "Denied" || answers[0].Ingress.IsolatedBy[0].Name != "postgres-clients" {
		t.Errorf("%s\n%s", one, two)
	}
}

// TestSuggestionsWork: what is suggested allows what was asked for, and nothing else is needed.
func TestSuggestionsWork(t *testing.T) {
	for _, question := range [][]string{
		{"shop/api", "db/postgres:5432"},
		{"-f", "testdata/baseline.yaml", "shop/web", "db/postgres:5432"},
		{"-f", "testdata/baseline.yaml", "shop/api", "203.0.113.7:443"},
		{"-f", "testdata/baseline.yaml", "lab/client", "shop/web-0:80"},
		{"-f", "testdata/baseline.yaml", "203.0.113.7", "shop/web-0:80/SCTP"},
	} {
		args := append([]string{"-f", cluster}, question...)
		code, out, messages := explain(t, "", append(args, "-o", "json")...)
		var a Answer
		if err := json.Unmarshal([]byte(out), &a); err != nil || code != 1 || a.ToAllow == nil {
			t.Fatalf("%v: exit %d: %v%s", question, code, err, messages)
		}
		var policies strings.Builder
		for _, p := range a.ToAllow.Policies {
			text, err := yaml.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			policies.WriteString("---\n" + string(text))
		}
		if code, out, messages := explain(t, policies.String(), append(args, "-f", "-")...); code != 0 {
			t.Errorf("%v with the policies: exit %d: %s%s", question, code, out, messages)
		}
		if a.ToAllow.Flow == nil {
			continue
		}
		text, err := os.ReadFile("testdata/baseline.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var baseline map[string]any
		if err := yaml.Unmarshal(text, &baseline); err != nil {
			t.Fatal(err)
		}
		baseline["spec"].(map[string]any)["flows"] = []any{a.ToAllow.Flow}
		withFlow, err := yaml.Marshal(baseline)
		if err != nil {
			t.Fatal(err)
		}
		var without []string
		for i := 0; i < len(args); i += 2 {
			if args[i] != "-f" {
				without = append(without, args[i:]...)
				break
			}
			if args[i+1] != "testdata/baseline.yaml" {
				without = append(without, args[i:i+2]...)
			}
		}
		if code, out, messages := explain(t, string(withFlow), append(without, "-f", "-")...); code != 0 {
			t.Errorf("%v with the flow: exit %d: %s%s", question, code, out, messages)
		}
	}
}

// TestBadInput: exit code 2, and a message that says where and what to write.
func TestBadInput(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		args     []string
		want     string
	}{
		{"no arguments", "", []string{"-f", cluster}, "write netbaseline explain SOURCE DESTINATION:PORT"},
		{"no port", "", []string{"-f", cluster, "shop/api", "db/postgres-0"}, "has no port: write db/postgres-0:443"},
		{"no such pod", "", []string{"-f", cluster, "shop/nobody", "db/postgres-0:1"}, "it has api-7d4b9-x2x, web-0"},
		{"no such file", "", []string{"-f", "nowhere.yaml", "a/b", "c/d:1"}, "nowhere.yaml"},
		{"no such flag", "", []string{"--fiel", "x"}, "see netbaseline explain -h"},
		{"a format", "", []string{"-f", cluster, "-o", "xml"}, "write one of text, json, yaml"},
		{"a network", "", []string{"-f", cluster, "--network", "flannel"}, "write calico or cilium"},
		{"no object", "---\n# comment\n---\nhello: world\n", []string{"-f", "-", "a/b", "c/d:1"}, "standard input:4: is no Kubernetes object"},
		{"broken YAML", "kind: [\n", []string{"-f", "-", "a/b", "c/d:1"}, "standard input:1: "},
		{"truncated JSON", "{\"kind\": \"List\",\n\"items\": [", []string{"-f", "-", "a/b", "c/d:1"}, "standard input:2: the JSON is not complete"},
		{"a misspelled policy", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {podSelecter: {}}\n", []string{"-f", "-", "a/b", "c/d:1"}, `standard input:1: NetworkPolicy x: unknown field "podSelecter"`},
		{"a bad policy", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {podSelector: {}, ingress: [{from: [{}]}]}\n", []string{"-f", "-", "a/b", "c/d:1"}, "NetworkPolicy default/x: spec.ingress[0]: peer 0: is empty"},
		{"a bad baseline", "apiVersion: netbaseline.io/v1alpha1\nkind: NetworkBaseline\nmetadata: {name: x}\nspec: {profil: {}}\n", []string{"-f", "-", "a/b", "c/d:1"}, "standard input:1: spec.profil"},
		{"no cluster", "", []string{"--kubeconfig", "nowhere", "a/b", "c/d:1"}, "reading the kubeconfig"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, messages := explain(t, tc.in, tc.args...)
			if code != 2 || out != "" || !strings.Contains(messages, tc.want) || !strings.HasPrefix(messages, "error: ") {
				t.Errorf("exit %d, want 2 and %q:\n%s%s", code, tc.want, out, messages)
			}
		})
	}
	if code, _, messages := explain(t, "", "-h"); code != 0 || !strings.Contains(messages, "Usage: netbaseline explain") {
		t.Errorf("help: exit %d: %s", code, messages)
	}
}
