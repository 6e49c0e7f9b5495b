// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

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

// narrator emits Events about baselines. It says less when a lot of different things happen at once: each new Event is a
// write, and status and metrics count everything. One that repeats itself is next to none: the recorder makes a series
// of it.
type narrator struct {
	recorder events.EventRecorder
	limit    flowcontrol.RateLimiter
	now      func() time.Time

	mu sync.Mutex
	// told is when something was told last.
	told map[tale]time.Time
}

// tale is what makes Events one series.
type tale struct {
	baseline                          types.UID
	namespace, policy, reason, action string
}

const (
	// seriesPatience is how long the recorder goes on with a series of which it hears nothing: a minute less than
	// client-go's finishTime.
	seriesPatience = 5 * time.Minute
	// toldCapacity bounds what is remembered of a storm.
	toldCapacity = 1024
)

func newNarrator(recorder events.EventRecorder) *narrator {
	return &narrator{recorder: recorder, limit: flowcontrol.NewTokenBucketRateLimiter(1, 50), now: time.Now, told: map[tale]time.Time{}}
}

func (n *narrator) tell(baseline *v1alpha1.NetworkBaseline, related *networkingv1.NetworkPolicy, eventType, reason, action, note string) {
	if !n.may(tale{baseline.UID, related.Namespace, related.Name, reason, action}) {
		return
	}
	// Without its resourceVersion, which every status changes: the recorder would begin a new series each time.
	regarding := &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "NetworkBaseline", Name: baseline.Name, UID: baseline.UID,
	}
	n.recorder.Eventf(regarding, related, eventType, reason, action, "%s", note)
}

// may says whether to tell something: again at any time, and something new as the limit allows.
func (n *narrator) may(t tale) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	last, known := n.told[t]
	if again := known && now.Sub(last) < seriesPatience; !again && !n.limit.TryAccept() {
		return false
	}
	makeRoom(n.told, toldCapacity)
	n.told[t] = now
	return true
}

// repairOf describes the repair that a step was.
func repairOf(namespace string, step policy.Step, now time.Time) v1alpha1.Repair {
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

// policyRef is what an Event relates to.
func policyRef(namespace, name string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
	}
}
