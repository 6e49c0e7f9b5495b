// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows a phase on standard error until the returned function is called: as a bar on a terminal, and as one
// line at its end elsewhere. It asks done ten times a second, so that what is measured doesn't pay for it.
func (s *scene) progress(what string, total int, done func() int) (stop func()) {
	what = fmt.Sprintf("[%d namespaces] %s", s.n, what)
	began := time.Now()
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return func() { fmt.Fprintf(os.Stderr, "%s: %.1f s\n", what, time.Since(began).Seconds()) }
	}
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(true))
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				_ = bar.Set(min(done(), total))
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
		_ = bar.Clear()
		fmt.Fprintf(os.Stderr, "\r%s: %.1f s\n", what, time.Since(began).Seconds())
	}
}

// progressOf shows the passing of time.
func (s *scene) progressOf(what string, d time.Duration) (stop func()) {
	began := time.Now()
	return s.progress(what, int(d.Seconds()), func() int { return int(time.Since(began).Seconds()) })
}

// sleep waits, or returns early with the context's error.
func sleep(done <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return errInterrupted
	case <-timer.C:
		return nil
	}
}
