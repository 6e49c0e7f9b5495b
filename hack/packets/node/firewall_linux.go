// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Firewall is kube-router on the node: it enforces NetworkPolicies.
type Firewall struct {
	process *exec.Cmd
	exited  chan error
}

// StartFirewall starts kube-router on the node and waits until it has looked at the policies once.
func (n *Network) StartFirewall(ctx context.Context, binary, kubeconfig, nodeName string, log io.Writer) (*Firewall, error) {
	f := &Firewall{exited: make(chan error, 1)}
	// Ended by Stop, and not by a context.
	f.process = exec.Command(binary,
		"--kubeconfig="+kubeconfig, "--hostname-override="+nodeName,
		"--run-router=false", "--run-firewall=true", "--run-service-proxy=false",
		"--enable-ipv4=true", "--enable-ipv6=true",
		"--service-cluster-ip-range="+ServiceRange,
		"--health-addr=127.0.0.1", "--health-port=20244",
		"--v=1",
	)
	f.process.Stdout, f.process.Stderr = log, log
	f.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.Node.Start(f.process); err != nil {
		return nil, fmt.Errorf("starting kube-router: %w", err)
	}
	go func() { f.exited <- f.process.Wait() }()
	if err := n.healthy(ctx, f); err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// healthy waits until kube-router says that its controller has run.
func (n *Network) healthy(ctx context.Context, f *Firewall) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (c net.Conn, err error) {
			err = n.Node.Do(func() error {
				c, err = net.DialTimeout("tcp", "127.0.0.1:20244", time.Second)
				return err
			})
			return c, err
		},
	}}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		response, err := client.Get("http://kube-router/healthz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-f.exited:
			f.exited <- err
			return fmt.Errorf("kube-router ended by itself: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("kube-router is not healthy: %w", errors.Join(ctx.Err(), err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends kube-router. Its rules stay in the node.
func (f *Firewall) Stop() error {
	// It may have ended already: Ctrl-C reaches it, too.
	if err := f.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-f.exited:
		return nil
	case <-time.After(10 * time.Second):
		return f.process.Process.Kill()
	}
}

// ServiceRange is where ClusterIPs are.
const ServiceRange = "10.96.0.0/16"

// Service is a port of a ClusterIP, and the one address that is behind it.
type Service struct {
	Network         string // tcp or udp
	Address, Target netip.AddrPort
}

// Translate makes the node translate the addresses of these Services, and of no others, as kube-proxy does.
func (n *Network) Translate(services []Service) error {
	lines := []string{"*nat", ":PREROUTING ACCEPT"}
	for _, s := range services {
		lines = append(lines, fmt.Sprintf("-A PREROUTING -d %s -p %s --dport %d -j DNAT --to-destination %s",
			s.Address.Addr(), s.Network, s.Address.Port(), s.Target))
	}
	return n.Node.Run(strings.Join(append(lines, "COMMIT", ""), "\n"), "iptables-restore", "--wait", "10")
}
