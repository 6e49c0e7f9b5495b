// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// verdict is what becomes of a write.
type verdict struct {
	// refuse with this status code; 0 forwards it.
	refuse int
	delay  time.Duration
	// lost: the answer never arrives, because after is called instead.
	lost  bool
	after func()
}

// proxy stands between the operator and the API server. It sees every request, and can do with it what a network does.
type proxy struct {
	server *http.Server
	url    string

	mu      sync.Mutex
	judge   func(n int, r *http.Request) verdict // n counts writes from 1 since the judge was set
	slow    func(r *http.Request) time.Duration  // delays what is read and no watch
	writes  int
	written map[string]int // writes of policies by namespace
	down    bool
	watches map[*http.Request]context.CancelFunc
}

// newProxy forwards what it gets with the rights of config.
func newProxy(ctx context.Context, config *rest.Config) (*proxy, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{url: "http://" + listener.Addr().String(), watches: map[*http.Request]context.CancelFunc{}, written: map[string]int{}}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		// What happens here is what a client sees of an API server that is gone.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { hangUp(w) },
		ErrorLog:     nil,
	}
	p.server = &http.Server{Handler: p.handler(forward), ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet}
	forward.ErrorLog = quiet
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (p *proxy) handler(forward http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		switch {
		case down:
			hangUp(w)
		case r.URL.Query().Get("watch") != "":
			ctx, cancel := context.WithCancel(r.Context())
			r = r.WithContext(ctx)
			p.mu.Lock()
			p.watches[r] = cancel
			p.mu.Unlock()
			defer func() {
				p.mu.Lock()
				delete(p.watches, r)
				p.mu.Unlock()
				cancel()
				_ = recover() // ReverseProxy panics with http.ErrAbortHandler when a stream is cut
				hangUp(w)
			}()
			forward.ServeHTTP(w, r)
		case r.Method == http.MethodGet:
			p.mu.Lock()
			slow := p.slow
			p.mu.Unlock()
			if slow != nil {
				wait(r.Context(), slow(r))
			}
			forward.ServeHTTP(w, r)
		default:
			p.write(forward, w, r)
		}
	})
}

func (p *proxy) write(forward http.Handler, w http.ResponseWriter, r *http.Request) {
	var v verdict
	p.mu.Lock()
	// Leases and Events are nobody's policies.
	if ofPolicy(r) || strings.Contains(r.URL.Path, "/networkbaselines") {
		p.writes++
		if p.judge != nil {
			v = p.judge(p.writes, r)
		}
	}
	if _, path, ok := strings.Cut(r.URL.Path, "/networking.k8s.io/v1/namespaces/"); ok {
		namespace, _, _ := strings.Cut(path, "/")
		p.written[namespace]++
	}
	p.mu.Unlock()
	wait(r.Context(), v.delay)
	if v.refuse != 0 {
		refuse(w, v.refuse)
		return
	}
	if !v.lost {
		forward.ServeHTTP(w, r)
	} else {
		// Whatever becomes of the client, the write arrives.
		forward.ServeHTTP(discard{http.Header{}}, r.WithContext(context.WithoutCancel(r.Context())))
	}
	if v.after != nil {
		v.after()
	}
	if v.lost {
		hangUp(w)
	}
}

// counts are the writes of policies that the operator has asked for so far, by namespace.
func (p *proxy) counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.written)
}

// set makes a judge of writes; nil lets all of them pass.
func (p *proxy) set(judge func(n int, r *http.Request) verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge, p.writes = judge, 0
}

// delay makes reads slow; nil ends that.
func (p *proxy) delay(slow func(r *http.Request) time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = slow
}

// disconnect hangs up on everybody until it is called with false.
func (p *proxy) disconnect(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.cutWatches()
	}
}

// cutWatches ends every watch stream, in the middle of whatever it says.
func (p *proxy) cutWatches() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cancel := range p.watches {
		cancel()
	}
}

func (p *proxy) close() error { return p.server.Close() }

// kubeconfig writes one that leads to the proxy.
func (p *proxy) kubeconfig(path string) error {
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: proxy, cluster: {server: %q}}]
contexts: [{name: proxy, context: {cluster: proxy}}]
current-context: proxy
`, p.url), 0o600)
}

// refuse answers as the API server does.
func refuse(w http.ResponseWriter, code int) {
	reason := map[int]string{http.StatusForbidden: "Forbidden", http.StatusConflict: "Conflict", http.StatusTooManyRequests: "TooManyRequests"}[code]
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"refused by chaos","code":%d}`, reason, code)
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// discard takes an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

var errStopped = errors.New("stopped")
