// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/netbaseline/netbaseline/hack/packets/netns"
)

// Outcome is what became of a connection: Connected, or one of the words of agnhost's connect.
type Outcome string

// The outcomes. Everything else is OTHER with the error.
const (
	Connected Outcome = "CONNECTED"
	Timeout   Outcome = "TIMEOUT"
	Refused   Outcome = "REFUSED"
)

// Connection is a connection to try.
type Connection struct {
	NS      *netns.NS
	Network string     // tcp or udp
	From    netip.Addr // the source address; invalid leaves the choice to the kernel
	To      netip.AddrPort
}

// Try opens the connection and waits for an answer of the server, so that Connected means packets in both directions.
func (c Connection) Try(timeout time.Duration) Outcome {
	var connection net.Conn
	err := c.NS.Do(func() (err error) {
		to, err := c.target()
		if err != nil {
			return err
		}
		dialer := net.Dialer{Timeout: timeout, LocalAddr: c.source()}
		connection, err = dialer.Dial(c.Network, to)
		return err
	})
	if err == nil {
		err = answer(connection, timeout)
	}
	return outcome(err)
}

// target is the address for net.Dial. A link-local one is behind the pod's link, by number: Go keeps the names of
// interfaces, and those of different namespaces would mix.
func (c Connection) target() (string, error) {
	host := c.To.Addr().String()
	if a := c.To.Addr(); a.Is6() && a.IsLinkLocalUnicast() {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return "", err
		}
		host += "%" + strconv.Itoa(link.Index)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(c.To.Port()))), nil
}

func (c Connection) source() net.Addr {
	switch {
	case !c.From.IsValid():
		return nil
	case c.Network == "udp":
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.From, 0))
	default:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.From, 0))
	}
}

// answer waits for the server's line. Closing resets, so that no port stays in TIME_WAIT: thousands of probes would
// else use them up.
func answer(connection net.Conn, timeout time.Duration) error {
	defer connection.Close() //nolint:errcheck // nothing is written
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return err
		}
	} else if _, err := connection.Write([]byte("probe\n")); err != nil {
		return err
	}
	_, err := connection.Read(make([]byte, 64))
	return err
}

func outcome(err error) Outcome {
	switch {
	case err == nil:
		return Connected
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return Timeout
	}
	return Outcome(fmt.Sprintf("OTHER: %v", err))
}
