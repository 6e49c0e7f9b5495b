// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/hack/packets/node"
)

// report writes the pod's status.
func (w *worker) report(ctx context.Context) {
	w.reporting.Lock()
	defer w.reporting.Unlock()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": w.pod.UID}, "status": w.status()})
	if err != nil {
		panic(err) // our own types
	}
	for ctx.Err() == nil {
		_, err := w.kubelet.Client.CoreV1().Pods(w.pod.Namespace).Patch(ctx, w.pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		// A conflict is another pod of that name.
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
		}
	}
}

func (w *worker) status() *corev1.PodStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &corev1.PodStatus{
		Phase: w.phase(), StartTime: &w.started, PodIPs: w.ips,
		HostIP: node.IPv4.String(), HostIPs: []corev1.HostIP{{IP: node.IPv4.String()}, {IP: node.IPv6.String()}},
	}
	if w.failure != "" {
		s.Reason, s.Message = "FailedCreatePodSandBox", w.failure
	}
	if len(w.ips) > 0 {
		s.PodIP = w.ips[0].IP
	}
	initialized, ready := true, true
	for _, c := range w.init {
		s.InitContainerStatuses = append(s.InitContainerStatuses, c.status())
		initialized = initialized && c.done && c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
	}
	for _, c := range w.containers {
		s.ContainerStatuses = append(s.ContainerStatuses, c.status())
		ready = ready && c.ready
	}
	s.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		condition(corev1.PodInitialized, initialized),
		condition(corev1.ContainersReady, ready),
		condition(corev1.PodReady, ready),
	}
	return s
}

// phase is the pod's. The caller holds the lock.
func (w *worker) phase() corev1.PodPhase {
	if w.failure != "" {
		return corev1.PodPending
	}
	for _, c := range w.init {
		if c.done && (c.state.Terminated == nil || c.state.Terminated.ExitCode != 0) {
			return corev1.PodFailed
		}
		if !c.done {
			return corev1.PodPending
		}
	}
	failed, ended, waiting := false, 0, true
	for _, c := range w.containers {
		if c.done {
			ended++
			failed = failed || c.state.Terminated == nil || c.state.Terminated.ExitCode != 0
		}
		waiting = waiting && c.state.Waiting != nil
	}
	switch {
	case ended == len(w.containers) && failed:
		return corev1.PodFailed
	case ended == len(w.containers):
		return corev1.PodSucceeded
	case waiting:
		return corev1.PodPending
	default:
		return corev1.PodRunning
	}
}

func (c *container) status() corev1.ContainerStatus {
	started := c.started
	return corev1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: c.spec.Image, ContainerID: c.id(),
		State: c.state, LastTerminationState: c.last, RestartCount: c.restarts, Ready: c.ready, Started: &started,
	}
}

func condition(t corev1.PodConditionType, is bool) corev1.PodCondition {
	if is {
		return corev1.PodCondition{Type: t, Status: corev1.ConditionTrue}
	}
	return corev1.PodCondition{Type: t, Status: corev1.ConditionFalse}
}
