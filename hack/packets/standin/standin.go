// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package standin is a server that stands for any other: it answers every connection and every datagram with one line.
package standin

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Answer is what a server says.
const Answer = "standin\n"

// Port is a port such as TCP/80.
type Port struct {
	Network string // tcp or udp
	Number  int
}

// ParsePort reads TCP/80, or 80 for the same.
func ParsePort(s string) (Port, error) {
	protocol, number, found := strings.Cut(s, "/")
	if !found {
		protocol, number = "TCP", s
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || protocol != "TCP" && protocol != "UDP" {
		return Port{}, fmt.Errorf("%q is no port such as TCP/80", s)
	}
	return Port{strings.ToLower(protocol), int(n)}, nil
}

func (p Port) String() string { return strings.ToUpper(p.Network) + "/" + strconv.Itoa(p.Number) }

// Listen answers on a port of a host, or of all addresses if host is empty, until the listener is closed.
func Listen(host string, p Port) (close func() error, err error) {
	address := net.JoinHostPort(host, strconv.Itoa(p.Number))
	if p.Network == "udp" {
		c, err := net.ListenPacket("udp", address)
		if err != nil {
			return nil, err
		}
		go answerPackets(c)
		return c.Close, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	go answerConnections(l)
	return l.Close, nil
}

func answerConnections(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		// The line fits into the socket's buffer: nobody waits.
		_, _ = c.Write([]byte(Answer))
		_ = c.Close()
	}
}

func answerPackets(c net.PacketConn) {
	buf := make([]byte, 512)
	for {
		_, from, err := c.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a client that is gone: ICMP said so
		}
		_, _ = c.WriteTo([]byte(Answer), from)
	}
}
