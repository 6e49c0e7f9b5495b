// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/controllers/cli/clitest"
)

const sampleFile = "../../config/samples/netbaseline_v1alpha1_networkbaseline.yaml"

// render runs the command and returns its exit code, its output and its messages.
func render(t *testing.T, in string, args ...string) (code int, out, messages string) {
	t.Helper()
	return clitest.Run(t, Run, in, args...)
}

// TestGolden: the output, to the byte, of cases that show all there is to it.
func TestGolden(t *testing.T) {
	for golden, args := range map[string][]string{
		"sample.golden.yaml":           {"-f", sampleFile},
		"sample.golden.mermaid":        {"-f", sampleFile, "-o", "mermaid"},
		"across-namespaces.golden.dot": {"-f", "../../config/samples/across-namespaces.yaml", "-o", "dot"},
		"baselines.golden.yaml":        {"-f", "testdata/baselines.yaml"},
		"baselines.golden.mermaid":     {"-f", "testdata/baselines.yaml", "-o", "mermaid"},
		"baselines.golden.dot":         {"-f", "testdata/baselines.yaml", "-o", "dot"},
	} {
		t.Run(golden, func(t *testing.T) {
			code, got, messages := render(t, "", args...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, messages)
			}
			clitest.Golden(t, golden, got)
		})
	}
}

const (
	header = "apiVersion: netbaseline.io/v1alpha1\nkind: NetworkBaseline\n"
	plain  = header + "metadata: {name: plain}\nspec: {namespaceSelector: {}, profile: {defaultDeny: {}}}\n"
	shop   = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {tier: web}}\n"
)

// spec is a baseline of this spec.
func spec(text string) string { return header + "metadata: {name: a}\nspec: " + text + "\n" }

// flows is a baseline of this name with a flow of that name.
func flows(name, flow string) string {
	return strings.NewReplacer("name: a", "name: "+name, "name: f", "name: "+flow).
		Replace(spec("{namespaceSelector: {}, profile: {defaultDeny: {}}, flows: [{name: f, from: {podSelector: {}}, to: {podSelector: {}}}]}"))
}

// TestExitCodes: what a pull request check sees, for good input and for every kind of bad one.
func TestExitCodes(t *testing.T) {
	stdin := []string{"-f", "-"}
	for _, tc := range []struct {
		name, in string
		args     []string
		code     int
		// out and messages must each contain these.
		out, messages []string
	}{
		{name: "good", in: plain, args: stdin, out: []string{"name: plain-default-deny\n  namespace: example-plain\n"}, messages: []string{"made-up ones that the baselines select: example-plain"}},
		{name: "help", args: []string{"-h"}, messages: []string{"Usage: netbaseline render -f FILE", "-protected-namespaces"}},
		{name: "namespaces beside", in: plain + shop, args: stdin, out: []string{"namespace: shop\n"}},
		{name: "a JSON List", in: `{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "netbaseline.io/v1alpha1", "kind": "NetworkBaseline", "metadata": {"name": "j"}, "spec": {"namespaceSelector": {}, "profile": {"defaultDeny": {}}}}]}`,
			args: stdin, out: []string{"j-default-deny"}},
		{name: "what a cluster answers", in: header + "metadata: {name: a, uid: 7f1f, resourceVersion: \"7\", generation: 2, creationTimestamp: 2026-01-01T00:00:00Z, managedFields: [], finalizers: [netbaseline.io/ordered-removal]}\nspec: {namespaceSelector: {}, profile: {defaultDeny: {}}}\nstatus: {observedGeneration: 2, whatever: true}\n",
			args: stdin, out: []string{"a-default-deny"}},
		{name: "audit", in: spec("{mode: Audit, namespaceSelector: {}, profile: {defaultDeny: {}}}"), args: stdin, out: []string{"a-default-deny"}, messages: []string{"is in mode Audit, and writes nothing"}},
		{name: "selects nothing", in: spec("{namespaceSelector: {matchLabels: {tier: db}}, profile: {defaultDeny: {}}}") + shop, args: stdin, messages: []string{"note: NetworkBaseline a selects none of the 1 namespaces"}},
		{name: "nothing can be made up", in: spec("{namespaceSelector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}, profile: {defaultDeny: {}}}"), args: stdin, messages: []string{"no namespace can be made up"}},
		{name: "a protected namespace", in: spec("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, profile: {defaultDeny: {}}}"), args: stdin, messages: []string{"and that is not protected"}},
		{name: "other protection", in: spec("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, profile: {defaultDeny: {}}}"),
			args: append([]string{"--protected-namespaces=other-*"}, stdin...), out: []string{"namespace: kube-system"}},
		{name: "without effect", in: spec("{namespaceSelector: {}, profile: {defaultDeny: {directions: [Ingress]}, allowDNS: {}}}"), args: stdin, messages: []string{"note: NetworkBaseline a in namespace example-a: allow-dns: Egress is not denied by default"}},
		{name: "only discovered", in: spec("{namespaceSelector: {}, profile: {defaultDeny: {}, allowKubeAPIServer: {}}}"), args: stdin, messages: []string{"allow-kube-api-server: left out, because its addresses are discovered in the cluster: give --kubeconfig"}},

		{name: "a problem: cannot mean anything", in: spec("{namespaceSelector: {}, profile: {defaultDeny: {}, blockMetadata: {}}, flows: [{name: m, from: {podSelector: {}}, to: {cidr: 169.254.169.254/32}}]}"), args: stdin, code: 3,
			out: []string{"a-default-deny"}, messages: []string{"problem: NetworkBaseline a in namespace example-a: flow-m: every address range that it names lies inside the blocked metadata ranges"}},
		{name: "two baselines want one name: both get it", in: flows("a", "x-flow-z") + "---\n" + flows("a-flow-x", "z") + shop, args: stdin,
			out: []string{"netbaseline.io/baseline: a\n", "netbaseline.io/baseline: a-flow-x\n"}},

		{name: "no file", code: 2, messages: []string{"no file: write netbaseline render -f baseline.yaml, or -f - for standard input"}},
		{name: "an unknown flag", args: []string{"-x"}, code: 2, messages: []string{"-x; see netbaseline render -h"}},
		{name: "an argument", args: []string{"-f", "a", "b"}, code: 2, messages: []string{`unexpected argument "b": name files with -f`}},
		{name: "an unknown format", args: append([]string{"-o", "png"}, stdin...), code: 2, messages: []string{"-o png: write yaml, mermaid or dot"}},
		{name: "two sources of namespaces", args: []string{"-f", "-", "--namespaces", "a", "--kubeconfig", "b"}, code: 2, messages: []string{"drop one"}},
		{name: "standard input twice", args: []string{"-f", "-", "--namespaces", "-"}, code: 2, messages: []string{"put the Namespaces among the documents of -f -"}},
		{name: "a bad pattern", args: []string{"-f", "-", "--protected-namespaces", "a["}, code: 2, messages: []string{`protected namespace pattern "a["`}},
		{name: "a file that is not there", args: []string{"-f", "nowhere.yaml"}, code: 2, messages: []string{"error: open nowhere.yaml: no such file"}},
		{name: "nothing", args: stdin, code: 2, messages: []string{"no NetworkBaseline in -"}},
		{name: "only other kinds", in: shop + "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", args: stdin, code: 2, messages: []string{"note: standard input: skipped what is neither NetworkBaseline nor Namespace: 1 Pod", "no NetworkBaseline in -"}},
		{name: "no namespaces", in: plain, args: append([]string{"--namespaces", "testdata/no-namespaces.yaml"}, stdin...), code: 2, messages: []string{"no Namespace in testdata/no-namespaces.yaml"}},
		{name: "no YAML", in: plain + "---\na: [b\n", args: stdin, code: 2, messages: []string{"error: standard input, document 2: ", "did not find expected"}},
		{name: "a key twice", in: plain + "spec: {}\n", args: stdin, code: 2, messages: []string{"error: standard input, document 1: ", `key "spec" already set in map`}},
		{name: "no object", in: "- a\n", args: stdin, code: 2, messages: []string{"document 1: is no Kubernetes object"}},
		{name: "no kind", in: "a: b\n", args: stdin, code: 2, messages: []string{"write apiVersion: netbaseline.io/v1alpha1 and kind: NetworkBaseline"}},
		{name: "another version", in: strings.Replace(plain, "v1alpha1", "v1", 1), args: stdin, code: 2, messages: []string{"there is no NetworkBaseline in netbaseline.io/v1: write apiVersion: netbaseline.io/v1alpha1"}},
		{name: "a misspelt kind", in: strings.Replace(plain, "kind: NetworkBaseline", "kind: NetworkBaselines", 1), args: stdin, code: 2, messages: []string{"there is no NetworkBaselines in netbaseline.io/v1alpha1"}},
		{name: "one name in two documents", in: plain + "---\n" + plain, args: stdin, code: 2, messages: []string{"standard input, document 2: metadata.name: NetworkBaseline plain is declared in standard input, document 1 already"}},
		{name: "no metadata", in: header + "spec: {}\n", args: stdin, code: 2, messages: []string{"metadata.name: Required value"}},
		{name: "no name", in: header + "metadata: {}\nspec: {}\n", args: stdin, code: 2, messages: []string{"metadata.name: Required value: name or generateName is required"}},
		{name: "a bad name", in: strings.Replace(plain, "name: plain", "name: Plain", 1), args: stdin, code: 2, messages: []string{`metadata.name: Invalid value: "Plain"`}},
		{name: "an unknown field of metadata", in: strings.Replace(plain, "name: plain", "name: plain, label: {}", 1), args: stdin, code: 2, messages: []string{"metadata.label: unknown field"}},
		{name: "an unknown field", in: spec("{namespaceSelector: {}, profile: {denyAll: {}, defaultDeny: {}}}"), args: stdin, code: 2,
			messages: []string{"error: standard input, document 1: spec.profile.denyAll: unknown field: the fields here are allowDNS, allowIngressController, "}},
		{name: "an unknown field in a list", in: spec("{namespaceSelector: {}, profile: {defaultDeny: {}, allowDNS: {ports: [{port: 53}, {prot: 53, port: 1}]}}}"), args: stdin, code: 2,
			messages: []string{"spec.profile.allowDNS.ports[1].prot: unknown field: the fields here are endPort, port, protocol"}},
		{name: "no value", in: spec("{namespaceSelector: {}, profile: {defaultDeny: , allowDNS: {}}}"), args: stdin, code: 2,
			messages: []string{"spec.profile.defaultDeny: has no value, and would be dropped: write defaultDeny: {} for its defaults, or leave it out"}},
		{name: "everything that is wrong, at once", in: spec("{mode: Dry, namespaceSelector: {}}") + "---\n" + spec("{namespaceSelector: {}}"), args: stdin, code: 2,
			messages: []string{`document 1: spec.mode: Unsupported value: "Dry": supported values: "Enforce", "Audit"`, "document 2: spec: Invalid value: ", "declare at least one component in profile"}},
		{name: "a namespace without name", in: plain + "---\napiVersion: v1\nkind: Namespace\n", args: stdin, code: 2, messages: []string{"document 2: metadata.name: write the name of the Namespace"}},
		{name: "an item that is none", in: "{apiVersion: v1, kind: List, items: [a]}", args: stdin, code: 2, messages: []string{"document 1, item 1: is no Kubernetes object"}},

		{name: "no kubeconfig", in: plain, args: append([]string{"--kubeconfig", "nowhere"}, stdin...), code: 1, messages: []string{"error: reading kubeconfig nowhere: "}},
		{name: "no cluster", in: plain, args: append([]string{"--kubeconfig", "testdata/nobody.kubeconfig"}, stdin...), code: 1, messages: []string{"error: ", "connection refused"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, messages := render(t, tc.in, tc.args...)
			if code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			if code == 1 || code == 2 {
				if out != "" {
					t.Errorf("bad input, and yet there is output: %s", out)
				}
			}
			for _, want := range tc.out {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in the output: %s", want, out)
				}
			}
			for _, want := range tc.messages {
				if !strings.Contains(messages, want) {
					t.Errorf("no %q in the messages: %s", want, messages)
				}
			}
		})
	}
}

// brokenPipe is an output that fails.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOutputFails(t *testing.T) {
	var messages strings.Builder
	if code := Run(t.Context(), []string{"-f", sampleFile}, nil, brokenPipe{}, &messages); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if !strings.Contains(messages.String(), "error: writing the output: broken pipe") {
		t.Errorf("got %s", messages.String())
	}
}

// TestOrderMeansNothing: the same output however the input is ordered.
func TestOrderMeansNothing(t *testing.T) {
	a := plain
	b := strings.ReplaceAll(plain, "plain", "another")
	first := "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
	_, want, _ := render(t, a+"---\n"+b+shop+first, "-f", "-")
	_, got, _ := render(t, b+first+shop+"---\n"+a, "-f", "-")
	if got != want || strings.Count(got, "kind: NetworkPolicy") != 4 {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
