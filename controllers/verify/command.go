// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verify is `netbaseline verify`: it proves with packets whether the cluster's network enforces NetworkPolicies.
// It runs probe pods in a namespace of its own, which it removes, and touches nothing else.
package verify

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// Exit codes.
const (
	// ExitEnforced: the network enforces NetworkPolicies.
	ExitEnforced = 0
	// ExitNotEnforced: it does not, in at least one check.
	ExitNotEnforced = 1
	// ExitFailed: bad arguments, the cluster refused a request, or the run was interrupted: there is no result.
	ExitFailed = 2
	// ExitInconclusive: a check could not be made; its reason says why.
	ExitInconclusive = 3
)

// DefaultImage is that of the Kubernetes project's own tests.
const DefaultImage = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"

const usage = `Usage: netbaseline verify [--kubeconfig FILE] [--image IMAGE] [--timeout DURATION] [-o text|json|yaml]

Proves with packets whether the cluster's network enforces NetworkPolicies. It creates a temporary namespace with probe
pods, and for each direction and for the metadata service: a control has to connect, a policy denies it, probes poll
until the connection is denied, and an allowed connection has to succeed. The namespace is removed at the end, after
Ctrl-C too; what a killed run leaves, a later run removes.

Exit code: 0 Enforced, 1 NotEnforced, 2 no result (bad arguments, a refused request, an interrupt), 3 Inconclusive.

`

type options struct {
	kubeconfig, image, output string
	timeout                   time.Duration
}

// Run verifies and returns the exit code. The result goes to out, progress to messages.
func Run(ctx context.Context, args []string, _ io.Reader, out, messages io.Writer) int {
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(messages, format+"\n", a...) }
	o, err := parse(args, messages)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		say("error: %v", err)
		return ExitFailed
	}
	client, err := connect(o.kubeconfig)
	if err != nil {
		say("error: %v", err)
		return ExitFailed
	}
	r := &run{client: client, image: o.image, timeout: o.timeout, say: say}
	found, err := r.all(ctx)
	if err != nil {
		say("error: %v", err)
		return ExitFailed
	}
	if err := write(out, o.output, found); err != nil {
		say("error: writing the result: %v", err)
		return ExitFailed
	}
	return exitCode(found.Verdict)
}

func exitCode(v Verdict) int {
	switch v {
	case Enforced:
		return ExitEnforced
	case NotEnforced:
		return ExitNotEnforced
	default:
		return ExitInconclusive
	}
}

func parse(args []string, messages io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("verify", flag.ContinueOnError)
	set.SetOutput(messages)
	set.Usage = func() {
		_, _ = fmt.Fprint(messages, usage)
		set.PrintDefaults()
	}
	set.StringVar(&o.kubeconfig, "kubeconfig", "", "Path of a kubeconfig; otherwise KUBECONFIG, the default file, or the pod's ServiceAccount.")
	set.StringVar(&o.image, "image", DefaultImage, "Image of the probe pods: agnhost, in a registry that the nodes reach.")
	set.DurationVar(&o.timeout, "timeout", time.Minute, "How long a network may take to enforce a policy.")
	set.StringVar(&o.output, "o", "text", "Format of the result: text, json or yaml.")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch {
	case set.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", set.Arg(0))
	case o.output != "text" && o.output != "json" && o.output != "yaml":
		return o, fmt.Errorf("-o is %q: write text, json or yaml", o.output)
	case o.timeout < 10*time.Second:
		return o, fmt.Errorf("-timeout is %s: it must be at least 10s, because a denial is only believed after three refused connections", o.timeout)
	}
	return o, nil
}

func connect(kubeconfig string) (kubernetes.Interface, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	return kubernetes.NewForConfig(config)
}

func write(out io.Writer, format string, r Result) error {
	switch format {
	case "json":
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case "yaml":
		data, err := yaml.Marshal(r)
		if err == nil {
			_, err = out.Write(data)
		}
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "CHECK\tVERDICT\tREASON")
	for _, c := range r.Checks {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", c.Name, c.Verdict, c.Reason)
	}
	_, _ = fmt.Fprintf(table, "all\t%s\t\n", r.Verdict)
	return table.Flush()
}
