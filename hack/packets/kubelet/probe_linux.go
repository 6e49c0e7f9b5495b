// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probe asks from the node whether the container is ready, until ctx ends.
func (c *container) probe(ctx context.Context) {
	p := c.spec.ReadinessProbe
	if p == nil {
		return
	}
	wait := time.Duration(p.InitialDelaySeconds) * time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		ready := c.ask(ctx, p) == nil
		if ctx.Err() != nil {
			return
		}
		c.worker.mu.Lock()
		changed := c.ready != ready && c.state.Running != nil
		c.worker.mu.Unlock()
		if changed {
			c.set(ctx, func() { c.ready = ready })
		}
		wait = time.Duration(p.PeriodSeconds) * time.Second
		if !ready {
			wait = min(wait, 100*time.Millisecond) // a start is not delayed by a whole period
		}
	}
}

func (c *container) ask(ctx context.Context, p *corev1.Probe) error {
	timeout := time.Duration(p.TimeoutSeconds) * time.Second
	switch {
	case p.TCPSocket != nil:
		connection, err := c.dial(c.port(p.TCPSocket.Port), timeout)
		if err == nil {
			err = connection.Close()
		}
		return err
	case p.HTTPGet != nil:
		return c.get(ctx, p.HTTPGet, timeout)
	}
	return fmt.Errorf("this kubelet knows probes by TCP and HTTP only")
}

func (c *container) get(ctx context.Context, get *corev1.HTTPGetAction, timeout time.Duration) error {
	client := http.Client{Timeout: timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return c.dial(c.port(get.Port), timeout) },
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.pod.Name+get.Path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	return nil
}

func (c *container) dial(port int, timeout time.Duration) (connection net.Conn, err error) {
	err = c.kubelet.Network.Node.Do(func() error {
		connection, err = net.DialTimeout("tcp", net.JoinHostPort(c.ips[0].IP, strconv.Itoa(port)), timeout)
		return err
	})
	return connection, err
}

func (c *container) port(p intstr.IntOrString) int {
	if p.Type == intstr.Int {
		return p.IntValue()
	}
	for _, named := range c.spec.Ports {
		if named.Name == p.StrVal {
			return int(named.ContainerPort)
		}
	}
	return 0
}
