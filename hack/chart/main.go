// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Chart writes what the Helm chart takes over from config/, so that nothing stands in two places: one template for each
// row of the table in rows.go, and Chart.yaml. The rest of dist/chart is written by hand.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// generated holds nothing but what this program writes.
const generated = "dist/chart/templates/generated"

func main() {
	version := flag.String("version", "", "version of the release, without a v")
	kustomize := flag.String("kustomize", "kustomize", "command that runs kustomize")
	flag.Parse()
	if err := run(*version, strings.Fields(*kustomize)); err != nil {
		fmt.Fprintf(os.Stderr, "hack/chart: %v\n", err)
		os.Exit(1)
	}
}

func run(version string, kustomize []string) error {
	folders := folders{}
	for _, r := range rows {
		if err := folders.build(kustomize, r.folder); err != nil {
			return err
		}
	}
	templates, err := render(folders)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(generated); err != nil {
		return err
	}
	if err := os.MkdirAll(generated, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		if err := os.WriteFile(filepath.Join(generated, name), []byte(templates[name]), 0o644); err != nil {
			return err
		}
	}
	return writeChartFile(version, folders)
}
