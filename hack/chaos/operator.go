// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// quiet is for servers whose clients are killed all the time.
var quiet = stdlog.New(io.Discard, "", 0)

// replica is a process of the operator that starts again whenever it ends, as a Deployment's does.
type replica struct {
	binary string
	args   []string
	log    *os.File

	mu      sync.Mutex
	process *os.Process
	stopped bool
	starts  int
	done    chan struct{}
}

func startReplica(binary string, log *os.File, args ...string) *replica {
	r := &replica{binary: binary, args: args, log: log, done: make(chan struct{})}
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
		// Its life is not a context's: kill and stop end it.
		command := exec.CommandContext(context.Background(), r.binary, r.args...)
		command.Stdout, command.Stderr = r.log, r.log
		err := command.Start()
		r.starts++
		r.process = command.Process
		r.mu.Unlock()
		if err == nil {
			err = command.Wait()
		}
		_, _ = fmt.Fprintf(r.log, "---- replica ended: %v\n", err)
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
