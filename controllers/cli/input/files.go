// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package input

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// files reads documents into a snapshot.
type files struct {
	snapshot         *Snapshot
	defaultNamespace string
	schema           *schema
	skipped          map[string]int // by kind
	declaredAt       map[string]string
}

// ReadFiles reads manifests; "-" is standard input. It goes on after an error, so that one run reports all of them.
func (s *Snapshot) ReadFiles(ctx context.Context, names []string, defaultNamespace string, stdin io.Reader) error {
	compiled, err := builtInSchema()
	if err != nil {
		return err
	}
	f := &files{snapshot: s, defaultNamespace: defaultNamespace, schema: compiled, skipped: map[string]int{}, declaredAt: map[string]string{}}
	var errs []error
	for _, name := range names {
		errs = append(errs, f.open(ctx, name, stdin))
	}
	var skipped []string
	for _, kind := range slices.Sorted(maps.Keys(f.skipped)) {
		skipped = append(skipped, fmt.Sprintf("%d %s", f.skipped[kind], kind))
	}
	if len(skipped) > 0 {
		s.Notes = append(s.Notes, "skipped objects that no NetworkPolicy depends on: "+strings.Join(skipped, ", "))
	}
	return errors.Join(errs...)
}

func (f *files) open(ctx context.Context, name string, stdin io.Reader) error {
	if name == "-" {
		return f.read(ctx, "standard input", stdin)
	}
	file, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return f.read(ctx, name, file)
}

// read takes the documents of a file.
func (f *files) read(ctx context.Context, name string, r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<16)
	if start, _ := in.Peek(512); bytes.HasPrefix(bytes.TrimSpace(start), []byte("{")) {
		return f.readJSON(ctx, name, in)
	}
	var errs []error
	for d, err := range documents(in) {
		at := place{file: name, line: d.line}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			continue
		}
		data, err := yaml.YAMLToJSONStrict(d.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			continue
		}
		errs = append(errs, f.take(ctx, at, data))
	}
	return errors.Join(errs...)
}

// readJSON takes the values of a JSON file, as kubectl get -o json writes it. It is much faster than reading it as YAML.
func (f *files) readJSON(ctx context.Context, name string, r io.Reader) error {
	lines := &lineCounter{reader: r}
	decoder := json.NewDecoder(lines)
	var errs []error
	for {
		var data json.RawMessage
		err := decoder.Decode(&data)
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("%s:%d: the JSON is not complete, or not valid: %w", name, lines.count+1, err))...)
		}
		errs = append(errs, f.take(ctx, place{file: name}, data))
	}
}

type lineCounter struct {
	reader io.Reader
	count  int
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.reader.Read(p)
	l.count += bytes.Count(p[:n], []byte("\n"))
	return n, err
}

// place is where an object was found.
type place struct {
	file string
	line int // of the document; 0 in JSON
	item int // of a List; from 1
}

func (p place) String() string {
	out := p.file
	if p.line > 0 {
		out = fmt.Sprintf("%s:%d", p.file, p.line)
	}
	if p.item > 0 {
		out += fmt.Sprintf(", item %d", p.item)
	}
	return out
}

// document is one of a YAML file, with the line on which it begins.
type document struct {
	text []byte
	line int
}

// documents splits YAML at lines that begin with "---".
func documents(r *bufio.Reader) func(yield func(document, error) bool) {
	return func(yield func(document, error) bool) {
		var current bytes.Buffer
		number, begins := 0, 1
		flush := func() bool {
			defer current.Reset()
			return len(bytes.TrimSpace(current.Bytes())) == 0 || yield(document{bytes.Clone(current.Bytes()), begins}, nil)
		}
		for {
			line, err := r.ReadBytes('\n')
			number++
			if bytes.HasPrefix(line, []byte("---")) && len(bytes.TrimSpace(line)) == 3 {
				if !flush() {
					return
				}
				begins = number + 1
			} else {
				current.Write(line)
			}
			if err != nil {
				if flush() && !errors.Is(err, io.EOF) {
					yield(document{line: number}, err)
				}
				return
			}
		}
	}
}
