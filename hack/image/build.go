// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// binaryPath is where the binary is in the image, and its entrypoint.
const binaryPath = "/netbaseline"

// user is distroless' nonroot, by number: runAsNonRoot cannot judge a name.
const user = "65532:65532"

// passwd and group give the numbers a name.
const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
)

// labels are those of the Dockerfile, and what a release adds.
func (o *options) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":         "netbaseline",
		"org.opencontainers.image.description":   "Keeps a network security baseline under every namespace of a Kubernetes cluster.",
		"org.opencontainers.image.source":        "https://github.com/netbaseline/netbaseline",
		"org.opencontainers.image.documentation": "https://github.com/netbaseline/netbaseline/tree/main/docs",
		"org.opencontainers.image.vendor":        "The netbaseline Authors",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.version":       o.version,
		"org.opencontainers.image.created":       o.created.UTC().Format(time.RFC3339),
	}
	if o.revision != "" {
		labels["org.opencontainers.image.revision"] = o.revision
	}
	return labels
}

// build makes an image for each platform, and the index of them.
func build(ctx context.Context, o *options) (v1.ImageIndex, error) {
	var index v1.ImageIndex = empty.Index
	for _, platform := range o.platforms {
		binary, err := compile(ctx, o, platform)
		if err != nil {
			return nil, fmt.Errorf("building for %s: %w", platform, err)
		}
		image, err := assemble(o, platform, binary)
		if err != nil {
			return nil, fmt.Errorf("assembling for %s: %w", platform, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return index, nil
}

// compile builds the binary with the flags of the Dockerfile. Go adds nothing of the clone to it, nor of the machine.
func compile(ctx context.Context, o *options, platform v1.Platform) ([]byte, error) {
	dir, err := os.MkdirTemp("", "netbaseline-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "netbaseline")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+o.version, "-o", out, ".")
	cmd.Dir = o.source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// assemble puts the files that seldom change below the one that always does.
func assemble(o *options, platform v1.Platform, binary []byte) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, content := range []struct {
		what  string
		files []file
	}{
		{"users and certificates", []file{
			{"etc/passwd", 0o644, []byte(passwd)},
			{"etc/group", 0o644, []byte(group)},
			{"etc/ssl/certs/ca-certificates.crt", 0o644, certificates()},
		}},
		{"the operator", []file{{binaryPath[1:], 0o755, binary}}},
	} {
		layer, err := layerOf(content.files)
		if err != nil {
			return nil, err
		}
		if image, err = mutate.Append(image, mutate.Addendum{
			Layer:   layer,
			History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: "hack/image", Comment: content.what},
		}); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = platform.OS, platform.Architecture
	config.Created = v1.Time{Time: o.created}
	config.Config = v1.Config{
		User:       user,
		Entrypoint: []string{binaryPath},
		Env:        []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		WorkingDir: "/",
		Labels:     o.labels(),
	}
	return mutate.ConfigFile(image, config)
}

// certificates are Mozilla's roots, as golang.org/x/crypto has them. Those that are trusted only under conditions, which
// a file cannot express, are left out.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return out.Bytes()
}

type file struct {
	name string
	mode int64
	data []byte
}

// layerOf is a layer of files that belong to root and have no time.
func layerOf(content []file) (v1.Layer, error) {
	var out bytes.Buffer
	if err := writeTar(&out, content); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

func writeTar(w io.Writer, content []file) error {
	out := tar.NewWriter(w)
	for _, f := range content {
		if err := out.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
		}); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	return out.Close()
}
