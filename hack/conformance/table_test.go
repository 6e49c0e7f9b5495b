// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

const samples = "../../config/samples"

// table is one file of testdata: a cluster, what governs it, and what is allowed and denied in it.
//
// A line of allowed or denied is "from -> to port": pods (namespace/pod), nodes, addresses by name or as they are, and
// "service namespace/name". Commas make lists: every one of from to every one of to on every port. It says the same
// under all readings; where they differ, it is a row of differs, with the reason.
type table struct {
	// World is joined to testdata/world.yaml.
	World
	// Sample is the file in config/samples that is judged. All samples are applied side by side.
	Sample string `json:"sample,omitempty"`
	// Baselines are judged instead of a sample.
	Baselines []*v1alpha1.NetworkBaseline `json:"baselines,omitempty"`
	// Notes are what rendering notes, as "namespace: baseline: component: reason".
	Notes   []string     `json:"notes,omitempty"`
	Allowed []string     `json:"allowed,omitempty"`
	Denied  []string     `json:"denied,omitempty"`
	Differs []difference `json:"differs,omitempty"`
}

type difference struct {
	Connections []string  `json:"connections"`
	Allowed     []Reading `json:"allowed"` // and denied under the others
	Because     string    `json:"because"`
}

// TestAdditiveTrap shows what the usual pair of a default deny and a metadata block allows, and that what is rendered
// instead does not.
func TestAdditiveTrap(t *testing.T) { runTable(t, "testdata/additive-trap.yaml") }

func TestComponents(t *testing.T) {
	tables := runTables(t, "testdata/components")
	// A new component, or flows, is a new field, and needs its table.
	profile := reflect.TypeFor[v1alpha1.Profile]()
	for i := range profile.NumField() {
		name, _, _ := strings.Cut(profile.Field(i).Tag.Get("json"), ",")
		used := slices.ContainsFunc(tables, func(tab *table) bool {
			return slices.ContainsFunc(tab.Baselines, func(b *v1alpha1.NetworkBaseline) bool {
				return !reflect.ValueOf(b.Spec.Profile).Field(i).IsNil()
			})
		})
		if !used {
			t.Errorf("no table in testdata/components has a baseline with %s", name)
		}
	}
}

func TestSamples(t *testing.T) {
	tables := runTables(t, "testdata/samples")
	names, _ := listedSamples(t)
	for _, name := range names {
		if n := len(slices.DeleteFunc(slices.Clone(tables), func(tab *table) bool { return tab.Sample != name })); n != 1 {
			t.Errorf("%s/%s has %d tables in testdata/samples", samples, name, n)
		}
	}
}

// listedSamples are the samples, sorted and as the kustomization lists them: all of them, and nothing else.
func listedSamples(t *testing.T) (names, inOrder []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(samples, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var listed struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.UnmarshalStrict(data, &listed); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); name != "kustomization.yaml" {
			names = append(names, name)
		}
	}
	if got := slices.Sorted(slices.Values(listed.Resources)); !slices.Equal(got, names) {
		t.Errorf("kustomization.yaml lists %q, and the folder holds %q", got, names)
	}
	return names, listed.Resources
}

func allSamples(t *testing.T) []*v1alpha1.NetworkBaseline {
	t.Helper()
	var all []*v1alpha1.NetworkBaseline
	names, _ := listedSamples(t)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(samples, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(data), "# ") {
			t.Errorf("%s does not begin with a comment", name)
		}
		baselines, err := ReadBaselines(filepath.Join(samples, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(baselines) != 1 {
			t.Fatalf("%s holds %d baselines", name, len(baselines))
		}
		all = append(all, baselines...)
	}
	return all
}

func runTables(t *testing.T, folder string) []*table {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables in %s: %v", folder, err)
	}
	var tables []*table
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			tables = append(tables, runTable(t, file))
		})
	}
	return tables
}

func runTable(t *testing.T, file string) *table {
	t.Helper()
	tab := &table{}
	cluster := tab.read(t, file)
	tab.checkNotes(t, cluster)
	tab.check(t, cluster)
	return tab
}

// read reads the table and sets up its cluster.
func (tab *table) read(t *testing.T, file string) *Cluster {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(data, tab); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	common, err := ReadWorld("testdata/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	baselines := tab.Baselines
	for _, b := range baselines {
		b.UID = types.UID("uid-" + b.Name)
	}
	judged := "" // the one baseline that may govern, where a sample is judged
	if tab.Sample != "" {
		sample, err := ReadBaselines(filepath.Join(samples, tab.Sample))
		if err != nil {
			t.Fatal(err)
		}
		judged, baselines = sample[0].Name, allSamples(t)
	}
	cluster, err := common.Join(&tab.World).Govern(baselines)
	if err != nil {
		t.Fatal(err)
	}
	if len(baselines) > 0 && len(cluster.Governed) == 0 {
		t.Error("no namespace of the table is governed")
	}
	for namespace, by := range cluster.Governed {
		if judged != "" && !slices.Equal(by, []string{judged}) {
			t.Errorf("namespace %s is governed by %q, want %q: samples must not overlap", namespace, by, judged)
		}
	}
	return cluster
}

func (tab *table) checkNotes(t *testing.T, cluster *Cluster) {
	t.Helper()
	var notes []string
	for namespace, rendered := range cluster.Rendered {
		for _, n := range rendered.Notes {
			notes = append(notes, fmt.Sprintf("%s: %s: %s: %s", namespace, n.Baseline, n.Component, n.Reason))
		}
	}
	slices.Sort(notes)
	if want := slices.Sorted(slices.Values(tab.Notes)); !slices.Equal(notes, want) {
		t.Errorf("notes:\n   got %q\n  want %q", notes, want)
	}
}

func (tab *table) check(t *testing.T, cluster *Cluster) {
	t.Helper()
	none, all := []Reading{}, Readings
	for _, line := range tab.Allowed {
		cluster.expect(t, line, all)
	}
	for _, line := range tab.Denied {
		cluster.expect(t, line, none)
	}
	for _, d := range tab.Differs {
		if d.Because == "" {
			t.Errorf("%q: a difference needs its reason", d.Connections)
		}
		if len(d.Allowed) == 0 || len(d.Allowed) == len(Readings) {
			t.Errorf("%q: this is no difference", d.Connections)
		}
		for _, line := range d.Connections {
			cluster.expect(t, line, d.Allowed)
		}
	}
	if len(tab.Allowed) == 0 || len(tab.Denied) == 0 {
		t.Error("a table needs both: what is allowed, and what is denied")
	}
}

// expect asks both evaluators about a line, under each reading.
func (c *Cluster) expect(t *testing.T, line string, allowed []Reading) {
	t.Helper()
	connections, err := c.connections(line)
	if err != nil {
		t.Errorf("%q: %v", line, err)
		return
	}
	for _, conn := range connections {
		for _, r := range Readings {
			want := slices.Contains(allowed, r)
			for i, got := range c.Connect(r, conn.from, conn.to, conn.port, conn.service) {
				if got != want {
					t.Errorf("%s: %s, read %s: allowed %v, want %v%s", conn, Evaluators[i].Name, r, got, want, c.policiesOf(conn))
				}
			}
		}
	}
}

type connection struct {
	from, to *Endpoint
	port     Port // of the destination, behind a Service its target
	service  *Service
}

func (c connection) String() string {
	to := c.to.Name
	if c.service != nil {
		to = fmt.Sprintf("%s %s, that is %s", c.service.Name, c.service.Port, to)
	}
	return fmt.Sprintf("%s -> %s %s", c.from.Name, to, c.port)
}

func (w *World) connections(line string) ([]connection, error) {
	left, right, ok := strings.Cut(line, " -> ")
	last := strings.LastIndexByte(right, ' ')
	if !ok || last < 0 {
		return nil, fmt.Errorf("want: from -> to port")
	}
	list := func(s string) []string {
		var out []string
		for _, item := range strings.Split(s, ",") {
			out = append(out, strings.TrimSpace(item))
		}
		return out
	}
	// The ports are behind the last space that no comma comes before.
	for last > 0 && right[last-1] == ',' {
		last = strings.LastIndexByte(right[:last], ' ')
	}
	var out []connection
	for _, fromName := range list(left) {
		from, err := w.Endpoint(fromName)
		if err != nil {
			return nil, err
		}
		for _, toName := range list(right[:last]) {
			for _, portText := range list(right[last+1:]) {
				port, err := ParsePort(portText)
				if err != nil {
					return nil, err
				}
				if name, isService := strings.CutPrefix(toName, "service "); isService {
					service, backends, target, err := w.Service(name, port)
					if err != nil {
						return nil, err
					}
					for _, backend := range backends {
						out = append(out, connection{from, backend, target, service})
					}
					continue
				}
				to, err := w.Endpoint(toName)
				if err != nil {
					return nil, err
				}
				out = append(out, connection{from, to, port, nil})
			}
		}
	}
	return out, nil
}

// policiesOf lists the policies at both ends, to look at when a row does not hold.
func (c *Cluster) policiesOf(conn connection) string {
	var out strings.Builder
	for _, namespace := range slices.Compact([]string{conn.from.Namespace, conn.to.Namespace}) {
		if rendered := c.Rendered[namespace]; rendered != nil {
			fmt.Fprintf(&out, "\n    in %s: %s", namespace, strings.Join(policyNames(rendered), ", "))
		}
	}
	return out.String()
}

func policyNames(r *policy.Rendered) []string {
	var names []string
	for _, p := range r.Policies {
		names = append(names, p.Name)
	}
	return names
}
