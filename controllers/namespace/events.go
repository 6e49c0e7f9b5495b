// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// Reasons of Events.
const (
	eventRepaired     = "Repaired"
	eventWriteRefused = "WriteRefused"
)

// What somebody did to a policy, as Events, metrics and status call it.
const (
	actionChanged = "Changed"
	actionDeleted = "Deleted"
)

// eventRecorder emits Events about baselines, and about policies in their own namespaces. It says less when a lot of different
// things happen at once: each new Event is a write, and status and metrics count everything. One that repeats itself is
// next to none: the recorder makes a series of it.
type eventRecorder struct {
	recorder events.EventRecorder
	limit    flowcontrol.RateLimiter
	now      func() time.Time

	mu sync.Mutex
	// emitted is when an Event was last emitted.
	emitted map[series]time.Time
}

// series is what makes Events one series.
type series struct {
	baseline                          types.UID
	namespace, policy, reason, action string
}

const (
	// seriesTimeout is how long the recorder goes on with a series of which it hears nothing: a minute less than
	// client-go's finishTime.
	seriesTimeout = 5 * time.Minute
	// seriesCapacity bounds what is remembered of a storm.
	seriesCapacity = 1024
)

func newEventRecorder(recorder events.EventRecorder) *eventRecorder {
	return &eventRecorder{recorder: recorder, limit: flowcontrol.NewTokenBucketRateLimiter(1, 50), now: time.Now, emitted: map[series]time.Time{}}
}

// repaired tells of a repair.
func (e *eventRecorder) repaired(b *policy.Baseline, r v1alpha1.Repair) {
	e.emit(b, r.Namespace, r.Policy, eventRepaired, "Undo"+r.Action, repairNote(r))
}

// refused tells of a write that failed.
func (e *eventRecorder) refused(b *policy.Baseline, namespace string, f *failure) {
	e.emit(b, namespace, f.step.Name, eventWriteRefused, "Write", fmt.Sprintf("NetworkPolicy %s/%s: %v", namespace, f.step.Name, f.err))
}

// emit emits two Events: one about the baseline, for its administrators, and one about the policy, which lies in the
// namespace, for whoever works there.
func (e *eventRecorder) emit(b *policy.Baseline, namespace, name, reason, action, note string) {
	if !e.may(series{b.UID, namespace, name, reason, action}) {
		return
	}
	// Without its resourceVersion, which every status changes: the recorder would begin a new series each time.
	baseline := &corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "NetworkBaseline", Name: b.Name, UID: b.UID}
	object := &corev1.ObjectReference{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy", Namespace: namespace, Name: name}
	e.recorder.Eventf(baseline, object, corev1.EventTypeWarning, reason, action, "%s", note)
	e.recorder.Eventf(object, baseline, corev1.EventTypeWarning, reason, action, "%s", note)
}

// may reports whether to emit something: again at any time, and something new as the limit allows.
func (e *eventRecorder) may(s series) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	last, known := e.emitted[s]
	if again := known && now.Sub(last) < seriesTimeout; !again && !e.limit.TryAccept() {
		return false
	}
	if len(e.emitted) >= seriesCapacity {
		clear(e.emitted)
	}
	e.emitted[s] = now
	return true
}

// repairOf describes the repair that a step was.
func repairOf(namespace string, step *policy.Step, now time.Time) v1alpha1.Repair {
	repair := v1alpha1.Repair{Time: metav1.NewTime(now), Namespace: namespace, Policy: step.Name, Action: actionDeleted}
	if step.Live != nil {
		repair.Action, repair.Manager = actionChanged, policy.LastEditor(step.Live)
	}
	return repair
}

func repairNote(r v1alpha1.Repair) string {
	switch {
	case r.Action == actionDeleted:
		return fmt.Sprintf("NetworkPolicy %s/%s was deleted by somebody; created it again", r.Namespace, r.Policy)
	case r.Manager == "":
		return fmt.Sprintf("NetworkPolicy %s/%s was changed by somebody; put it right", r.Namespace, r.Policy)
	default:
		return fmt.Sprintf("NetworkPolicy %s/%s was changed by field manager %q; put it right", r.Namespace, r.Policy, r.Manager)
	}
}
