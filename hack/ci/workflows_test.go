// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ci checks the repository rather than the operator.
package ci

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

const root = "../.."

// pinned is a commit, and for people and Dependabot the version that it is.
var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)+$`)

// TestWorkflows lints the workflows of this repository.
func TestWorkflows(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no workflows:", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, wrong := range lint(t, path, text) {
				t.Error(wrong)
			}
		})
	}
}

// TestLint breaks one thing after the other.
func TestLint(t *testing.T) {
	const good = `on: push
permissions: {}
jobs:
  test:
    runs-on: ubuntu-24.04
    timeout-minutes: 1
    permissions: {contents: read}
    steps:
    - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      with: {persist-credentials: false}
    - run: make test
`
	if wrong := lint(t, "good.yaml", []byte(good)); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for _, tc := range []struct{ old, by, want string }{
		{"permissions: {}\n", "", "permissions: {} at the top"},
		{"permissions: {}\n", "permissions: write-all\n", "permissions: {} at the top"},
		{"    permissions: {contents: read}\n", "", "job test"},
		{"{contents: read}", "read-all", "job test"},
		{"    timeout-minutes: 1\n", "", "timeout-minutes"},
		{"3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "v7.0.1", "commit"},
		{"90b1 # v7.0.1", "90b1", "commit"},
		{"90b1 # v7.0.1", "90b # v7.0.1", "commit"},
		{"{persist-credentials: false}", "{fetch-depth: 1}", "persist-credentials"},
		{"make test", "echo ${{ github.event.issue.title }}", "potentially untrusted"},
		{"make test", "echo ${{ nothing.there }}", "undefined variable"},
		{"runs-on: ubuntu-24.04", "runs-on: ubuntu-12.04", "ubuntu-12.04"},
	} {
		broken := strings.Replace(good, tc.old, tc.by, 1)
		if wrong := strings.Join(lint(t, "broken.yaml", []byte(broken)), "\n"); broken == good || !strings.Contains(wrong, tc.want) {
			t.Errorf("%q instead of %q: got %q, want %q", tc.by, tc.old, wrong, tc.want)
		}
	}
}

// lint returns what is wrong with a workflow.
func lint(t *testing.T, path string, text []byte) (wrong []string) {
	t.Helper()
	linter, err := actionlint.NewLinter(&bytes.Buffer{}, &actionlint.LinterOptions{WorkingDir: root})
	if err != nil {
		t.Fatal(err)
	}
	problems, err := linter.Lint(path, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		wrong = append(wrong, p.Error())
	}
	workflow, _ := actionlint.Parse(text)
	if workflow == nil {
		return wrong // the linter has said why
	}
	if p := workflow.Permissions; p == nil || p.All != nil || len(p.Scopes) > 0 {
		wrong = append(wrong, "write permissions: {} at the top, so that each job has no rights but its own")
	}
	lines := strings.Split(string(text), "\n")
	for id, job := range workflow.Jobs {
		wrong = append(wrong, lintJob(id, job, lines)...)
	}
	return wrong
}

func lintJob(id string, job *actionlint.Job, lines []string) (wrong []string) {
	if job.Permissions == nil || job.Permissions.All != nil {
		wrong = append(wrong, "job "+id+": write the permissions that it needs, one by one")
	}
	if job.WorkflowCall == nil && job.TimeoutMinutes == nil {
		wrong = append(wrong, "job "+id+": write timeout-minutes; without, it may run for six hours")
	}
	for _, step := range job.Steps {
		action, ok := step.Exec.(*actionlint.ExecAction)
		if !ok {
			continue
		}
		// The line, because the comment counts.
		_, uses, _ := strings.Cut(lines[action.Uses.Pos.Line-1], "uses: ")
		if !pinned.MatchString(uses) {
			wrong = append(wrong, "job "+id+": "+uses+": pin the action to a commit, with its version in a comment: owner/action@<40 hex digits> # v1.2.3")
		}
		keep := action.Inputs["persist-credentials"]
		if strings.HasPrefix(uses, "actions/checkout@") && (keep == nil || keep.Value.Value != "false") {
			wrong = append(wrong, "job "+id+": write persist-credentials: false, so that no later step finds the token")
		}
	}
	return wrong
}

// TestGoVersion compares the places that name Go's version.
func TestGoVersion(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	if !strings.Contains(read(t, "Dockerfile"), " golang:"+version+" ") {
		t.Errorf("the Dockerfile does not build with Go %s of go.mod", version)
	}
	for _, name := range []string{"test.yaml", "vulnerabilities.yaml"} {
		text := read(t, filepath.Join(".github", "workflows", name))
		if strings.Count(text, "go-version: ") == 0 || strings.Count(text, "go-version: ") != strings.Count(text, "go-version: "+version+".x\n") {
			t.Errorf("%s does not use Go %s.x of go.mod", name, version)
		}
	}
}

// TestDependabot wants every module and the workflows to be kept up to date.
func TestDependabot(t *testing.T) {
	config := read(t, filepath.Join(".github", "dependabot.yaml"))
	modules, err := filepath.Glob(filepath.Join(root, "hack", "*", "go.mod"))
	if err != nil || len(modules) == 0 {
		t.Fatal("no modules:", err)
	}
	directories := []string{"/"}
	for _, path := range modules {
		directories = append(directories, "/hack/"+filepath.Base(filepath.Dir(path)))
	}
	for _, directory := range directories {
		if !strings.Contains(config, "  - "+directory+"\n") {
			t.Errorf(".github/dependabot.yaml does not list %s", directory)
		}
	}
	for _, ecosystem := range []string{"gomod", "github-actions", "docker"} {
		if !strings.Contains(config, "package-ecosystem: "+ecosystem+"\n") {
			t.Errorf(".github/dependabot.yaml does not follow %s", ecosystem)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
