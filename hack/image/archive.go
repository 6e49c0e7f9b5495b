// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeArchive writes an index as an OCI image layout in a tar file.
func writeArchive(path, reference string, index v1.ImageIndex) error {
	dir, err := os.MkdirTemp("", "netbaseline-layout-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	_, tag, _ := strings.Cut(filepath.Base(reference), ":")
	if err := at.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          reference, // docker load and ctr
		"org.opencontainers.image.ref.name": tag,       // skopeo and podman
	})); err != nil {
		return err
	}
	content, err := contentOf(dir)
	if err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeTar(out, content), out.Close())
}

// contentOf reads a folder, in the order of names.
func contentOf(dir string) ([]file, error) {
	var content []file
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		content = append(content, file{filepath.ToSlash(name), 0o644, data})
		return err
	})
	return content, err
}
