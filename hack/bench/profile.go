// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profileHeap takes a profile of the operator's memory, if profiles are wanted.
func (s *scene) profileHeap(ctx context.Context, name string) error {
	if !s.set.Profile {
		return nil
	}
	return download(ctx, fmt.Sprintf("http://%s/debug/pprof/heap", s.operator.pprofAddress), filepath.Join(s.set.profiles, name+".pprof"))
}

// profile takes a CPU profile of the operator for about as long as given, if profiles are wanted. Call the returned
// function to wait for it.
func (s *scene) profile(ctx context.Context, name string, about time.Duration) (wait func() error) {
	if !s.set.Profile {
		return func() error { return nil }
	}
	seconds := int(math.Ceil(about.Seconds())) + 1
	path := filepath.Join(s.set.profiles, name+".pprof")
	done := make(chan error, 1)
	go func() {
		done <- download(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.operator.pprofAddress, seconds), path)
	}()
	// The profiler has begun before the measurement does.
	_ = sleep(ctx.Done(), 200*time.Millisecond)
	return func() error { return <-done }
}

func download(ctx context.Context, url, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // nothing is written
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, res.Status, data)
	}
	return os.WriteFile(path, data, 0o600)
}
