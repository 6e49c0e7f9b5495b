// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Bundle makes the OLM bundle of what kustomize builds from config/manifests, which it reads from its standard input. It
// writes nothing that breaks a rule of `operator-sdk bundle validate` or of the scorecard: see rules.go. All that may
// differ from one run to the next is an argument, so the result is reproducible.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin)) }

// run returns the exit code: 0 for a bundle, 1 for a failure, 2 for bad arguments.
func run(args []string, manifests io.Reader) int {
	set := flag.NewFlagSet("bundle", flag.ContinueOnError)
	var r release
	set.StringVar(&r.version, "version", "", "Version of the release, without v.")
	set.StringVar(&r.created, "created", "", "Time of the release, in RFC 3339.")
	platforms := set.String("platforms", "", "Platforms of the image, linux/amd64,linux/arm64 say.")
	icon := set.String("icon", "", "Path of the icon, an SVG.")
	out := set.String("o", "bundle", "Folder to write.")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2 // the flag package has said why
	}
	r.platforms = strings.Split(*platforms, ",")
	if err := generate(&r, *icon, *out, manifests); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		return 1
	}
	return 0
}

func generate(r *release, icon, out string, manifests io.Reader) error {
	var err error
	if r.icon, err = os.ReadFile(icon); err != nil {
		return fmt.Errorf("reading the icon: %w", err)
	}
	objects, err := decode(manifests)
	if err != nil {
		return fmt.Errorf("reading the manifests: %w", err)
	}
	made, err := assemble(objects, r)
	if err != nil {
		return err
	}
	b, err := parse(made)
	if err != nil {
		return err
	}
	if err := check(b); err != nil {
		return err
	}
	return made.write(out)
}
