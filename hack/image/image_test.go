// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const reference = "registry.example/netbaseline:v7.8.9-test"

// TestImage builds the archive twice, as `make image` does, and looks at what whoever pulls it gets.
func TestImage(t *testing.T) {
	archive := made(t)
	if !bytes.Equal(archive, made(t)) {
		t.Error("two builds differ")
	}
	index := open(t, archive)
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, descriptor := range manifest.Manifests {
		arch := descriptor.Platform.Architecture
		t.Run(arch, func(t *testing.T) {
			image, err := index.Image(descriptor.Digest)
			if err != nil {
				t.Fatal(err)
			}
			checkConfig(t, image, arch)
			checkBinary(t, checkFiles(t, image), machines[arch])
		})
		delete(machines, arch)
	}
	if len(machines) > 0 {
		t.Errorf("no image for %v", slices.Collect(maps.Keys(machines)))
	}
}

func made(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	args := []string{"-reference", reference, "-version", "7.8.9-test", "-revision", "abc", "-created", "2026-01-02T03:04:05Z", "-o", path}
	if code := run(t.Context(), args); code != 0 {
		t.Fatal("exit code", code)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// open unpacks the archive and returns the one index in it.
func open(t *testing.T, archive []byte) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	for name, entry := range untar(t, bytes.NewReader(archive)) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, entry.data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatal("not one index in the layout:", err)
	}
	if got := manifest.Manifests[0].Annotations["io.containerd.image.name"]; got != reference {
		t.Errorf("the index is named %q", got)
	}
	if got := manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"]; got != "v7.8.9-test" {
		t.Errorf("the index is tagged %q", got)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func checkConfig(t *testing.T, image v1.Image, arch string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != arch {
		t.Errorf("the image is for %s/%s", config.OS, config.Architecture)
	}
	if got := config.Config.User; got != "65532:65532" {
		t.Errorf("the user is %q", got)
	}
	if got := config.Config.Entrypoint; !slices.Equal(got, []string{"/netbaseline"}) || config.Config.Cmd != nil {
		t.Errorf("the entrypoint is %q with %q", got, config.Config.Cmd)
	}
	for label, want := range map[string]string{
		"org.opencontainers.image.title":    "netbaseline",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.source":   "https://github.com/netbaseline/netbaseline",
		"org.opencontainers.image.version":  "7.8.9-test",
		"org.opencontainers.image.revision": "abc",
		"org.opencontainers.image.created":  "2026-01-02T03:04:05Z",
	} {
		if got := config.Config.Labels[label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

// checkFiles returns the binary. A shell, a package manager or a library would be a file more.
func checkFiles(t *testing.T, image v1.Image) []byte {
	t.Helper()
	flat := mutate.Extract(image)
	defer func() { _ = flat.Close() }()
	content := untar(t, flat)
	want := []string{"etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "netbaseline"}
	if got := slices.Sorted(maps.Keys(content)); !slices.Equal(got, want) {
		t.Fatalf("the image holds %q, want %q", got, want)
	}
	for name, entry := range content {
		mode := int64(0o644)
		if name == "netbaseline" {
			mode = 0o755
		}
		if entry.Mode != mode || entry.Uid != 0 || entry.Gid != 0 || entry.Typeflag != tar.TypeReg {
			t.Errorf("%s: mode %o, owner %d:%d, type %c", name, entry.Mode, entry.Uid, entry.Gid, entry.Typeflag)
		}
	}
	if !strings.Contains(string(content["etc/passwd"].data), "nonroot:x:65532:65532:") {
		t.Errorf("etc/passwd does not know user 65532: %s", content["etc/passwd"].data)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(content["etc/ssl/certs/ca-certificates.crt"].data) {
		t.Error("no certificate can be read")
	}
	return content["netbaseline"].data
}

// checkBinary wants a static one, of this program, that runs here if this machine can.
func checkBinary(t *testing.T, binary []byte, machine elf.Machine) {
	t.Helper()
	program, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if program.Machine != machine {
		t.Errorf("the binary is for %s, want %s", program.Machine, machine)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %s: it is not static", p.Type)
		}
	}
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the binary needs %q (%v)", libraries, err)
	}
	if runtime.GOOS != "linux" || machine != map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH] {
		return // the other platform's, which the checks above have to do for
	}
	path := filepath.Join(t.TempDir(), "netbaseline")
	if err := os.WriteFile(path, binary, 0o700); err != nil {
		t.Fatal(err)
	}
	help, err := exec.CommandContext(t.Context(), path, "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "-leader-elect") {
		t.Errorf("--help: %v\n%s", err, help)
	}
	if !bytes.Contains(binary, []byte("7.8.9-test")) {
		t.Error("the binary does not know its version")
	}
}

// TestDockerfile compares the two ways to build the image, and the manifests that run it.
func TestDockerfile(t *testing.T) {
	text := readFile(t, "Dockerfile")
	builder, final, ok := strings.Cut(text, "\nFROM gcr.io/distroless/static:nonroot\n")
	if !ok {
		t.Fatal("the last stage is not distroless' nonroot")
	}
	if !strings.HasPrefix(instructions(builder), "FROM --platform=$BUILDPLATFORM ") {
		t.Error("the builder does not run on the build machine's platform: other platforms would be emulated")
	}
	for _, flag := range []string{"CGO_ENABLED=0", "GOOS=${TARGETOS}", "GOARCH=${TARGETARCH}", "-trimpath", `-ldflags "-s -w -X main.version=${VERSION}"`} {
		if !strings.Contains(builder, flag) {
			t.Errorf("the Dockerfile does not build with %s", flag)
		}
	}
	for _, line := range []string{"COPY --from=builder /netbaseline " + binaryPath, "USER " + user, `ENTRYPOINT ["` + binaryPath + `"]`} {
		if !strings.Contains(final, line+"\n") {
			t.Errorf("the Dockerfile lacks %q", line)
		}
	}

	o := options{version: "${VERSION}"}
	want := o.labels()
	delete(want, "org.opencontainers.image.created") // which the release workflow adds
	got := map[string]string{}
	for _, match := range regexp.MustCompile(`(org\.opencontainers\.image\.[a-z]+)="([^"]*)"`).FindAllStringSubmatch(final, -1) {
		got[match[1]] = match[2]
	}
	if !maps.Equal(got, want) {
		t.Errorf("the Dockerfile's labels are %q, want %q", got, want)
	}

	manager := readFile(t, "config/manager/manager.yaml")
	if strings.Contains(manager, "command:") {
		t.Error("config/manager/manager.yaml replaces the entrypoint")
	}
	for _, line := range []string{"runAsNonRoot: true", "readOnlyRootFilesystem: true"} {
		if !strings.Contains(manager, line) {
			t.Errorf("config/manager/manager.yaml lacks %q", line)
		}
	}
}

// instructions are a Dockerfile without comments.
func instructions(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "#") })
	return strings.Join(lines, "\n")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type entry struct {
	tar.Header

	data []byte
}

// untar returns the entries by name.
func untar(t *testing.T, r io.Reader) map[string]entry {
	t.Helper()
	out := map[string]entry{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		out[header.Name] = entry{*header, data}
	}
}
