// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/netbaseline/netbaseline/hack/packets/netns"
)

// The addresses of the node, and of its peer outside.
var (
	IPv4 = netip.MustParseAddr("10.0.0.100")
	IPv6 = netip.MustParseAddr("fd00:10::100")
)

const (
	// PodRange4 and PodRange6 are where pods get their addresses from.
	PodRange4 = "10.244.0.0/16"
	PodRange6 = "fd00:244::/64"

	// The gateway of every pod is the bridge of the node.
	gateway4 = "10.244.255.254"
	gateway6 = "fe80::1"
)

var nodeSysctls = map[string]string{
	"ipv4/ip_forward":              "1",
	"ipv6/conf/all/forwarding":     "1",
	"ipv4/conf/all/send_redirects": "0",
	// kube-router rejects by ICMP. By default only one such message a second goes to each peer, and whoever gets none
	// waits for the timeout.
	"ipv4/icmp_ratelimit":    "0",
	"ipv4/icmp_msgs_per_sec": "1000000",
	"ipv4/icmp_msgs_burst":   "1000000",
	"ipv6/icmp/ratelimit":    "0",
}

// Network is a node with a bridge for pods, and what is outside of the node: a network namespace each.
type Network struct {
	Node    *netns.NS
	Outside *netns.NS

	mu   sync.Mutex
	pods uint16
	open []*netns.NS
}

// New connects a node with an outside. The node itself answers to the addresses onNode, and everything else that
// leaves the cluster goes to the outside, which has the addresses outside.
func New(onNode, outside []netip.Addr) (*Network, error) {
	n := &Network{}
	if err := n.build(onNode, outside); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) build(onNode, outside []netip.Addr) (err error) {
	if n.Node, err = n.namespace(); err != nil {
		return err
	}
	if n.Outside, err = n.namespace(); err != nil {
		return err
	}
	if err := n.Node.Sysctl(nodeSysctls); err != nil {
		return err
	}
	node := []string{
		"link add br0 type bridge",
		// The kernel gives a bridge the lowest address of its ports, which changes with every pod: pods would lose their
		// gateway for a moment.
		"link set br0 address 02:00:00:00:00:01",
		"addr add " + gateway4 + "/32 dev br0",
		"addr add " + gateway6 + "/64 dev br0 nodad",
		"link set br0 up",
		"route add " + PodRange4 + " dev br0",
		"route add " + PodRange6 + " dev br0",
		"link add up0 type veth peer name up0 netns " + n.Outside.Path(),
		"addr add 10.0.0.100/24 dev up0",
		"addr add fd00:10::100/64 dev up0 nodad",
		"link set up0 up",
	}
	for _, a := range onNode {
		node = append(node, "addr add "+host(a)+" dev "+deviceOf(a)+" nodad")
	}
	there := []string{
		"addr add 10.0.0.1/24 dev up0",
		"addr add fd00:10::1/64 dev up0 nodad",
		"link set up0 up",
		"route add " + PodRange4 + " via 10.0.0.100",
		"route add " + PodRange6 + " via fd00:10::100",
	}
	for _, a := range outside {
		there = append(there, "addr add "+host(a)+" dev lo nodad")
	}
	if err := n.Node.Batch(node...); err != nil {
		return err
	}
	if err := n.Outside.Batch(there...); err != nil {
		return err
	}
	if err := n.Node.Batch("route add default via 10.0.0.1", "route add default via fd00:10::1"); err != nil {
		return err
	}
	// Pods reach each other through the node's routing, at which the firewall looks, although they share a bridge. Such
	// packets leave where they came from, which is no reason to tell the pods about a better way.
	return n.Node.Sysctl(map[string]string{"ipv4/conf/br0/send_redirects": "0"})
}

// deviceOf is where the node has an address: a link-local one belongs to the pods' link.
func deviceOf(a netip.Addr) string {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return "br0"
	}
	return "lo"
}

func host(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

func (n *Network) namespace() (*netns.NS, error) {
	ns, err := netns.New()
	if ns != nil {
		n.mu.Lock()
		n.open = append(n.open, ns)
		n.mu.Unlock()
	}
	return ns, err
}

// Pod is where a pod is in the network.
type Pod struct {
	NS   *netns.NS
	IPv4 netip.Addr
	IPv6 netip.Addr
	link string
}

// AddPod gives a pod its network namespace. No address is used twice.
func (n *Network) AddPod() (*Pod, error) {
	n.mu.Lock()
	n.pods++
	number := n.pods
	n.mu.Unlock()
	ns, err := netns.New()
	if err != nil {
		return nil, err
	}
	p := &Pod{NS: ns, IPv4: address(PodRange4, number), IPv6: address(PodRange6, number), link: fmt.Sprintf("pod%d", number)}
	if err := n.attach(p); err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return p, nil
}

func (n *Network) attach(p *Pod) error {
	if err := n.Node.Batch(
		"link add "+p.link+" type veth peer name eth0 netns "+p.NS.Path(),
		"link set "+p.link+" master br0 up",
	); err != nil {
		return err
	}
	return p.NS.Batch(
		"addr add "+host(p.IPv4)+" dev eth0",
		"addr add "+host(p.IPv6)+" dev eth0 nodad",
		"link set eth0 up",
		"route add "+gateway4+" dev eth0",
		"route add default via "+gateway4,
		"route add default via "+gateway6+" dev eth0",
	)
}

// RemovePod takes a pod off the network.
func (n *Network) RemovePod(p *Pod) error {
	return errors.Join(n.Node.Batch("link del "+p.link), p.NS.Close())
}

// Close gives up the node and the outside. The kernel removes them when their last process is gone.
func (n *Network) Close() error {
	var errs []error
	for _, ns := range n.open {
		errs = append(errs, ns.Close())
	}
	n.open = nil
	return errors.Join(errs...)
}

// address is the address with that number in the range.
func address(cidr string, number uint16) netip.Addr {
	first := netip.MustParsePrefix(cidr).Addr().AsSlice()
	binary.BigEndian.PutUint16(first[len(first)-2:], number)
	a, _ := netip.AddrFromSlice(first)
	return a
}
