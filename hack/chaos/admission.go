// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// standIns are the pods that a preflight looks for, by namespace: nothing runs them, but selectors find them.
var standIns = map[string]map[string]string{
	"kube-system":   {"k8s-app": "kube-dns"},
	"ingress-nginx": {"app.kubernetes.io/name": "ingress-nginx"},
}

// appear creates the stand-ins.
func (w *world) appear(ctx context.Context) error {
	for namespace, labels := range standIns {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stand-in", Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "stand-in", Image: "stand-in"}}},
		}
		if err := client.IgnoreAlreadyExists(w.client.Create(ctx, pod)); err != nil {
			return err
		}
	}
	return nil
}

// vanish deletes the stand-ins.
func (w *world) vanish(ctx context.Context) error {
	for namespace := range standIns {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stand-in"}}
		if err := client.IgnoreNotFound(w.client.Delete(ctx, pod, client.GracePeriodSeconds(0))); err != nil {
			return err
		}
	}
	return nil
}

// unadmitted lets every preflight fail for a while; restart kills the operator when the pods are gone.
func (w *world) unadmitted(restart bool, length time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) (err error) {
		defer func() {
			if back := w.appear(ctx); err == nil {
				err = back
			}
		}()
		if err := w.vanish(ctx); err != nil {
			return err
		}
		if restart {
			w.killAll()
		}
		if err := asked(); err != nil {
			return err
		}
		wait(ctx, length)
		return nil
	}
}

// slowStart kills the operator, and lets the lists that it makes at its start take their time.
func (w *world) slowStart(delay time.Duration) func(context.Context, func() error) error {
	return func(ctx context.Context, asked func() error) error {
		w.proxy.delay(func(r *http.Request) time.Duration {
			if strings.HasSuffix(r.URL.Path, "/pods") || strings.HasSuffix(r.URL.Path, "/customresourcedefinitions") {
				return delay
			}
			return 0
		})
		w.killAll()
		if err := asked(); err != nil {
			return err
		}
		wait(ctx, delay+time.Second)
		return nil
	}
}
