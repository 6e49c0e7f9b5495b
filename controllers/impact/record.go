// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Party is one end of an observed connection, as far as the line tells.
type Party struct {
	Namespace, Pod, Workload string
	Address                  netip.Addr
	// Labels as Hubble has them: a JSON list of "k8s:app=web", "reserved:world".
	Labels string
}

// Record is what one line says.
type Record struct {
	Kind                Kind
	Time                time.Time
	Source, Destination Party
	Protocol            corev1.Protocol
	Port                int32
	// Verdict of the network; empty in formats that have none.
	Verdict string
	// Direction in which the node saw it: EGRESS at the source's, INGRESS at the destination's. Most connections are
	// recorded at both.
	Direction string
	// Count of connections; 0 for one that was seen in its middle, so that it may have been counted already.
	Count int64
	// Lost events, for KindLost.
	Lost int64
}

// Kind of a line.
type Kind int

// The kinds of lines.
const (
	// KindConnection: from the end that opened it to the other.
	KindConnection Kind = iota
	// KindReply: the other way of a connection.
	KindReply
	// KindLost: events were lost before they were recorded.
	KindLost
	// KindUnknownDirection: nothing says which end opened it.
	KindUnknownDirection
	// KindOther: neighbor discovery, status messages, and the like.
	KindOther
)

// envelope is a line of Hubble's.
type envelope struct {
	Flow       *flow           `json:"flow"`
	Lost       *lost           `json:"lost_events"`
	AgentEvent json.RawMessage `json:"agent_event"`
	DebugEvent json.RawMessage `json:"debug_event"`
	NodeStatus json.RawMessage `json:"node_status"`
	Time       time.Time       `json:"time"`
}

// ownLine is a line of our own format.
type ownLine struct {
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	Port        int32     `json:"port"`
	Protocol    string    `json:"protocol"`
	Count       *int64    `json:"count"`
	Time        time.Time `json:"time"`
	Verdict     string    `json:"verdict"`
}

// parse reads one line, of which only the ends tell the format if it has no envelope: objects in Hubble's, strings in
// ours.
func parse(text []byte) (Record, error) {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return Record{}, describeJSON(text, err)
	}
	switch {
	case e.Lost != nil:
		return e.Lost.record()
	case e.Flow != nil:
		if e.Flow.Time.IsZero() {
			e.Flow.Time = e.Time
		}
		return e.Flow.record()
	case e.AgentEvent != nil || e.DebugEvent != nil || e.NodeStatus != nil:
		return Record{Kind: KindOther}, nil
	}
	var ends struct {
		Source      json.RawMessage `json:"source"`
		Destination json.RawMessage `json:"destination"`
		L4          json.RawMessage `json:"l4"`
	}
	if err := json.Unmarshal(text, &ends); err != nil {
		return Record{}, err
	}
	switch {
	case bytes.HasPrefix(ends.Source, []byte(`"`)) || bytes.HasPrefix(ends.Destination, []byte(`"`)):
		var own ownLine
		if err := json.Unmarshal(text, &own); err != nil {
			return Record{}, err
		}
		return own.record()
	case ends.Source != nil || ends.Destination != nil || ends.L4 != nil:
		var f flow
		if err := json.Unmarshal(text, &f); err != nil {
			return Record{}, err
		}
		return f.record()
	default:
		return Record{}, errors.New(`is no flow: neither a line of hubble observe -o jsonpb, nor {"source": "namespace/pod", "destination": "namespace/pod", "port": 80}`)
	}
}

func describeJSON(text []byte, err error) error {
	if !bytes.HasPrefix(text, []byte("{")) {
		return errors.New("is no JSON object: flows come one in a line, as hubble observe -o jsonpb prints them")
	}
	if !bytes.HasSuffix(text, []byte("}")) {
		return fmt.Errorf("is truncated, or a flow on several lines: %w", err)
	}
	return err
}

func (l *ownLine) record() (Record, error) {
	r := Record{Time: l.Time, Verdict: l.Verdict, Count: 1, Port: l.Port, Protocol: corev1.Protocol(strings.ToUpper(l.Protocol))}
	if l.Source == "" || l.Destination == "" {
		return r, errors.New(`write "source" and "destination", each as namespace/pod or an address`)
	}
	var err error
	if r.Source, err = plainParty(l.Source); err != nil {
		return r, fmt.Errorf("source: %w", err)
	}
	if r.Destination, err = plainParty(l.Destination); err != nil {
		return r, fmt.Errorf("destination: %w", err)
	}
	if r.Protocol == "" {
		r.Protocol = corev1.ProtocolTCP
	}
	if l.Count != nil {
		r.Count = *l.Count
	}
	switch {
	case l.Count != nil && r.Count < 1:
		return r, errors.New("count: write how many connections there were")
	case !isPolicyProtocol(r.Protocol):
		return r, fmt.Errorf("protocol %q: write TCP, UDP or SCTP", l.Protocol)
	case r.Port < 1 || r.Port > 65535:
		return r, errors.New("port: write a number from 1 to 65535")
	}
	return r, nil
}

func plainParty(text string) (Party, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return Party{Address: a.Unmap()}, nil
	}
	namespace, pod, found := strings.Cut(text, "/")
	if !found || namespace == "" || pod == "" || strings.Contains(pod, "/") {
		return Party{}, fmt.Errorf("%q: write namespace/pod or an address", text)
	}
	return Party{Namespace: namespace, Pod: pod}, nil
}
