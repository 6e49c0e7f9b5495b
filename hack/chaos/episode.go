// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"maps"
)

// episode is one change, the faults during it, and what must hold of all states in between.
type episode struct {
	name string
	// act asks for the change, or does harm to policies of ours.
	act func(ctx context.Context) error
	// anonymous: see harm. No fault that kills goes with it.
	anonymous bool
	// fault does harm from just before the change on, and returns when it is over.
	fault func(ctx context.Context, asked func() error) error
}

// run checks an episode, from one settled state to the next. What it returns as faults are guarantees that were broken;
// the world is in order all the same.
func (w *world) run(ctx context.Context, e episode) (faults []error, err error) {
	n, err := w.settled(ctx)
	if err != nil {
		return nil, fmt.Errorf("before %s: %w", e.name, err)
	}
	before := map[string]state{}
	for _, namespace := range w.namespaces {
		before[namespace] = maps.Clone(w.recorder.of(namespace))
	}
	ended := w.listen(ctx)
	asked := func() error { return e.act(ctx) }
	if e.fault == nil {
		err = asked()
	} else {
		err = e.fault(ctx, asked)
	}
	w.calm()
	if err == nil {
		_, err = w.settled(ctx)
	}
	if lie := ended(); lie != nil {
		faults = append(faults, fmt.Errorf("%s: %w", e.name, lie))
	}
	if err != nil {
		// What the state after would be is not known then.
		return faults, fmt.Errorf("%s: %w", e.name, err)
	}
	changes := w.recorder.since(n)
	for _, namespace := range w.namespaces {
		if err := w.judge(ctx, namespace, before[namespace], changes); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", e.name, err))
		}
	}
	if err := w.untouched(); err != nil {
		faults = append(faults, fmt.Errorf("%s: %w", e.name, err))
	}
	return faults, nil
}

// calm ends what a fault has left at the proxy.
func (w *world) calm() {
	w.proxy.set(nil)
	w.proxy.delay(nil)
	w.proxy.disconnect(false)
}
