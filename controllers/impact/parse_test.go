// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"fmt"
	"strings"
	"testing"
)

// TestParse: what each kind of line says, or what is wrong with it.
func TestParse(t *testing.T) {
	const ends = `"source":{"namespace":"a","pod_name":"x"},"destination":{"namespace":"b","pod_name":"y"}`
	tcp := func(more string) string {
		return `{"flow":{"verdict":"FORWARDED","l4":{"TCP":{"source_port":40000,"destination_port":80` + more + `}},` + ends
	}
	for _, tc := range []struct {
		name, text string
		kind       Kind
		count      int64
		want       string // protocol port, or the error
	}{
		{"a SYN", tcp(`,"flags":{"SYN":true}`) + `}}`, KindConnection, 1, "TCP 80"},
		{"a SYN of a connection", tcp(`,"flags":{"SYN":true}`) + `,"is_reply":false}}`, KindConnection, 1, "TCP 80"},
		{"a SYN-ACK", tcp(`,"flags":{"SYN":true,"ACK":true}`) + `}}`, KindReply, 0, ""},
		{"a reply", tcp(`,"flags":{"SYN":true}`) + `,"is_reply":true}}`, KindReply, 0, ""},
		{"a reply of older versions", tcp("") + `,"reply":true}}`, KindReply, 0, ""},
		{"is_reply is null", tcp(`,"flags":{"SYN":true}`) + `,"is_reply":null}}`, KindConnection, 1, "TCP 80"},
		{"the middle of a connection", tcp(`,"flags":{"ACK":true,"PSH":true}`) + `,"is_reply":false}}`, KindConnection, 0, "TCP 80"},
		{"a field mask without flags", tcp("") + `,"is_reply":false}}`, KindConnection, 1, "TCP 80"},
		{"by its ports", tcp("") + `}}`, KindConnection, 1, "TCP 80"},
		{"by its ports, a reply", `{"flow":{"l4":{"UDP":{"source_port":53,"destination_port":40000}},` + ends + `}}`, KindReply, 0, ""},
		{"nothing tells", `{"flow":{"l4":{"UDP":{"source_port":500,"destination_port":500}},` + ends + `}}`, KindUnknownDirection, 0, ""},
		{"layer 7", tcp("") + `,"Type":"L7","is_reply":false}}`, KindConnection, 0, "TCP 80"},
		{"SCTP", `{"flow":{"l4":{"SCTP":{"source_port":1,"destination_port":2905}},"is_reply":false,` + ends + `}}`, KindConnection, 1, "SCTP 2905"},
		{"ping", `{"flow":{"l4":{"ICMPv4":{"type":8}},"is_reply":false,` + ends + `}}`, KindConnection, 1, "ICMPv4 0"},
		{"neighbor discovery", `{"flow":{"l4":{"ICMPv6":{"type":135}},` + ends + `}}`, KindOther, 0, ""},
		{"no layer 4", `{"flow":{` + ends + `}}`, KindOther, 0, ""},
		{"without an envelope", `{"l4":{"TCP":{"destination_port":80}},"is_reply":false,` + ends + `}`, KindConnection, 1, "TCP 80"},
		{"lost events", `{"lost_events":{"num_events_lost":"12"}}`, KindLost, 0, ""},
		{"lost events, a number", `{"lost_events":{"num_events_lost":12}}`, KindLost, 0, ""},
		{"a status", `{"node_status":{"state_change":"NODE_CONNECTED"}}`, KindOther, 0, ""},
		{"ours", `{"source":"a/x","destination":"10.0.0.1","port":53,"protocol":"udp","count":7}`, KindConnection, 7, "UDP 53"},
		{"ours, by default", `{"source":"a/x","destination":"b/y","port":80}`, KindConnection, 1, "TCP 80"},
		{"ours without a port", `{"source":"a/x","destination":"b/y"}`, 0, 0, "! port: write a number"},
		{"ours without a namespace", `{"source":"x","destination":"b/y","port":1}`, 0, 0, `! source: "x": write namespace/pod or an address`},
		{"ours with a half", `{"source":"a/x","port":1}`, 0, 0, `! write "source" and "destination"`},
		{"ours with a negative count", `{"source":"a/x","destination":"b/y","port":1,"count":-1}`, 0, 0, "! count: write"},
		{"a bad address", `{"flow":{"IP":{"source":"10.0.0"},"l4":{"TCP":{"destination_port":80}}}}`, 0, 0, "! IP.source: "},
		{"truncated", `{"flow":{"verdict":"FORW`, 0, 0, "! is truncated"},
		{"no object", `[]`, 0, 0, "! is no JSON object"},
		{"another object", `{"apiVersion":"v1","kind":"Pod"}`, 0, 0, "! is no flow"},
		{"a bad number of lost events", `{"lost_events":{}}`, 0, 0, "! lost_events.num_events_lost"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := parse([]byte(tc.text))
			if message, bad := strings.CutPrefix(tc.want, "! "); bad {
				if err == nil || !strings.Contains(err.Error(), message) {
					t.Errorf("%v, want %q", err, message)
				}
				return
			}
			if err != nil || r.Kind != tc.kind {
				t.Fatalf("kind %d, want %d; %v", r.Kind, tc.kind, err)
			}
			if got := fmt.Sprintf("%s %d", r.Protocol, r.Port); tc.kind == KindConnection && (got != tc.want || r.Count != tc.count) {
				t.Errorf("%s, count %d; want %s, count %d", got, r.Count, tc.want, tc.count)
			}
		})
	}
}

// TestLines: every line is read or reported with its number, whatever the others are.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	middle := strings.Repeat("y", 1<<18)
	var got, bad []string
	eachLine("f", strings.NewReader("one\n\n"+long+"\n"+middle+"\nlast"), func(number int, line []byte) {
		got = append(got, fmt.Sprintf("%d:%.4s%d", number, line, len(line)))
	}, func(b BadLine) { bad = append(bad, b.Error()) })
	if want := "1:one3 4:yyyy262144 5:last4"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if len(bad) != 1 || !strings.HasPrefix(bad[0], "f:3: the line is longer") {
		t.Errorf("%v", bad)
	}
}

// TestBatches: lines keep their order and their numbers over many batches, and so do errors.
func TestBatches(t *testing.T) {
	var in strings.Builder
	for n := 1; n <= 5*batchLines+7; n++ {
		if n%100 == 0 {
			in.WriteString("bad\n")
			continue
		}
		fmt.Fprintf(&in, `{"source":"a/x","destination":"b/y","port":%d}`+"\n", n)
	}
	next := 1
	eachBatch("f", strings.NewReader(in.String()), func(b *batch) {
		for i, l := range b.lines {
			if l.number != next || (l.bad != nil) != (next%100 == 0) || l.bad == nil && b.records[i].Port != int32(next) {
				t.Fatalf("line %d: %+v, %+v", next, l, b.records[i])
			}
			next++
		}
	})
	if next != 5*batchLines+8 {
		t.Errorf("%d lines", next-1)
	}
}

// FuzzParse: a line is a record or an error, and never a panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"flow":{"l4":{"TCP":{"destination_port":80,"flags":{"SYN":true}}},"source":{"namespace":"a","pod_name":"b","labels":["k8s:app=x"]}}}`))
	f.Add([]byte(`{"source":"a/b","destination":"10.0.0.1","port":80}`))
	f.Add([]byte(`{"lost_events":{"num_events_lost":"1"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parse(text)
		if err != nil {
			return
		}
		a := New(Options{Inventory: testInventory(), Today: compiled(t, nil), Tomorrow: compiled(t, nil)})
		a.Add(&r)
		a.Report()
	})
}
