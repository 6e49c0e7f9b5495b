// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package input

import (
	"flag"
	"io"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

// read reads standard input.
func read(t *testing.T, in string) (*Snapshot, error) {
	t.Helper()
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	o := NewOptions(set, "text")
	if _, err := Parse(set, []string{"-f", "-"}); err != nil {
		t.Fatal(err)
	}
	return o.Read(t.Context(), strings.NewReader(in), nil)
}

// TestObjects: which objects count, in every form in which kubectl, kustomize and people write them.
func TestObjects(t *testing.T) {
	for _, tc := range []struct {
		name, in   string
		namespaces []string
		pods       []string // namespace/name of pods and templates
		policies   int
		notes      string
	}{
		{name: "nothing", in: "# only a comment\n---\n"},
		{name: "documents", in: "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a}\n--- \n",
			namespaces: []string{"a"}, pods: []string{"a/x"}},
		{name: "a List in JSON", in: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"a"}}]}`,
			namespaces: []string{"a"}, pods: []string{"a/x"}},
		{name: "a typed list, whose items have no kind", in: `{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"x","namespace":"a","ownerReferences":[{"kind":"Job","name":"j"}]}}]}`,
			namespaces: []string{"a"}, pods: []string{"a/x"}, notes: "no Namespace object for a"},
		{name: "several values of JSON", in: `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}` + "\n" + `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b"}}`,
			namespaces: []string{"a", "b"}},
		{name: "workloads", in: `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: backup, namespace: a}
spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: backup}}}}}}
`, namespaces: []string{"a", "default"}, pods: []string{"a/backup", "default/web"}, notes: "no Namespace object for a, default"},
		{name: "a policy of an API server before 1.28", in: "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {podSelector: {}}\nstatus: {}\n",
			namespaces: []string{"default"}, policies: 1, notes: "no Namespace object for default"},
		{name: "kinds that do not count", in: "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: z}\n",
			notes: "skipped objects that no NetworkPolicy depends on: 1 NetworkPolicy, 2 Secret"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := read(t, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			i := s.Inventory()
			var pods []string
			for _, namespace := range i.Namespaces() {
				for _, e := range i.Select(namespace, nil) {
					pods = append(pods, e.Namespace+"/"+e.Name)
				}
			}
			policies := 0
			for _, of := range s.Policies {
				policies += len(of)
			}
			if !slices.Equal(i.Namespaces(), tc.namespaces) || !slices.Equal(pods, tc.pods) || policies != tc.policies || !strings.Contains(strings.Join(s.Notes, "\n"), tc.notes) || (tc.notes == "") != (len(s.Notes) == 0) {
				t.Errorf("namespaces %v, pods %v, %d policies, notes %q", i.Namespaces(), pods, policies, s.Notes)
			}
		})
	}
}

// TestErrors: every error of a file is reported, each with its place.
func TestErrors(t *testing.T) {
	_, err := read(t, "kind: Pod\n---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: a}\n---\napiVersion: v1\nkind: PodList\nitems:\n- {metadata: {name: x}, spec: {hostNetwork: maybe}}\n---\na: [\n---\nkind: x\nkind: y\n---\n7\n")
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		"standard input:1: is no Kubernetes object: write apiVersion and kind",
		"standard input:3: Pod : metadata.name: write a name",
		"standard input:7, item 1: Pod x: ",
		"standard input:12: ",
		"standard input:14: ",
		"standard input:17: is no Kubernetes object",
	} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
			t.Errorf("no %q among\n%s", want, err)
		}
	}
	const b = "apiVersion: netbaseline.io/v1alpha1\nkind: NetworkBaseline\nmetadata: {name: b}\nspec: {namespaceSelector: {}, profile: {defaultDeny: {}}}\n"
	if _, err := read(t, b+"---\n"+b); err == nil || !strings.Contains(err.Error(), "standard input:6: metadata.name: NetworkBaseline b is declared in standard input:1 already") {
		t.Error(err)
	}
}

// TestRender: the policies that a namespace will hold, given those that it holds.
func TestRender(t *testing.T) {
	const baseline = `apiVersion: netbaseline.io/v1alpha1
kind: NetworkBaseline
metadata: {name: b}
spec: {mode: Audit, namespaceSelector: {matchLabels: {env: prod}}, profile: {defaultDeny: {}, allowSameNamespace: {directions: [Ingress]}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: a, labels: {env: prod}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: theirs, namespace: a}
spec: {podSelector: {}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: theirs, namespace: other}
spec: {podSelector: {}}
`
	restored := `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b-default-deny, namespace: a, labels: {app.kubernetes.io/managed-by: netbaseline, netbaseline.io/baseline: b, netbaseline.io/component: default-deny}}
spec: {podSelector: {}, ingress: [{}]}
`
	for name, in := range map[string]string{"nothing of ours": baseline, "a tampered one of ours": baseline + restored} {
		t.Run(name, func(t *testing.T) {
			s, err := read(t, in)
			if err != nil {
				t.Fatal(err)
			}
			operator, err := s.NewOperator(DefaultProtection())
			if err != nil {
				t.Fatal(err)
			}
			rendered := s.Rendered(operator.Render)
			if got := names(rendered["a"]); !slices.Equal(got, []string{"b-allow-same-namespace-ingress", "b-default-deny", "theirs"}) {
				t.Errorf("in a: %v", got)
			}
			if got := names(rendered["other"]); !slices.Equal(got, []string{"theirs"}) {
				t.Errorf("in other: %v", got)
			}
			for _, p := range rendered["a"] {
				if p.Name == "b-default-deny" && (len(p.Spec.Ingress) > 0 || p.Labels[v1alpha1.BaselineLabel] != "b") {
					t.Errorf("%+v", p)
				}
			}
			if got := operator.Governing("a"); !slices.Equal(got, []string{"b"}) {
				t.Errorf("a is governed by %v", got)
			}
			if got := operator.Governing("other"); len(got) > 0 {
				t.Errorf("other is governed by %v", got)
			}
			if _, err := s.Tomorrow(connectivity.ByAddress, operator.Render); err != nil {
				t.Error(err)
			}
		})
	}
}

func names(all []networkingv1.NetworkPolicy) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

// TestParse: flags and arguments in any order.
func TestParse(t *testing.T) {
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	o := NewOptions(set, "text", "json")
	got, err := Parse(set, []string{"one", "-n", "shop", "two", "-o=json", "--", "-three"})
	if err != nil || !slices.Equal(got, []string{"one", "two", "-three"}) || o.Namespace != "shop" || o.Output != "json" {
		t.Errorf("%v, %v, %+v", got, err, o)
	}
	if !o.UsesCluster() {
		t.Error("without files, it is about the cluster of the kubeconfig")
	}
}
