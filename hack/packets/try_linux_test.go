// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/hack/packets/netns"
	"github.com/netbaseline/netbaseline/hack/packets/probe"
	"github.com/netbaseline/netbaseline/hack/packets/table"
)

// timeout is that of the network-policy-api's own conformance tests.
const timeout = 3 * time.Second

// try is a connection, whether it is allowed, and what became of it when it was last tried.
type try struct {
	probe.Connection
	name    string
	allowed bool
	outcome probe.Outcome
}

type tries []*try

// run tries all, some at a time.
func (all tries) run() {
	const atOnce = 16
	var running sync.WaitGroup
	tokens := make(chan struct{}, atOnce)
	for _, t := range all {
		tokens <- struct{}{}
		running.Go(func() {
			t.outcome = t.Try(timeout)
			<-tokens
		})
	}
	running.Wait()
}

// allConnect tries all and returns an error with those that did not connect.
func (all tries) allConnect() error {
	all.run()
	return all.failing(func(t *try) bool { return t.outcome == probe.Connected })
}

// asTable tries all and returns an error with those whose outcome isn't the table's.
func (all tries) asTable() error {
	all.run()
	return all.failing(func(t *try) bool { return t.allowed == (t.outcome == probe.Connected) })
}

// lost are the allowed connections that failed when they were last tried.
func (all tries) lost() (out []string) {
	for _, t := range all {
		if t.allowed && t.outcome != probe.Connected {
			out = append(out, fmt.Sprintf("%s: %s", t.name, t.outcome))
		}
	}
	return out
}

func (all tries) failing(right func(*try) bool) error {
	var wrong []string
	for _, t := range all {
		if !right(t) {
			wrong = append(wrong, fmt.Sprintf("%s: %s", t.name, t.outcome))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New("not as expected:\n  " + strings.Join(wrong, "\n  "))
}

// end is one end of a connection: the namespace from which it is opened, and its addresses.
type end struct {
	ns        *netns.NS
	addresses []netip.Addr
}

// resolve finds out who opens a connection to what: a connection for each address family that both ends have.
func (s *scene) resolve(ctx context.Context, tab *table.Table, c table.Connection) ([]probe.Connection, error) {
	from, err := s.end(tab, c.From)
	if err != nil {
		return nil, err
	}
	var to end
	if c.Service != "" {
		to, err = s.service(ctx, c.Service)
	} else {
		to, err = s.end(tab, c.To)
	}
	if err != nil {
		return nil, err
	}
	var out []probe.Connection
	for _, source := range from.addresses {
		for _, target := range to.addresses {
			if source.Is4() == target.Is4() {
				out = append(out, probe.Connection{
					NS: from.ns, Network: c.Port.Network, From: source, To: netip.AddrPortFrom(target, uint16(c.Port.Number)), //nolint:gosec // a port
				})
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the ends have no address family in common")
	}
	return out, nil
}

func (s *scene) end(tab *table.Table, name string) (end, error) {
	if namespace, pod, isPod := strings.Cut(name, "/"); isPod {
		p := s.Pod(namespace, pod)
		if p == nil {
			return end{}, fmt.Errorf("there is no pod %s", name)
		}
		return end{p.NS, []netip.Addr{p.IPv4, p.IPv6}}, nil
	}
	a, err := tab.Address(name)
	return end{s.Network.Outside, []netip.Addr{a}}, err
}

func (s *scene) service(ctx context.Context, name string) (end, error) {
	namespace, called, _ := strings.Cut(name, "/")
	service := &corev1.Service{}
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: called}, service); err != nil {
		return end{}, err
	}
	a, err := netip.ParseAddr(service.Spec.ClusterIP)
	return end{addresses: []netip.Addr{a}}, err
}
