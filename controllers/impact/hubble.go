// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// flow is as much of Hubble's flow (cilium api/v1/flow/flow.proto) as tells a connection. Every field may be missing:
// exports have field masks.
type flow struct {
	Time        time.Time `json:"time"`
	Verdict     string    `json:"verdict"`
	Type        string    `json:"Type"`
	Direction   string    `json:"traffic_direction"`
	IsReply     *bool     `json:"is_reply"`
	Reply       *bool     `json:"reply"` // of older versions, which leave it out when it is false
	IP          *ipLayer  `json:"IP"`
	L4          *l4Layer  `json:"l4"`
	Source      *party    `json:"source"`
	Destination *party    `json:"destination"`
}

type ipLayer struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

type l4Layer struct {
	TCP    *ports `json:"TCP"`
	UDP    *ports `json:"UDP"`
	SCTP   *ports `json:"SCTP"`
	ICMPv4 *icmp  `json:"ICMPv4"`
	ICMPv6 *icmp  `json:"ICMPv6"`
}

type ports struct {
	Source      int32     `json:"source_port"`
	Destination int32     `json:"destination_port"`
	Flags       *tcpFlags `json:"flags"`
}

type tcpFlags struct{ SYN, ACK bool }

type icmp struct {
	Type int `json:"type"`
}

type party struct {
	Namespace string          `json:"namespace"`
	Pod       string          `json:"pod_name"`
	Labels    json.RawMessage `json:"labels"`
	Workloads []struct {
		Name string `json:"name"`
	} `json:"workloads"`
}

// lost says that events were lost. The number is a string in JSON, because it has 64 bits.
type lost struct {
	Events json.RawMessage `json:"num_events_lost"`
}

func (l *lost) record() (Record, error) {
	n, err := strconv.ParseInt(string(bytes.Trim(l.Events, `"`)), 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("lost_events.num_events_lost: %w", err)
	}
	return Record{Kind: KindLost, Lost: n}, nil
}

func (f *flow) record() (Record, error) {
	r := Record{Time: f.Time, Verdict: f.Verdict, Direction: f.Direction, Count: 1}
	var err error
	if r.Source, err = f.Source.party(f.IP.source()); err != nil {
		return r, fmt.Errorf("IP.source: %w", err)
	}
	if r.Destination, err = f.Destination.party(f.IP.destination()); err != nil {
		return r, fmt.Errorf("IP.destination: %w", err)
	}
	var p *ports
	switch l4 := f.L4; {
	case l4 == nil:
		r.Kind = KindOther
		return r, nil
	case l4.TCP != nil:
		r.Protocol, p = corev1.ProtocolTCP, l4.TCP
	case l4.UDP != nil:
		r.Protocol, p = corev1.ProtocolUDP, l4.UDP
	case l4.SCTP != nil:
		r.Protocol, p = corev1.ProtocolSCTP, l4.SCTP
	case l4.ICMPv4 != nil:
		r.Protocol, r.Kind = "ICMPv4", f.kind(nil)
		return r, nil
	case l4.ICMPv6 != nil:
		r.Protocol, r.Kind = "ICMPv6", f.kind(nil)
		if l4.ICMPv6.isNeighborDiscovery() {
			r.Kind = KindOther
		}
		return r, nil
	default:
		r.Kind = KindOther
		return r, nil
	}
	r.Port, r.Kind = p.Destination, f.kind(p)
	// An event of layer 7, or of the middle of a long connection: not one more connection.
	if f.Type == "L7" || p.Flags != nil && !p.Flags.SYN {
		r.Count = 0
	}
	return r, nil
}

// isNeighborDiscovery: router and neighbor solicitation and advertisement, redirect (RFC 4861), which is no traffic of
// pods that policies could be about.
func (i *icmp) isNeighborDiscovery() bool { return i.Type >= 133 && i.Type <= 137 }

// firstEphemeral is where Linux begins to choose the ports of clients (net.ipv4.ip_local_port_range).
const firstEphemeral = 32768

// kind tells a connection from its reply: by is_reply or reply, else by the flags of TCP, else by the ports.
func (f *flow) kind(p *ports) Kind {
	kinds := map[bool]Kind{false: KindConnection, true: KindReply}
	switch {
	case f.IsReply != nil:
		return kinds[*f.IsReply]
	case f.Reply != nil:
		return kinds[*f.Reply]
	case p == nil:
		return KindUnknownDirection
	case p.Flags != nil && p.Flags.SYN:
		return kinds[p.Flags.ACK]
	case p.Source >= firstEphemeral && p.Destination < firstEphemeral:
		return KindConnection
	case p.Source < firstEphemeral && p.Source > 0 && p.Destination >= firstEphemeral:
		return KindReply
	default:
		return KindUnknownDirection
	}
}

func (i *ipLayer) source() string {
	if i == nil {
		return ""
	}
	return i.Source
}

func (i *ipLayer) destination() string {
	if i == nil {
		return ""
	}
	return i.Destination
}

func (p *party) party(address string) (Party, error) {
	var out Party
	if address != "" {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return out, err
		}
		out.Address = a.Unmap().WithZone("")
	}
	if p == nil {
		return out, nil
	}
	out.Namespace, out.Pod, out.Labels = p.Namespace, p.Pod, string(p.Labels)
	if len(p.Workloads) > 0 {
		out.Workload = p.Workloads[0].Name
	}
	return out, nil
}
