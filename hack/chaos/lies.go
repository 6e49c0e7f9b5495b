// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// believable is how long a status may lag behind what it speaks of: an operator that was killed needs about two seconds
// to be back, and no fault keeps it from writing for longer without keeping this watch from reading as well.
const believable = 6 * time.Second

// listen watches for a baseline that says that it is ready, at its generation, while something of it is amiss, and goes
// on saying so. The returned function ends that, and returns what was found.
func (w *world) listen(ctx context.Context) (end func() error) {
	over, found := make(chan struct{}), make(chan error, 1)
	go func() {
		lies := map[string]time.Time{}
		for {
			select {
			case <-over:
				found <- nil
				return
			case <-time.After(200 * time.Millisecond):
			}
			if err := w.lie(ctx, lies); err != nil {
				found <- err
				return
			}
		}
	}()
	return func() error {
		close(over)
		return <-found
	}
}

func (w *world) lie(ctx context.Context, lies map[string]time.Time) error {
	began := time.Now()
	var baselines v1alpha1.NetworkBaselineList
	err := w.client.List(ctx, &baselines)
	var amiss map[string]string
	if err == nil {
		_, amiss, err = w.inPlace(ctx, baselines.Items)
	}
	if err != nil || time.Since(began) > time.Second {
		// The API server is gone, or is slow: for the operator as well.
		clear(lies)
		return nil //nolint:nilerr // see above
	}
	for i := range baselines.Items {
		b := &baselines.Items[i]
		what := amiss[b.Name]
		if what == "" || b.Status.ObservedGeneration != b.Generation || !meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionReady) {
			delete(lies, b.Name)
			continue
		}
		if lies[b.Name].IsZero() {
			lies[b.Name] = began
		}
		if time.Since(lies[b.Name]) > believable {
			return fmt.Errorf("LIE: baseline %s has said Ready=True for %s, and %s", b.Name, believable, what)
		}
	}
	return nil
}
