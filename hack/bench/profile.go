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
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// profileHeap takes a profile of the operator's memory, if profiles are wanted.
func (s *scene) profileHeap(ctx context.Context, name string) error {
	if !s.set.Profile {
		return nil
	}
	return download(ctx, fmt.Sprintf("http://%s/debug/pprof/heap", s.operator.pprofAddress), filepath.Join(s.set.profiles, name+".pprof"))
}

// profile takes CPU profiles of the API server and of the operator, if one runs, for about as long as given, if profiles
// are wanted. Call the returned function to wait for them.
func (s *scene) profile(ctx context.Context, name string, about time.Duration) (wait func() error) {
	if !s.set.Profile {
		return func() error { return nil }
	}
	seconds := strconv.Itoa(int(math.Ceil(about.Seconds())) + 1)
	path := func(of string) string { return filepath.Join(s.set.profiles, fmt.Sprintf("%s-%s.pprof", of, name)) }
	var group errgroup.Group
	group.Go(func() error {
		data, err := s.admin.Discovery().RESTClient().Get().AbsPath("/debug/pprof/profile").Param("seconds", seconds).DoRaw(ctx)
		if err != nil {
			return err
		}
		return os.WriteFile(path("kube-apiserver"), data, 0o600)
	})
	if s.operator != nil {
		group.Go(func() error {
			return download(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%s", s.operator.pprofAddress, seconds), path(operatorProgram))
		})
	}
	// The profiler has begun before the measurement does.
	_ = sleep(ctx.Done(), 200*time.Millisecond)
	return group.Wait
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
