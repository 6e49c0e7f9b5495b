// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// unseen is how long an operator may not have seen what somebody did: the time from an event to the arrival of a write
// that was decided after it.
const unseen = 2 * time.Second

// trial judges the states of one namespace between two settled ones, by the definition in doc.go.
type trial struct {
	ctx       context.Context
	namespace string
	// before and after are what the two settled states allow.
	before, after []bool
	// standing are the harms that the operator has not written over, by policy.
	standing map[string][]deed
	story    []string
}

// deed is a write of the tamperer: when, and what it found; nil when there was nothing.
type deed struct {
	at  time.Time
	was *networkingv1.NetworkPolicy
}

// judge judges every state of a namespace between the settled state held and now.
func (w *world) judge(ctx context.Context, namespace string, held state, changes []change) error {
	t := &trial{
		ctx: ctx, namespace: namespace, standing: map[string][]deed{},
		before: allowed(ctx, namespace, held), after: allowed(ctx, namespace, w.recorder.of(namespace)),
	}
	was := t.before
	for i := range changes {
		c := &changes[i]
		if c.namespace != namespace {
			continue
		}
		is := allowed(ctx, namespace, c.held)
		if w.tamperer.made(c) {
			t.story = append(t.story, "(somebody) "+c.verb+" "+c.name)
			t.standing[c.name] = append(t.standing[c.name], deed{c.at, c.was})
		} else {
			t.story = append(t.story, c.verb+" "+c.name)
			if err := t.write(c, held, was, is); err != nil {
				return err
			}
		}
		held, was = c.held, is
	}
	return nil
}

// write judges a write of the operator: held allowed was, and c.held allows is.
func (t *trial) write(c *change, held state, was, is []bool) error {
	own, all := t.undo(held, c.name), t.undoAll(held)
	delete(t.standing, c.name)
	young := t.undoYoung(c.held, c.at)
	rest := t.undoAll(c.held)
	for i := range is {
		kept, closed := t.before[i] && t.after[i], !t.before[i] && !t.after[i]
		switch {
		case kept && was[i] && !is[i]:
			if own(i) || !all(i) {
				if !young(i) {
					return t.fault("GAP", "is allowed before and after, and the operator's write took it away", i)
				}
			}
		case closed && !was[i] && is[i]:
			if !own(i) || all(i) {
				if young(i) {
					return t.fault("OPENING", "is denied before and after, and the operator's write allowed it", i)
				}
			}
		}
		if closed && is[i] && rest(i) {
			return t.fault("OPENING", "is denied before and after, and is allowed by what the operator wrote", i)
		}
	}
	return nil
}

func (t *trial) fault(kind, what string, connection int) error {
	return fmt.Errorf("%s in %s: %s %s: %s", kind, t.namespace, connections[connection], what, strings.Join(t.story, ", "))
}

// undo says what the state would allow without the harm to one policy.
func (t *trial) undo(held state, name string) func(int) bool {
	s := maps.Clone(held)
	if deeds := t.standing[name]; len(deeds) > 0 {
		put(s, name, deeds[0].was)
	}
	return t.lazily(s)
}

// undoAll says what the state would allow without any harm.
func (t *trial) undoAll(held state) func(int) bool {
	s := maps.Clone(held)
	for name, deeds := range t.standing {
		put(s, name, deeds[0].was)
	}
	return t.lazily(s)
}

// undoYoung says what the state would allow without the harm that the operator may not have seen at that time.
func (t *trial) undoYoung(held state, at time.Time) func(int) bool {
	s := maps.Clone(held)
	for name, deeds := range t.standing {
		for _, d := range deeds {
			if at.Sub(d.at) < unseen {
				put(s, name, d.was)
				break
			}
		}
	}
	return t.lazily(s)
}

func put(s state, name string, p *networkingv1.NetworkPolicy) {
	if p == nil {
		delete(s, name)
	} else {
		s[name] = p
	}
}

// lazily evaluates a state when it is first asked about.
func (t *trial) lazily(s state) func(int) bool {
	var out []bool
	return func(i int) bool {
		if out == nil {
			out = allowed(t.ctx, t.namespace, s)
		}
		return out[i]
	}
}
