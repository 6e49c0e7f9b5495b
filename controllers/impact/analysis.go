// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/inventory"
	"github.com/netbaseline/netbaseline/controllers/suggest"
)

// Options of an analysis.
type Options struct {
	Inventory *inventory.Inventory
	// Today and Tomorrow are the policies before and after the change.
	Today, Tomorrow *connectivity.Set
	// MaxConnections are remembered at once, and MaxGroups reported; 0 is the default.
	MaxConnections, MaxGroups int
}

const (
	defaultMaxConnections = 200000
	defaultMaxGroups      = 50000
)

// Analysis counts and judges connections. It is not safe for concurrent use.
type Analysis struct {
	options Options
	joiner  joiner
	ends    map[Party]*end
	// seen are the connections of the current window; groups are those of the report.
	seen   map[connection]*tally
	groups map[groupKey]*Group
	report Report
}

// connection is what is judged once.
type connection struct {
	source, destination *end
	protocol            corev1.Protocol
	port                int32
	verdict             string
}

// tally counts a connection: by the direction in which it was seen, because most are recorded once in each.
type tally struct {
	group                       *Group
	egress, ingress, undirected int64
	inMiddle                    bool
}

// New returns an analysis.
func New(o Options) *Analysis {
	if o.MaxConnections == 0 {
		o.MaxConnections = defaultMaxConnections
	}
	if o.MaxGroups == 0 {
		o.MaxGroups = defaultMaxGroups
	}
	return &Analysis{
		options: o, joiner: joiner{o.Inventory},
		ends: map[Party]*end{}, seen: map[connection]*tally{}, groups: map[groupKey]*Group{},
		report: Report{Totals: map[Class]int64{}, Verdicts: map[string]int64{}, More: map[Class]int64{}},
	}
}

// Read reads a file of observed connections, and reports lines that it cannot read.
func (a *Analysis) Read(file string, r io.Reader, bad func(BadLine), progress func(lines int64)) {
	eachBatch(file, r, func(b *batch) {
		for i := range b.lines {
			a.report.Lines++
			if problem := b.lines[i].bad; problem != nil {
				a.report.BadLines++
				bad(*problem)
			} else {
				a.Add(&b.records[i])
			}
			if progress != nil {
				progress(a.report.Lines)
			}
		}
	})
}

// Add counts a record.
func (a *Analysis) Add(r *Record) {
	a.report.see(r.Time)
	switch r.Kind {
	case KindReply:
		a.report.Replies++
		return
	case KindLost:
		a.report.Lost += r.Lost
		return
	case KindUnknownDirection:
		a.report.UnknownDirection++
		return
	case KindOther:
		a.report.Other++
		return
	}
	key := connection{a.end(&r.Source), a.end(&r.Destination), r.Protocol, r.Port, r.Verdict}
	t := a.seen[key]
	if t == nil {
		if len(a.seen) >= a.options.MaxConnections {
			a.flush()
			key.source, key.destination = a.end(&r.Source), a.end(&r.Destination)
		}
		t = &tally{group: a.judge(&key)}
		a.seen[key] = t
	}
	t.group.see(r.Time)
	t.count(r)
}

func (t *tally) count(r *Record) {
	switch {
	case r.Count == 0:
		t.inMiddle = true
	case r.Direction == "EGRESS":
		t.egress += r.Count
	case r.Direction == "INGRESS":
		t.ingress += r.Count
	default:
		t.undirected += r.Count
	}
}

func (t *tally) total() int64 {
	n := max(t.egress, t.ingress) + t.undirected
	if n == 0 && t.inMiddle {
		return 1
	}
	return n
}

func (a *Analysis) end(p *Party) *end {
	if e := a.ends[*p]; e != nil {
		return e
	}
	e := a.joiner.find(p)
	a.ends[*p] = e
	return e
}

// flush forgets the single connections, whose counts their groups keep.
func (a *Analysis) flush() {
	for _, t := range a.seen {
		t.group.Count += t.total()
	}
	clear(a.seen)
	clear(a.ends)
}

// judge finds the group of a connection that was not seen before.
func (a *Analysis) judge(c *connection) *Group {
	g := Group{Source: c.source.name, Destination: c.destination.name, Protocol: string(c.protocol), Port: c.port}
	question := connectivity.Connection{Source: c.source.endpoint, Destination: c.destination.endpoint, Protocol: c.protocol, Port: c.port}
	onNode(&question.Source, c.source, &question.Destination)
	onNode(&question.Destination, c.destination, &question.Source)
	switch {
	case c.verdict != "" && !passes[c.verdict]:
		g.Class, g.Why = ClassNotForwarded, c.verdict
	case question.Source.Pod == nil && question.Destination.Pod == nil && c.source.problem == "" && c.destination.problem == "":
		g.Class = ClassNoPod
	case c.source.problem != "":
		g.Class, g.Why = ClassNotJudged, "the source "+c.source.problem
	case c.destination.problem != "":
		g.Class, g.Why = ClassNotJudged, "the destination "+c.destination.problem
	default:
		a.classify(&g, &question)
	}
	if g.Class == ClassCut {
		g.question = question
		g.from, g.to = a.suggestible(&question.Source), a.suggestible(&question.Destination)
	}
	return a.group(&g)
}

// suggestible is the end as a flow can name it; none where no peer of a policy would match it.
func (a *Analysis) suggestible(e *connectivity.Endpoint) suggest.End {
	isNode := e.Pod == nil && e.Node != ""
	if e.Pod != nil && e.Pod.HostNetwork || isNode && a.options.Tomorrow.Network() == connectivity.ByIdentity {
		return suggest.End{}
	}
	return suggest.EndOf(*e)
}

// onNode makes the host the node of the pod at the other end.
func onNode(e *connectivity.Endpoint, found *end, other *connectivity.Endpoint) {
	if found.host && other.Pod != nil {
		e.Node = other.Pod.Node
	}
}

// passes are the verdicts of what passes today: also what a proxy handles, and what Cilium's audit mode lets through.
var passes = map[string]bool{"FORWARDED": true, "REDIRECTED": true, "AUDIT": true}

func (a *Analysis) classify(g *Group, c *connectivity.Connection) {
	then := a.options.Tomorrow.Judge(c)
	switch then.Outcome {
	case connectivity.Allowed:
		g.Class, g.By, g.Why = ClassAllowed, allowedBy(&then), allowedWhy(&then)
		return
	case connectivity.Undecided:
		g.Class, g.Why = ClassNotJudged, then.Unknown.String()
		return
	}
	g.Class = ClassCut
	if now := a.options.Today.Judge(c); now.Outcome == then.Outcome && now.Allowed == then.Allowed {
		g.Class = ClassDeniedToday
	}
	g.Direction, g.By = deniedBy(&then)
}

// group returns the group of its kind, and a shared one beyond the limit.
func (a *Analysis) group(g *Group) *Group {
	key := g.key()
	if known := a.groups[key]; known != nil {
		return known
	}
	if len(a.groups) >= a.options.MaxGroups {
		rest := Group{Class: g.Class, rest: true}
		key = rest.key()
		if a.groups[key] == nil {
			a.groups[key] = &rest
		}
		return a.groups[key]
	}
	a.groups[key] = g
	return g
}

// see widens the span of time.
func (s *Span) see(t time.Time) {
	if t.IsZero() {
		return
	}
	if s.First.IsZero() || t.Before(s.First) {
		s.First = t
	}
	if t.After(s.Last) {
		s.Last = t
	}
}
