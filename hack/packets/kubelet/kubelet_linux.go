// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/netbaseline/netbaseline/hack/packets/node"
)

// Kubelet runs the pods of one node.
type Kubelet struct {
	Client   kubernetes.Interface
	NodeName string
	Network  *node.Network
	// Images are paths of binaries, by the last part of an image's name: agnhost is registry.example.com/a/agnhost:2.66.
	Images map[string]string
	// Dir is an empty folder for the logs of containers.
	Dir string

	mu    sync.Mutex
	pods  map[types.UID]*worker
	all   sync.WaitGroup
	once  sync.Once
	ready chan struct{}
}

// Ready is closed when the node is registered and pods are taken.
func (k *Kubelet) Ready() <-chan struct{} {
	k.once.Do(func() { k.ready = make(chan struct{}) })
	return k.ready
}

// Run registers the node and runs pods until ctx ends. When it returns, no process of a pod is left.
func (k *Kubelet) Run(ctx context.Context) error {
	k.Ready()
	k.pods = map[types.UID]*worker{}
	if err := k.register(ctx); err != nil {
		return err
	}
	if err := k.copyImages(); err != nil {
		return err
	}
	mine := k.informer("spec.nodeName=" + k.NodeName)
	if _, err := mine.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.changed(ctx, o) },
		UpdateFunc: func(_, o any) { k.changed(ctx, o) },
		DeleteFunc: k.gone,
	}); err != nil {
		return err
	}
	pending := k.informer("spec.nodeName=")
	if _, err := pending.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { k.schedule(ctx, o) },
	}); err != nil {
		return err
	}
	var informers sync.WaitGroup
	for _, i := range []cache.SharedIndexInformer{mine, pending} {
		informers.Go(func() { i.Run(ctx.Done()) })
	}
	close(k.ready)
	informers.Wait()
	k.all.Wait()
	return nil
}

func (k *Kubelet) informer(selector string) cache.SharedIndexInformer {
	watch := cache.NewListWatchFromClient(k.Client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.ParseSelectorOrDie(selector))
	return cache.NewSharedIndexInformer(watch, &corev1.Pod{}, 0, nil)
}

// register says to the cluster that there is a node. kube-router reads its addresses.
func (k *Kubelet) register(ctx context.Context) error {
	nodes := k.Client.CoreV1().Nodes()
	n, err := nodes.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: k.NodeName, Labels: map[string]string{corev1.LabelHostname: k.NodeName}},
		Spec:       corev1.NodeSpec{PodCIDR: node.PodRange4, PodCIDRs: []string{node.PodRange4, node.PodRange6}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("registering the node: %w", err)
	}
	n.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: node.IPv4.String()},
		{Type: corev1.NodeInternalIP, Address: node.IPv6.String()},
		{Type: corev1.NodeHostName, Address: k.NodeName},
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}
	_, err = nodes.UpdateStatus(ctx, n, metav1.UpdateOptions{})
	return err
}

// copyImages makes the images' binaries executable for every user, whoever may read the folder where they are.
func (k *Kubelet) copyImages() error {
	bin := filepath.Join(k.Dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil { //nolint:gosec // see above
		return err
	}
	for name, path := range k.Images {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(bin, name), data, 0o755); err != nil { //nolint:gosec // see above
			return err
		}
	}
	return nil
}

// binary is the path of an image's binary, or empty where there is no such image.
func (k *Kubelet) binary(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndexByte(image, '/')+1:]
	name, _, _ = strings.Cut(name, ":")
	if _, ok := k.Images[name]; !ok {
		return ""
	}
	return filepath.Join(k.Dir, "bin", name)
}

// schedule binds a pending pod to this node, the only one.
func (k *Kubelet) schedule(ctx context.Context, o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok || pod.DeletionTimestamp != nil {
		return
	}
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: k.NodeName},
	}
	_ = k.Client.CoreV1().Pods(pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{}) // gone or bound meanwhile
}

// changed starts a worker for a new pod, and tells the worker of a pod that is being deleted.
func (k *Kubelet) changed(ctx context.Context, o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.pods[pod.UID]
	if w == nil {
		if ctx.Err() != nil {
			return
		}
		w = newWorker(k, pod)
		k.pods[pod.UID] = w
		k.all.Go(func() { w.run(ctx) })
	}
	if pod.DeletionTimestamp != nil {
		grace := time.Duration(0)
		if s := pod.DeletionGracePeriodSeconds; s != nil {
			grace = time.Duration(*s) * time.Second
		}
		w.delete(grace)
	}
}

// gone ends a pod whose object was removed without waiting for its end.
func (k *Kubelet) gone(o any) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.pods[pod.UID]; w != nil {
		w.delete(0)
		delete(k.pods, pod.UID)
	}
}

// Find returns where a running pod is in the network, or nil.
func (k *Kubelet) Find(namespace, name string) *node.Pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.pods {
		if w.pod.Namespace == namespace && w.pod.Name == name && w.deleted.Err() == nil {
			return w.attached()
		}
	}
	return nil
}
