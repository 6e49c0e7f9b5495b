// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// requests are those that an operator sent.
type requests struct {
	mu   sync.Mutex
	sent []string
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// count wraps a transport.
func (r *requests) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		verb := req.Method
		if req.Method == http.MethodGet && req.URL.Query().Get("watch") != "" {
			verb = "WATCH"
		}
		r.mu.Lock()
		r.sent = append(r.sent, fmt.Sprintf("%s %s", verb, req.URL.Path))
		r.mu.Unlock()
		return next.RoundTrip(req)
	})
}

// all but watches, since the last forget.
func (r *requests) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, sent := range r.sent {
		if !strings.HasPrefix(sent, "WATCH ") {
			out = append(out, sent)
		}
	}
	return out
}

// writes to a resource; Events are "events".
func (r *requests) writes(resource string) []string {
	var out []string
	for _, sent := range r.all() {
		if !strings.HasPrefix(sent, "GET ") && strings.Contains(sent, "/"+resource) {
			out = append(out, sent)
		}
	}
	return out
}

func (r *requests) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = nil
}
