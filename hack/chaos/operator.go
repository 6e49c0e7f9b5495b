// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"io"
	stdlog "log"
	"sync"
	"syscall"
	"time"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// quiet is for servers whose clients are killed all the time.
var quiet = stdlog.New(io.Discard, "", 0)

// replica is a process of the operator that starts again whenever it ends, as a Deployment's does.
type replica struct {
	options localcluster.OperatorOptions

	mu      sync.Mutex
	process *localcluster.Operator
	stopped bool
	done    chan struct{}
}

func startReplica(o localcluster.OperatorOptions) *replica {
	r := &replica{options: o, done: make(chan struct{})}
	go r.run()
	return r
}

func (r *replica) run() {
	defer close(r.done)
	for {
		r.mu.Lock()
		if r.stopped {
			r.mu.Unlock()
			return
		}
		process, err := localcluster.StartOperator(r.options)
		r.process = process
		r.mu.Unlock()
		if err == nil {
			<-process.Ended()
		}
		// One that cannot start, because the API server is gone, is not started a thousand times a second.
		wait(context.Background(), 50*time.Millisecond)
	}
}

// signal is what kill(2) sends; SIGKILL comes without warning.
func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		_ = r.process.Signal(s)
	}
}

func (r *replica) kill() { r.signal(syscall.SIGKILL) }

// stop ends the replica for good.
func (r *replica) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.kill()
	<-r.done
}
