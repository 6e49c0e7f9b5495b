// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// fixture is a file of testdata: the relevant part of a network's manifests, with their source, and the answer.
type fixture struct {
	Source, Want, Evidence string
	Input
}

func readFixtures(t *testing.T) map[string]*fixture {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	out := map[string]*fixture{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{}
		for line := range strings.Lines(string(data)) {
			for key, into := range map[string]*string{"# Source: ": &f.Source, "# Want: ": &f.Want, "# Evidence: ": &f.Evidence} {
				if value, ok := strings.CutPrefix(line, key); ok {
					*into = strings.TrimSpace(value)
				}
			}
		}
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			f.add(t, file, document)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".yaml")] = f
	}
	return out
}

func (f *fixture) add(t *testing.T, file, document string) {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var err error
	switch kind.Kind {
	case "DaemonSet":
		f.DaemonSets = append(f.DaemonSets, appsv1.DaemonSet{})
		err = yaml.UnmarshalStrict([]byte(document), &f.DaemonSets[len(f.DaemonSets)-1])
	case "ConfigMap":
		f.ConfigMaps = append(f.ConfigMaps, corev1.ConfigMap{})
		err = yaml.UnmarshalStrict([]byte(document), &f.ConfigMaps[len(f.ConfigMaps)-1])
	case "Node":
		f.Nodes = append(f.Nodes, corev1.Node{})
		err = yaml.UnmarshalStrict([]byte(document), &f.Nodes[len(f.Nodes)-1])
	default:
		t.Fatalf("%s: kind %q", file, kind.Kind)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func TestRecognize(t *testing.T) {
	for name, f := range readFixtures(t) {
		t.Run(name, func(t *testing.T) {
			if f.Source == "" {
				t.Error("a fixture names its source")
			}
			got := Recognize(f.Input)
			if answer := strings.TrimSpace(got.Name + " " + string(got.Enforces)); answer != f.Want {
				t.Errorf("got %q, want %q", answer, f.Want)
			}
			if got.Evidence != f.Evidence {
				t.Errorf("evidence:\n   got %s\n  want %s", got.Evidence, f.Evidence)
			}
			for _, c := range f.ConfigMaps {
				if !isRead(c) {
					t.Errorf("ConfigMap %s/%s is not among ConfigMapNames", c.Namespace, c.Name)
				}
			}
		})
	}
}

func isRead(c corev1.ConfigMap) bool {
	for _, key := range ConfigMapNames {
		if key.Namespace == c.Namespace && key.Name == c.Name {
			return true
		}
	}
	return false
}

// TestRecognizers: each recognizer has a fixture that it knows.
func TestRecognizers(t *testing.T) {
	fixtures := readFixtures(t)
	for i, recognize := range recognizers {
		known := false
		for _, f := range fixtures {
			if _, ok := recognize(f.Input); ok {
				known = true
			}
		}
		if !known {
			t.Errorf("recognizer %d knows no fixture", i)
		}
	}
}

// TestOrderOfReading: the answer is that of the objects, and not of the order in which a list returns them.
func TestOrderOfReading(t *testing.T) {
	for name, f := range readFixtures(t) {
		in := f.Input
		// Two that run the same network: the evidence has to name the same one each time.
		for _, d := range in.DaemonSets {
			d.Namespace = "another"
			in.DaemonSets = append(in.DaemonSets, d)
		}
		want := Recognize(in)
		for range 20 {
			rand.Shuffle(len(in.DaemonSets), func(i, j int) { in.DaemonSets[i], in.DaemonSets[j] = in.DaemonSets[j], in.DaemonSets[i] })
			rand.Shuffle(len(in.Nodes), func(i, j int) { in.Nodes[i], in.Nodes[j] = in.Nodes[j], in.Nodes[i] })
			if got := Recognize(in); got != want {
				t.Fatalf("%s: %+v and %+v", name, got, want)
			}
		}
	}
}

func TestFlagIs(t *testing.T) {
	for _, test := range []struct {
		args []string
		is   string // true, false or unset
	}{
		{nil, "unset"},
		{[]string{"--a"}, "true"},
		{[]string{"-a"}, "true"},
		{[]string{"--a=true"}, "true"},
		{[]string{"--a=True"}, "true"},
		{[]string{"--a=1"}, "true"},
		{[]string{"--a=false"}, "false"},
		{[]string{"--a=0"}, "false"},
		{[]string{"--a", "--a=false"}, "false"},
		{[]string{"--a=false", "--a"}, "true"},
		{[]string{"--a="}, "unset"},
		{[]string{"--a=maybe"}, "unset"},
		{[]string{"--ab=true", "a", "a=true", "--b=a"}, "unset"},
	} {
		for _, c := range []*corev1.Container{{Args: test.args}, {Command: append([]string{"/x"}, test.args...)}} {
			if got := flagIs(c, "a", true); got != (test.is == "true") {
				t.Errorf("%q: true %v", test.args, got)
			}
			if got := flagIs(c, "a", false); got != (test.is == "false") {
				t.Errorf("%q: false %v", test.args, got)
			}
		}
	}
	if flagIs(nil, "a", true) || flagIs(nil, "a", false) {
		t.Error("no container has no flag")
	}
}
