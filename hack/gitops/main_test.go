// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// patience is how long anything may take.
const patience = 30 * time.Second

var (
	update = flag.Bool("update", false, "record the statuses under config/argocd again")
	// here is what all tests share.
	here *world
	// background is for what happens after a test, whose own context is over.
	background = context.Background()
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(poll)
	log.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	if here, err = newWorld(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if code != 0 {
			said, _ := os.ReadFile(here.log())
			fmt.Fprintf(os.Stderr, "the operator's log:\n%s", said)
		}
		if err := here.close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}
