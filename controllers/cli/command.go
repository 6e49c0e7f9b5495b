// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package preview is `netbaseline render`: it prints the NetworkPolicies that baselines in files would generate, or a
// picture of them, without a cluster or with what a cluster runs. It writes nothing but its output.
package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// Exit codes.
const (
	// ExitOK: rendered, and nothing is wrong.
	ExitOK = 0
	// ExitFailed: the cluster could not be read, or the output not be written.
	ExitFailed = 1
	// ExitBadInput: bad arguments, or a file with something that the API server would refuse.
	ExitBadInput = 2
	// ExitProblems: rendered, and it would not be in effect as declared: see the problems on stderr.
	ExitProblems = 3
)

// OperatorNamespace is where the manifests install the operator, which never governs its own namespace.
const OperatorNamespace = "netbaseline-system"

const usage = `Usage: netbaseline render -f FILE [-f FILE]... [--namespaces FILE | --kubeconfig FILE] [-o yaml|mermaid|dot]

Prints the NetworkPolicies that the NetworkBaselines in the files would generate, or a picture of who may talk to whom.
Without namespaces, in the files or by a flag, it makes up some that the baselines select.

`

// options are the arguments.
type options struct {
	files, namespaces []string
	kubeconfig        string
	output            string
	protection        policy.Protection
}

// Run renders and returns the exit code. "-" as a file is in.
func Run(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) int {
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(messages, format+"\n", a...) }
	o, err := parse(args, messages)
	if errors.Is(err, flag.ErrHelp) {
		return ExitOK
	}
	if err != nil {
		say("%v", err)
		return ExitBadInput
	}
	found, err := o.read(ctx, in)
	for _, note := range found.skippedNotes() {
		say("note: %s", note)
	}
	if err != nil {
		say("%s", lines("error: ", err))
		return ExitBadInput
	}
	var live cluster
	if o.kubeconfig != "" {
		if live, err = readCluster(ctx, o.kubeconfig); err != nil {
			say("error: %v", err)
			return ExitFailed
		}
	}
	view, err := look(found, live, o.protection)
	if err != nil {
		say("error: %v", err)
		return ExitBadInput
	}
	for _, note := range view.notes {
		say("note: %s", note)
	}
	for _, problem := range view.problems {
		say("problem: %s", problem)
	}
	if err := write(out, o.output, view); err != nil {
		say("error: writing the output: %v", err)
		return ExitFailed
	}
	if len(view.problems) > 0 {
		return ExitProblems
	}
	return ExitOK
}

func parse(args []string, messages io.Writer) (*options, error) {
	o := &options{}
	set := flag.NewFlagSet("netbaseline render", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	files := func(list *[]string) func(string) error {
		return func(file string) error { *list = append(*list, file); return nil }
	}
	set.Func("f", "`FILE` with NetworkBaselines, and Namespaces if you like, in one or more YAML documents; - for standard input. Repeat it for more.", files(&o.files))
	set.Func("namespaces", "`FILE` with Namespaces to render for; - for standard input. The output of kubectl get namespaces -o yaml, say.", files(&o.namespaces))
	set.StringVar(&o.kubeconfig, "kubeconfig", "", "`FILE` with which to read a cluster's namespaces, DNS, API server, baselines and policies.")
	set.StringVar(&o.output, "o", "yaml", "Output `FORMAT`: yaml, mermaid or dot.")
	protected := set.String("protected-namespaces", strings.Join(append(slices.Clone(policy.DefaultProtection), OperatorNamespace), ","),
		"`NAMES` and patterns, as the operator has them with its own namespace.")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprint(messages, usage)
			set.SetOutput(messages)
			set.PrintDefaults()
			return nil, err
		}
		return nil, fmt.Errorf("%w; see netbaseline render -h", err)
	}
	o.protection = policy.ParseProtection(*protected)
	switch {
	case set.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: name files with -f", set.Arg(0))
	case len(o.files) == 0:
		return nil, errors.New("no file: write netbaseline render -f baseline.yaml, or -f - for standard input")
	case len(o.namespaces) > 0 && o.kubeconfig != "":
		return nil, errors.New("--namespaces and --kubeconfig both say which namespaces there are: drop one")
	case !slices.Contains([]string{"yaml", "mermaid", "dot"}, o.output):
		return nil, fmt.Errorf("-o %s: write yaml, mermaid or dot", o.output)
	case slices.Contains(o.namespaces, "-") && slices.Contains(o.files, "-"):
		return nil, errors.New("-f - and --namespaces - both read standard input: put the Namespaces among the documents of -f -")
	}
	return o, o.protection.Validate()
}

// read takes all files in.
func (o *options) read(ctx context.Context, in io.Reader) (*manifests, error) {
	m := &manifests{skipped: map[string]map[string]int{}, declaredAt: map[string]place{}}
	var err error
	if m.schema, err = BuiltInSchema(); err != nil {
		return m, err
	}
	var errs []error
	for _, file := range slices.Concat(o.files, o.namespaces) {
		errs = append(errs, o.readFile(ctx, m, file, in))
	}
	if err := errors.Join(errs...); err != nil {
		return m, err
	}
	if len(m.baselines) == 0 {
		return m, fmt.Errorf("no NetworkBaseline in %s", strings.Join(o.files, ", "))
	}
	if len(o.namespaces) > 0 && len(m.namespaces) == 0 {
		return m, fmt.Errorf("no Namespace in %s", strings.Join(o.namespaces, ", "))
	}
	return m, nil
}

func (o *options) readFile(ctx context.Context, m *manifests, file string, in io.Reader) error {
	if file == "-" {
		return m.read(ctx, "standard input", in)
	}
	f, err := os.Open(file) //nolint:gosec // the user names it
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return m.read(ctx, file, f)
}

// lines is a joined error with a prefix on each line.
func lines(prefix string, err error) string {
	return prefix + strings.ReplaceAll(err.Error(), "\n", "\n"+prefix)
}

// view is what there is to show.
type view struct {
	namespaces []namespace // all that are known
	previews   []preview
	notes      []string
	problems   []string
}

// look previews the declared baselines in every namespace.
func look(m *manifests, live cluster, protection policy.Protection) (*view, error) {
	v := &view{namespaces: merge(live.namespaces, m.namespaces)}
	invented := len(v.namespaces) == 0
	if invented {
		v.namespaces = examples(m.baselines)
		v.notes = append(v.notes, madeUp(v.namespaces))
	}
	w := world{baselines: live.with(m.baselines), facts: live.facts, protection: protection}
	rendered := map[string]int{}
	var told tally
	for _, ns := range v.namespaces {
		previews, err := w.preview(ns, live.policies[ns.name])
		if err != nil {
			return nil, err
		}
		for _, p := range previews {
			if _, declared := m.declaredAt[p.baseline.Name]; !declared {
				continue
			}
			rendered[p.baseline.Name]++
			v.previews = append(v.previews, p)
			told.add(p)
		}
	}
	for i := range m.baselines {
		b := &m.baselines[i]
		switch {
		case rendered[b.Name] == 0 && invented:
			v.notes = append(v.notes, fmt.Sprintf("NetworkBaseline %s: no namespace can be made up that it selects and that is not protected: write some in --namespaces", b.Name))
		case rendered[b.Name] == 0:
			v.notes = append(v.notes, fmt.Sprintf("NetworkBaseline %s selects none of the %d namespaces, or protected ones only", b.Name, len(v.namespaces)))
		case b.Spec.Mode == v1alpha1.ModeAudit:
			v.notes = append(v.notes, fmt.Sprintf("NetworkBaseline %s is in mode Audit, and writes nothing: shown is what mode Enforce would write", b.Name))
		}
	}
	notes, problems := told.lines(live.namespaces != nil)
	v.notes, v.problems = append(v.notes, notes...), problems
	return v, nil
}

// merge adds the declared namespaces to those of the cluster, or puts them in their place.
func merge(live, declared []namespace) []namespace {
	byName := map[string]namespace{}
	for _, ns := range slices.Concat(live, declared) {
		byName[ns.name] = ns
	}
	var out []namespace
	for _, ns := range byName {
		out = append(out, ns)
	}
	slices.SortFunc(out, func(a, b namespace) int { return cmp.Compare(a.name, b.name) })
	return out
}
