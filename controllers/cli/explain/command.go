// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain is `netbaseline explain`: whether a connection is allowed, which policies decide at each of its two
// sides, and what to write to allow it.
package explain

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/netbaseline/netbaseline/controllers/cli/input"
	"github.com/netbaseline/netbaseline/controllers/cli/resolve"
)

const usage = `Usage: netbaseline explain [-f FILE]... [--kubeconfig FILE] SOURCE DESTINATION:PORT[/PROTOCOL]

Says whether the connection is allowed, which policies decide at each side, and what to add to allow it.
SOURCE and DESTINATION are namespace/pod, namespace/workload, namespace/service (or namespace/svc/service, where a pod has
the same name), namespace/key=value,… (pods by their labels, which need not exist), an address, or internet.
PORT is a number or the name of a container port.
With NetworkBaselines in the files, the answer is for the time when they are in force.

  netbaseline explain shop/api-0 db/postgres-0:5432
  netbaseline explain -f baseline.yaml shop/app=web internet:443
  netbaseline explain -f manifests.yaml shop/web 10.0.0.7:53/UDP -o json

Exit code: 0 allowed, 1 denied or not certain, 2 bad arguments or input.

`

// Run runs the command and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("netbaseline explain", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	o := input.NewOptions(set, "text", "json", "yaml")
	positional, err := input.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		return input.Help(stderr, usage, set)
	}
	fail := func(err error) int { return input.Fail(stderr, err) }
	if err != nil {
		return fail(fmt.Errorf("%w; see netbaseline explain -h", err))
	}
	if len(positional) != 2 {
		return fail(fmt.Errorf("%d arguments: write netbaseline explain SOURCE DESTINATION:PORT, for example netbaseline explain shop/api-0 db/postgres-0:5432", len(positional)))
	}
	answer, notes, err := answerTo(ctx, o, positional[0], positional[1], stdin)
	if err != nil {
		return fail(err)
	}
	for _, note := range notes {
		_, _ = fmt.Fprintf(stderr, "note: %s\n", note)
	}
	if err := answer.write(stdout, o.Output); err != nil {
		return fail(fmt.Errorf("writing the output: %w", err))
	}
	if answer.Outcome != allowed {
		return input.ExitNo
	}
	return input.ExitOK
}

// answerTo reads the input, as far as the question needs it, and answers.
func answerTo(ctx context.Context, o *input.Options, source, destination string, stdin io.Reader) (*Answer, []string, error) {
	// Before anything is read, without a default namespace: this finds mistakes, and what has to be read.
	from, err := resolve.Parse(source, "")
	if err != nil {
		return nil, nil, err
	}
	to, port, err := resolve.ParseDestination(destination, "")
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := o.Read(ctx, stdin, scopeOf(from, to))
	if err != nil {
		return nil, nil, err
	}
	w, err := NewWorld(snapshot, o)
	if err != nil {
		return nil, nil, err
	}
	answer, err := w.Ask(in(from, o.Namespace), in(to, o.Namespace), port)
	return answer, snapshot.Notes, err
}

// scopeOf is what has to be read of a cluster: the namespaces of the two ends alone decide.
func scopeOf(ends ...resolve.Reference) *input.Scope {
	scope := &input.Scope{}
	for _, r := range ends {
		switch {
		case r.Text == resolve.Internet:
		case len(r.Addresses) > 0:
			scope.Addresses = append(scope.Addresses, r.Addresses...)
		default:
			scope.Namespaces = append(scope.Namespaces, r.Namespace)
		}
	}
	return scope
}

// in is a reference with the namespace in which it is if it names none.
func in(r resolve.Reference, namespace string) resolve.Reference {
	if r.Namespace == "" && len(r.Addresses) == 0 {
		r.Namespace = namespace
	}
	return r
}
