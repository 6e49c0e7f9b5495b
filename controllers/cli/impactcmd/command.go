// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package impactcmd is `netbaseline impact`: which of the connections that were observed a baseline would cut, and the
// flows that would keep them.
package impactcmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/netbaseline/netbaseline/controllers/cli/input"
	"github.com/netbaseline/netbaseline/controllers/impact"
)

const usage = `Usage: netbaseline impact --flows FILE [--flows FILE]... [-f FILE]... [--kubeconfig FILE] [-o text|json|yaml|flows|html]

Says which observed connections the NetworkBaselines in the files would cut once they are in force, which stay allowed
and by what, and which cannot be judged and why. Without NetworkBaselines, it judges the policies as they are.
Flows are the JSON lines of hubble observe -o jsonpb or of Hubble's export, or lines such as
{"source": "shop/api-0", "destination": "db/postgres-0", "port": 5432, "protocol": "TCP", "count": 12}; gzipped or not.

  hubble observe --since 24h -o jsonpb | netbaseline impact --flows - --kubeconfig ~/.kube/config -f baseline.yaml
  netbaseline impact --flows flows.json.gz -f dump.yaml -f baseline.yaml -o html > impact.html
  netbaseline impact --flows flows.json.gz -f dump.yaml -f baseline.yaml -o flows

Exit code: 0 nothing would be cut, 1 something would be, 2 bad arguments or input (also if some lines cannot be read and
nothing else would be cut).

`

const (
	// maxBadLines are reported one by one.
	maxBadLines = 20
	// progressEvery is how many lines are read between two signs of life.
	progressEvery = 1000000
)

// Run runs the command and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(stderr, format+"\n", a...) }
	fail := func(err error) int { return input.Fail(stderr, err) }
	set := flag.NewFlagSet("netbaseline impact", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	o := input.NewOptions(set, impact.Formats...)
	var flows []string
	set.Func("flows", "`FILE` with observed connections, one JSON object a line, gzipped or not; - for standard input. May be repeated.", func(file string) error {
		flows = append(flows, file)
		return nil
	})
	positional, err := input.Parse(set, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return input.Help(stderr, usage, set)
	case err != nil:
		return fail(fmt.Errorf("%w; see netbaseline impact -h", err))
	case len(positional) > 0:
		return fail(fmt.Errorf("unexpected argument %q: name observed connections with --flows and manifests with -f", positional[0]))
	case len(flows) == 0:
		return fail(errors.New("no observed connections: write --flows flows.json, or --flows - for standard input"))
	case slices.Contains(flows, "-") && slices.Contains(o.Files, "-"):
		return fail(errors.New("--flows - and -f - both read standard input: put one of them into a file"))
	}
	snapshot, err := o.Read(ctx, stdin, nil)
	if err != nil {
		return fail(err)
	}
	for _, note := range snapshot.Notes {
		say("note: %s", note)
	}
	report, err := analyze(ctx, o, snapshot, flows, stdin, say)
	if err != nil {
		return fail(err)
	}
	if err := report.Write(stdout, o.Output); err != nil {
		return fail(fmt.Errorf("writing the output: %w", err))
	}
	switch {
	case report.Totals[impact.ClassCut] > 0:
		return input.ExitNo
	case report.BadLines > 0:
		return input.ExitBadInput
	default:
		return input.ExitOK
	}
}

// analyze reads all flows.
func analyze(ctx context.Context, o *input.Options, s *input.Snapshot, flows []string, stdin io.Reader, say func(string, ...any)) (*impact.Report, error) {
	options := impact.Options{Inventory: s.Inventory()}
	var err error
	if options.Today, err = s.Today(o.Network); err != nil {
		return nil, err
	}
	operator, err := s.NewOperator(o.Protected)
	if err != nil {
		return nil, err
	}
	if options.Tomorrow, err = s.Tomorrow(o.Network, operator.Render); err != nil {
		return nil, err
	}
	a := impact.New(options)
	bad := 0
	for _, file := range flows {
		err := open(ctx, file, stdin, func(name string, r io.Reader) {
			a.Read(name, r, func(b impact.BadLine) {
				if bad++; bad <= maxBadLines {
					say("error: %v", b)
				}
			}, func(lines int64) {
				if lines%progressEvery == 0 {
					say("note: %d lines read", lines)
				}
			})
		})
		if err != nil {
			return nil, err
		}
	}
	if bad > maxBadLines {
		say("error: %d more lines could not be read", bad-maxBadLines)
	}
	report := a.Report()
	if len(s.Declared) > 0 && len(report.Cut) > 0 {
		if err := report.Suggest(advice(s, o, operator, report.Namespaces())); err != nil {
			return nil, err
		}
	}
	for _, b := range s.Declared {
		report.Baselines = append(report.Baselines, b.Name)
	}
	return report, nil
}

func open(ctx context.Context, file string, stdin io.Reader, read func(name string, r io.Reader)) error {
	if file == "-" {
		read("standard input", untilDone{ctx, stdin})
		return ctx.Err()
	}
	f, err := os.Open(file) //nolint:gosec // the user names it
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	read(file, untilDone{ctx, f})
	return ctx.Err()
}

// untilDone ends a file when the command is interrupted.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}
