// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"

	"github.com/netbaseline/netbaseline/hack/packets/netns"
	"github.com/netbaseline/netbaseline/hack/packets/standin"
)

// Serve answers in a namespace on each of the ports of each of the addresses. An address of its own for each socket
// matters to UDP: a socket of all addresses would answer from another one than was asked.
func Serve(ns *netns.NS, device string, addresses []netip.Addr, ports []standin.Port) (stop func(), err error) {
	var closers []func() error
	stop = func() {
		for _, c := range closers {
			_ = c()
		}
	}
	err = ns.Do(func() error {
		for _, a := range addresses {
			host := a.String()
			if a.Is6() && a.IsLinkLocalUnicast() {
				// By number: Go keeps the names of interfaces, and those of different namespaces would mix.
				link, err := net.InterfaceByName(device)
				if err != nil {
					return err
				}
				host += "%" + strconv.Itoa(link.Index)
			}
			for _, p := range ports {
				c, err := standin.Listen(host, p)
				if err != nil {
					return err
				}
				closers = append(closers, c)
			}
		}
		return nil
	})
	if err != nil {
		stop()
	}
	return stop, err
}

// Forward connects whoever connects to the address in the namespace with the address on this machine's loopback.
func Forward(ctx context.Context, ns *netns.NS, address, target string) error {
	var listener net.Listener
	if err := ns.Do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go join(ctx, c, target)
			}
		}
	}()
	return nil
}

func join(ctx context.Context, c net.Conn, target string) {
	defer c.Close() //nolint:errcheck // both ends are done
	there, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer there.Close() //nolint:errcheck // both ends are done
	ended := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go pass(there, c)
	go pass(c, there)
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
