// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// episode is one change, the faults during it, and what must hold of all states in between.
type episode struct {
	name string
	// act asks for the change, by one request. tampered is the namespace that act itself writes policies of, if any.
	act      func(ctx context.Context) error
	tampered string
	// fault does harm from just before the change on, and returns when it is over.
	fault func(ctx context.Context, asked func() error) error
}

// run checks an episode, from one settled state to the next.
func (w *world) run(ctx context.Context, e episode) error {
	n, err := w.settled(ctx)
	if err != nil {
		return fmt.Errorf("before %s: %w", e.name, err)
	}
	before := map[string]state{}
	for _, namespace := range w.namespaces {
		before[namespace] = maps.Clone(w.recorder.of(namespace))
	}
	asked := func() error { return e.act(ctx) }
	if e.fault == nil {
		err = asked()
	} else {
		err = e.fault(ctx, asked)
	}
	w.proxy.set(nil)
	w.proxy.disconnect(false)
	if err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	if _, err := w.settled(ctx); err != nil {
		return fmt.Errorf("after %s: %w", e.name, err)
	}
	changes := w.recorder.since(n)
	if e.tampered != "" {
		// What somebody made of the namespace is the state that the operator starts from.
		i := slices.IndexFunc(changes, func(c change) bool { return c.namespace == e.tampered })
		if i < 0 {
			return fmt.Errorf("%s: nobody saw it", e.name)
		}
		before[e.tampered] = changes[i].held
	}
	for _, namespace := range w.namespaces {
		if err := w.noGap(ctx, namespace, before[namespace], changes); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return w.untouched()
}

// noGap checks every state of a namespace between two settled ones.
func (w *world) noGap(ctx context.Context, namespace string, before state, changes []change) error {
	old, after := allowed(ctx, namespace, before), allowed(ctx, namespace, w.recorder.of(namespace))
	var story []string
	for _, c := range changes {
		if c.namespace != namespace {
			continue
		}
		story = append(story, c.verb+" "+c.name)
		if connection, found := gap(old, allowed(ctx, namespace, c.held), after); found {
			return fmt.Errorf("GAP in %s: %s is allowed before and after, and was not after: %s", namespace, connection, strings.Join(story, ", "))
		}
	}
	return nil
}
