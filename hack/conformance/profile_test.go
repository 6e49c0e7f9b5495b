// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

var update = flag.Bool("update", false, "write the generated parts of docs/profile.md anew")

const profileDoc = "../../docs/profile.md"

// generated is a part of the document between its two markers, the first of which says what is in it.
var generated = regexp.MustCompile(`(?s)(<!-- generated: ([^>]*) -->\n)(.*?)(<!-- end -->)`)

// TestProfileDoc keeps the YAML and the tables of docs/profile.md what the code says:
//
//	spec <sample>                             its profile and flows
//	rendered <sample> <namespace> <component> its policies, in the cluster of the sample's table
//	ingress-controllers, monitoring-stacks, metadata-endpoints, samples: tables
func TestProfileDoc(t *testing.T) {
	data, err := os.ReadFile(profileDoc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	var shown []string
	fresh := generated.ReplaceAllStringFunc(text, func(part string) string {
		m := generated.FindStringSubmatch(part)
		shown = append(shown, m[2])
		return m[1] + generate(t, strings.Fields(m[2])) + m[4]
	})
	if strings.Count(text, "<!-- generated: ") != len(shown) {
		t.Errorf("%d markers, and %d with an end", strings.Count(text, "<!-- generated: "), len(shown))
	}
	if fresh != text {
		if !*update {
			t.Errorf("docs/profile.md differs from what is rendered; look at it, and accept it with: go test -C hack/conformance -run TestProfileDoc -update\n%s", firstDifference(fresh, text))
		} else if err := os.WriteFile(profileDoc, []byte(fresh), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Every component and every sample is in it.
	names, _ := listedSamples(t)
	for _, name := range names {
		if !strings.Contains(fresh, "config/samples/"+name) {
			t.Errorf("docs/profile.md does not mention config/samples/%s", name)
		}
	}
	all := strings.Join(shown, "\n") + "\n"
	for _, component := range []string{
		"default-deny", "block-metadata", "allow-dns", "allow-ingress-controller", "allow-monitoring", "allow-same-namespace",
		"allow-kube-api-server", "flow-frontend-to-api",
	} {
		if !strings.Contains(all, " "+component+"\n") {
			t.Errorf("docs/profile.md shows no policy of %s", component)
		}
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n   is: %s\n want: %s", i+1, g[i], w[i])
		}
	}
	return ""
}

func generate(t *testing.T, what []string) string {
	t.Helper()
	switch {
	case len(what) == 2 && what[0] == "spec":
		return specOf(t, what[1])
	case len(what) == 4 && what[0] == "rendered":
		return rendered(t, what[1], what[2], what[3])
	case len(what) == 1 && what[0] == "ingress-controllers":
		return presetTable(policy.IngressControllers())
	case len(what) == 1 && what[0] == "monitoring-stacks":
		return presetTable(policy.MonitoringStacks())
	case len(what) == 1 && what[0] == "metadata-endpoints":
		var out strings.Builder
		out.WriteString("| Range | Who answers there |\n|---|---|\n")
		for _, k := range policy.MetadataEndpoints() {
			fmt.Fprintf(&out, "| `%s` | %s |\n", k.Name, k.Source)
		}
		return out.String()
	case len(what) == 1 && what[0] == "samples":
		return sampleTable(t)
	}
	t.Errorf("unknown marker: generated: %s", strings.Join(what, " "))
	return ""
}

func fenced(text string) string { return "```yaml\n" + text + "```\n" }

func specOf(t *testing.T, sample string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(samples, sample))
	if err != nil {
		t.Error(err)
		return ""
	}
	_, spec, found := strings.Cut(string(data), "\n  profile:\n")
	if !found {
		t.Errorf("%s has no profile", sample)
	}
	return fenced("  profile:\n" + spec)
}

// rendered is the policies of one component in one namespace of a sample's table.
func rendered(t *testing.T, sample, namespace, component string) string {
	t.Helper()
	tab := &table{}
	cluster := tab.read(t, filepath.Join("testdata/samples", sample))
	var out []string
	if r := cluster.Rendered[namespace]; r != nil {
		for _, p := range r.Policies {
			if p.Labels[v1alpha1.ComponentLabel] != component {
				continue
			}
			spec, err := yaml.Marshal(p.Spec)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("# %s, in namespace %s\n%s", p.Name, namespace, spec))
		}
	}
	if len(out) == 0 {
		t.Errorf("%s renders no %s in %s", sample, component, namespace)
	}
	return fenced(strings.Join(out, "---\n"))
}

func presetTable(rows []policy.Known) string {
	var out strings.Builder
	out.WriteString("| Name | Whom it lets in | Where that is set |\n|---|---|---|\n")
	for _, row := range rows {
		var peers []string
		for i := range row.Peers {
			peers = append(peers, peerInWords(&row.Peers[i]))
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", row.Name, strings.Join(peers, "<br>"), row.Source)
	}
	return out.String()
}

func peerInWords(p *v1alpha1.Peer) string {
	if p.CIDR != "" {
		return "addresses `" + string(p.CIDR) + "`"
	}
	words := "all pods"
	if pods := selectorText(p.PodSelector); pods != "" {
		words = "pods `" + pods + "`"
	}
	namespaces := selectorText(p.NamespaceSelector)
	if name, ok := strings.CutPrefix(namespaces, "kubernetes.io/metadata.name="); ok {
		return words + " in `" + name + "`"
	}
	return words + " of namespaces labelled `" + namespaces + "`"
}

func selectorText(s *v1alpha1.LabelSelector) string {
	if s == nil {
		return ""
	}
	meta := s.Meta()
	if len(meta.MatchLabels)+len(meta.MatchExpressions) == 0 {
		return ""
	}
	return metav1.FormatLabelSelector(&meta)
}

func sampleTable(t *testing.T) string {
	t.Helper()
	_, names := listedSamples(t)
	var out strings.Builder
	out.WriteString("| Sample | What it does |\n|---|---|\n")
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(samples, name))
		if err != nil {
			t.Fatal(err)
		}
		comment, _, _ := strings.Cut(strings.TrimPrefix(string(data), "# "), "\n")
		label := strings.TrimSuffix(name, ".yaml")
		if label == "netbaseline_v1alpha1_networkbaseline" {
			label = "production"
		}
		fmt.Fprintf(&out, "| [%s](../config/samples/%s) | %s |\n", label, name, comment)
	}
	return out.String()
}
