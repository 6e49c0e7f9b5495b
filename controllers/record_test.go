// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// happening is one event of a watch.
type happening[O client.Object] struct {
	Type   watch.EventType
	Object O
}

// record is all that a watch has shown since it began.
type record[O client.Object] struct {
	mu   sync.Mutex
	seen []happening[O]
}

// recordPolicies records what happens to the policies of a namespace, or of all when it is "".
func recordPolicies(namespace string) *record[*networkingv1.NetworkPolicy] {
	GinkgoHelper()
	return startRecord[*networkingv1.NetworkPolicy](&networkingv1.NetworkPolicyList{}, client.InNamespace(namespace))
}

// recordBaseline records what happens to a baseline, its status above all.
func recordBaseline(b *v1alpha1.NetworkBaseline) *record[*v1alpha1.NetworkBaseline] {
	GinkgoHelper()
	return startRecord[*v1alpha1.NetworkBaseline](&v1alpha1.NetworkBaselineList{}, client.MatchingFields{"metadata.name": b.Name})
}

// startRecord begins with the first event after what a list shows now.
func startRecord[O client.Object](list client.ObjectList, options ...client.ListOption) *record[O] {
	GinkgoHelper()
	Expect(k8s.List(ctx, list, options...)).To(Succeed())
	w, err := k8s.Watch(ctx, list, append(options, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})...)
	Expect(err).NotTo(HaveOccurred())
	r := &record[O]{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if o, ok := e.Object.(O); ok {
				r.mu.Lock()
				r.seen = append(r.seen, happening[O]{e.Type, o})
				r.mu.Unlock()
			}
		}
	}()
	DeferCleanup(func() {
		w.Stop()
		<-done
	})
	return r
}

// all that happened so far.
func (r *record[O]) all() []happening[O] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// lines are all that happened, as "<TYPE> <name>".
func (r *record[O]) lines() []string {
	var out []string
	for _, h := range r.all() {
		out = append(out, string(h.Type)+" "+h.Object.GetName())
	}
	return out
}
