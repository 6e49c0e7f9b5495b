// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expect is `netbaseline test`: it holds expectations in files against policies, in files or in a cluster.
package expect

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/netbaseline/netbaseline/controllers/cli/explain"
	"github.com/netbaseline/netbaseline/controllers/cli/input"
)

const usage = `Usage: netbaseline test -f expectations.yaml [-f FILE]... [--kubeconfig FILE] [-o text|json|yaml|junit]

Checks that connections are allowed or denied, as files say:

  expectations:
  - from: shop/web              # as in netbaseline explain; or a list
    to: [db/postgres:5432]      # with a port, or with ports beside it
    expect: allow               # or deny
    why: the shop reads orders  # optional
  - from: internet
    to: db/app=postgres
    ports: [5432, 53/UDP, metrics]
    expect: deny

Files with manifests are given with -f too. With NetworkBaselines in them, the expectations are about the time when they
are in force. Without manifests, write --kubeconfig for a cluster.

Exit code: 0 all expectations hold, 1 one fails, 2 bad arguments or input.

`

// Run runs the command and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fail := func(err error) int { return input.Fail(stderr, err) }
	set := flag.NewFlagSet("netbaseline test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	o := input.NewOptions(set, "text", "json", "yaml", "junit")
	positional, err := input.Parse(set, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return input.Help(stderr, usage, set)
	case err != nil:
		return fail(fmt.Errorf("%w; see netbaseline test -h", err))
	case len(positional) > 0:
		return fail(fmt.Errorf("unexpected argument %q: name files with -f", positional[0]))
	case len(o.Files) == 0:
		return fail(errors.New("no expectations: write netbaseline test -f expectations.yaml"))
	}
	snapshot, err := o.Read(ctx, stdin, nil)
	if err != nil {
		return fail(err)
	}
	for _, note := range snapshot.Notes {
		_, _ = fmt.Fprintf(stderr, "note: %s\n", note)
	}
	expectations, err := readAll(snapshot.Expectations)
	if err != nil {
		return fail(err)
	}
	if len(expectations) == 0 {
		return fail(fmt.Errorf("no expectations in %s: write a document such as\nexpectations:\n- {from: shop/web, to: db/postgres:5432, expect: allow}", strings.Join(o.Files, ", ")))
	}
	world, err := explain.NewWorld(snapshot, o)
	if err != nil {
		return fail(err)
	}
	results := checkAll(world, expectations, o.Namespace)
	if err := results.write(stdout, o.Output); err != nil {
		return fail(fmt.Errorf("writing the output: %w", err))
	}
	switch {
	case results.Errors > 0:
		return input.ExitBadInput
	case results.Failed > 0:
		return input.ExitNo
	default:
		return input.ExitOK
	}
}
