// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Image builds the operator's image as an OCI archive, without a container engine and without a base image to fetch:
// the static binary, a user that is not root, and the roots of the Web's certificates. What the Dockerfile says of user,
// entrypoint and labels holds here too, which a test compares. The same commit gives the same bytes.
//
// skopeo, podman and crane read the archive, and so does `docker load` with the containerd image store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() { os.Exit(run(context.Background(), os.Args[1:])) }

// run returns the exit code: 0 for an image, 1 for a failure, 2 for bad arguments.
func run(ctx context.Context, args []string) int {
	set := flag.NewFlagSet("image", flag.ContinueOnError)
	var o options
	set.StringVar(&o.source, "source", "../..", "Folder of the operator's module.")
	set.StringVar(&o.reference, "reference", "", "Name and tag of the image, ghcr.io/netbaseline/netbaseline:v1.2.3 say.")
	set.StringVar(&o.version, "version", "", "Version, without v.")
	set.StringVar(&o.revision, "revision", "", "Commit that is built; left out when empty.")
	created := set.String("created", "", "Time of the release, in RFC 3339.")
	platforms := set.String("platforms", "linux/amd64,linux/arm64", "Platforms, with commas.")
	out := set.String("o", "netbaseline.oci.tar", "Path of the archive.")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2 // the flag package has said why
	}
	if err := o.parse(*created, *platforms); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		return 2
	}
	index, err := build(ctx, &o)
	if err == nil {
		err = writeArchive(*out, o.reference, index)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		return 1
	}
	digest, err := index.Digest()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		return 1
	}
	fmt.Printf("%s %s@%s\n", *out, o.reference, digest)
	return 0
}

// options say what to build.
type options struct {
	source, reference, version, revision string
	created                              time.Time
	platforms                            []v1.Platform
}

func (o *options) parse(created, platforms string) error {
	var err error
	if o.created, err = time.Parse(time.RFC3339, created); err != nil {
		return fmt.Errorf("-created: %w", err)
	}
	for text := range strings.SplitSeq(platforms, ",") {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return fmt.Errorf("-platforms: %w", err)
		}
		o.platforms = append(o.platforms, *platform)
	}
	return nil
}
