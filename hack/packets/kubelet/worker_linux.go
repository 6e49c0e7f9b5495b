// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/hack/packets/netns"
	"github.com/netbaseline/netbaseline/hack/packets/node"
)

// worker is the life of one pod.
type worker struct {
	kubelet *Kubelet
	pod     *corev1.Pod
	started metav1.Time

	deleted   context.Context // ends when the pod shall end
	end       context.CancelFunc
	deletions sync.Once

	network *node.Pod // nil on the network of the node
	ns      *netns.NS
	ips     []corev1.PodIP

	mu         sync.Mutex
	grace      time.Duration
	failure    string // why the pod cannot run at all
	init       []*container
	containers []*container

	reporting sync.Mutex // one report at a time, so that a newer one is never overtaken
}

func newWorker(k *Kubelet, pod *corev1.Pod) *worker {
	w := &worker{kubelet: k, pod: pod, started: metav1.Now(), grace: time.Second}
	w.deleted, w.end = context.WithCancel(context.Background())
	for i := range pod.Spec.InitContainers {
		w.init = append(w.init, newContainer(w, &pod.Spec.InitContainers[i]))
	}
	for i := range pod.Spec.Containers {
		w.containers = append(w.containers, newContainer(w, &pod.Spec.Containers[i]))
	}
	return w
}

// delete ends the pod. The first to say so decides how long its processes have.
func (w *worker) delete(grace time.Duration) {
	w.deletions.Do(func() {
		w.mu.Lock()
		w.grace = grace
		w.mu.Unlock()
		w.end()
	})
}

// run runs the pod to its end. When ctx ends first, the pod's object stays as it is, as when a node fails.
func (w *worker) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, w.end)
	defer stop()
	if terminal(w.pod.Status.Phase) {
		<-w.deleted.Done()
	} else {
		w.live(ctx)
	}
	if ctx.Err() == nil {
		w.remove(ctx)
	}
}

// live connects the pod, runs its containers until they or the pod end, and disconnects it.
func (w *worker) live(ctx context.Context) {
	if err := w.connect(); err != nil {
		w.fail(ctx, err.Error())
		<-w.deleted.Done()
		return
	}
	w.report(ctx)
	if w.initialize(ctx) {
		var running sync.WaitGroup
		for _, c := range w.containers {
			running.Go(func() { c.run(ctx, w.pod.Spec.RestartPolicy) })
		}
		running.Wait()
	}
	w.report(ctx)
	if w.network != nil {
		_ = w.kubelet.Network.RemovePod(w.network)
	}
	<-w.deleted.Done()
}

func (w *worker) connect() error {
	if w.pod.Spec.HostNetwork {
		w.ns = w.kubelet.Network.Node
		w.ips = []corev1.PodIP{{IP: node.IPv4.String()}, {IP: node.IPv6.String()}}
		return nil
	}
	p, err := w.kubelet.Network.AddPod()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.network, w.ns = p, p.NS
	w.ips = []corev1.PodIP{{IP: p.IPv4.String()}, {IP: p.IPv6.String()}}
	return nil
}

func (w *worker) attached() *node.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.network
}

// initialize runs the init containers one after another, and returns whether all succeeded.
func (w *worker) initialize(ctx context.Context) bool {
	policy := w.pod.Spec.RestartPolicy
	if policy == corev1.RestartPolicyAlways {
		policy = corev1.RestartPolicyOnFailure // an init container has to end
	}
	for _, c := range w.init {
		c.run(ctx, policy)
		if !c.succeeded() {
			return false
		}
	}
	return true
}

// fail reports that the pod cannot run.
func (w *worker) fail(ctx context.Context, message string) {
	w.mu.Lock()
	w.failure = message
	w.mu.Unlock()
	w.report(ctx)
}

// remove takes the object of a pod that has ended away, as the API server waits for.
func (w *worker) remove(ctx context.Context) {
	zero, uid := int64(0), w.pod.UID
	_ = w.kubelet.Client.CoreV1().Pods(w.pod.Namespace).Delete(ctx, w.pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &uid},
	}) // gone already, or another pod of that name
}

func terminal(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }
