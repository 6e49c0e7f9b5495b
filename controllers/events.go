// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// Reasons of Events.
const (
	eventRepaired     = "Repaired"
	eventWriteRefused = "WriteRefused"
	eventNameConflict = "NameConflict"
)

// What somebody did to a policy, as Events, metrics and status call it.
const (
	actionChanged = "Changed"
	actionDeleted = "Deleted"
)

// narrator emits Events about baselines. It says less when a lot happens at once: each Event is a write, and status
// and metrics count everything.
type narrator struct {
	recorder events.EventRecorder
	limit    flowcontrol.RateLimiter
}

func newNarrator(recorder events.EventRecorder) *narrator {
	return &narrator{recorder, flowcontrol.NewTokenBucketRateLimiter(1, 50)}
}

func (n *narrator) tell(baseline *v1alpha1.NetworkBaseline, related runtime.Object, eventType, reason, action, note string) {
	if n.limit.TryAccept() {
		n.recorder.Eventf(baseline, related, eventType, reason, action, "%s", note)
	}
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
