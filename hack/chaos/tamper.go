// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// holder is the tamperer's finalizer.
const holder = "chaos.example.com/hold"

// harm is something that somebody does to a policy of ours.
type harm struct {
	name string
	// edit changes the policy; nil deletes it.
	edit func(p *networkingv1.NetworkPolicy)
	// anonymous: after it nothing on the policy proves whose it is. An operator that is killed then cannot know, so that
	// the policy is somebody else's from then on.
	anonymous bool
}

// harms are all kinds. The first seven leave something on the policy that says whose it is.
var harms = []harm{
	{name: "deleted"},
	{name: "opened", edit: func(p *networkingv1.NetworkPolicy) {
		p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
		p.Spec.Ingress, p.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{{}}, []networkingv1.NetworkPolicyEgressRule{{}}
	}},
	{name: "narrowed to other pods", edit: func(p *networkingv1.NetworkPolicy) {
		p.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}
	}},
	{name: "widened to all pods", edit: func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector = metav1.LabelSelector{} }},
	{name: "emptied of its rules", edit: func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress, p.Spec.Egress = nil, nil }},
	{name: "cut of a policy type", edit: func(p *networkingv1.NetworkPolicy) {
		if slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		} else {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
		}
	}},
	{name: "stripped of its owner", edit: func(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil }},
	{name: "stripped of its labels", edit: func(p *networkingv1.NetworkPolicy) { p.Labels = nil }, anonymous: true},
	{name: "opened, and stripped of its labels and its owner", edit: func(p *networkingv1.NetworkPolicy) {
		p.Labels, p.OwnerReferences = nil, nil
		p.Spec.Ingress, p.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{{}}, []networkingv1.NetworkPolicyEgressRule{{}}
	}, anonymous: true},
}

// tamperer remembers which events it caused itself, so that every other one is the operator's.
type tamperer struct {
	mu       sync.Mutex
	written  map[int64]bool     // revisions
	held     map[types.UID]bool // its delete made them terminating
	released map[types.UID]bool // they went by its delete, or by its removal of the last finalizer
}

func newTamperer() *tamperer {
	return &tamperer{written: map[int64]bool{}, held: map[types.UID]bool{}, released: map[types.UID]bool{}}
}

// made says whether an event is the tamperer's. What it cannot place is the operator's.
func (t *tamperer) made(c *change) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.written[c.revision]:
		return true
	case c.is == nil:
		return c.was != nil && t.released[c.was.UID]
	default:
		return c.is.DeletionTimestamp != nil && (c.was == nil || c.was.DeletionTimestamp == nil) && t.held[c.is.UID]
	}
}

func (t *tamperer) note(of map[types.UID]bool, uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of[uid] = true
}

// edit changes what is live by that name, if anything is.
func (w *world) edit(ctx context.Context, namespace, name string, change func(p *networkingv1.NetworkPolicy)) error {
	for {
		p := &networkingv1.NetworkPolicy{}
		if err := w.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, p); err != nil {
			return client.IgnoreNotFound(err)
		}
		before := p.ResourceVersion
		change(p)
		err := w.client.Update(ctx, p)
		if apierrors.IsConflict(err) {
			continue // the operator was faster
		}
		if err != nil {
			return client.IgnoreNotFound(err)
		}
		if p.DeletionTimestamp != nil && len(p.Finalizers) == 0 {
			// The API server answers with the policy as it was when it went.
			w.tamperer.note(w.tamperer.released, p.UID)
			return nil
		}
		if p.ResourceVersion == before {
			return nil // it was like that already
		}
		revision, err := strconv.ParseInt(p.ResourceVersion, 10, 64)
		if err != nil {
			return err
		}
		w.tamperer.mu.Lock()
		w.tamperer.written[revision] = true
		w.tamperer.mu.Unlock()
		return nil
	}
}

// erase deletes what is live by that name, if anything is.
func (w *world) erase(ctx context.Context, namespace, name string, of map[types.UID]bool) error {
	p := &networkingv1.NetworkPolicy{}
	if err := w.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, p); err != nil {
		return client.IgnoreNotFound(err)
	}
	uid := p.UID
	err := w.client.Delete(ctx, p, client.Preconditions{UID: &uid})
	if err == nil {
		w.tamperer.note(of, uid)
	}
	if apierrors.IsConflict(err) {
		return nil // it is another one meanwhile
	}
	return client.IgnoreNotFound(err)
}

// harm does harm of one kind to a policy.
func (w *world) harm(ctx context.Context, namespace, name string, h harm) error {
	if h.edit == nil {
		return w.erase(ctx, namespace, name, w.tamperer.released)
	}
	return w.edit(ctx, namespace, name, h.edit)
}

// hold keeps a policy in deletion, opened or as it is, until held returns.
func (w *world) hold(ctx context.Context, namespace, name string, open bool, held func() error) error {
	if err := w.edit(ctx, namespace, name, func(p *networkingv1.NetworkPolicy) { controllerutil.AddFinalizer(p, holder) }); err != nil {
		return err
	}
	if err := w.erase(ctx, namespace, name, w.tamperer.held); err != nil {
		return err
	}
	if open {
		if err := w.edit(ctx, namespace, name, harms[1].edit); err != nil {
			return err
		}
	}
	err := held()
	return errors.Join(err, w.edit(ctx, namespace, name, func(p *networkingv1.NetworkPolicy) { controllerutil.RemoveFinalizer(p, holder) }))
}

// ours are the policies that the operator has in the namespaces, in an order.
func (w *world) ours(namespaces ...string) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, namespace := range namespaces {
		for name, p := range w.recorder.of(namespace) {
			if _, decoy := w.decoys[namespace+"/"+name]; !decoy {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b *networkingv1.NetworkPolicy) int {
		return slices.Compare([]string{a.Namespace, a.Name}, []string{b.Namespace, b.Name})
	})
	return out
}

// tampering is somebody's harm to one of our policies, if there is one.
func (w *world) tampering(h harm, victim int) episode {
	ours := w.ours(w.namespaces...)
	if len(ours) == 0 {
		return nothing
	}
	p := ours[victim%len(ours)]
	return episode{name: fmt.Sprintf("policy %s/%s %s", p.Namespace, p.Name, h.name), anonymous: h.anonymous, act: func(ctx context.Context) error {
		return w.harm(ctx, p.Namespace, p.Name, h)
	}}
}

// holding is a policy of ours in deletion for a while.
func (w *world) holding(open bool, victim int, length time.Duration) episode {
	ours := w.ours(w.namespaces...)
	if len(ours) == 0 {
		return nothing
	}
	p := ours[victim%len(ours)]
	return episode{name: fmt.Sprintf("policy %s/%s held in deletion for %s, opened: %v", p.Namespace, p.Name, length, open), act: func(ctx context.Context) error {
		return w.hold(ctx, p.Namespace, p.Name, open, func() error { wait(ctx, length); return nil })
	}}
}

// harassing is harm after harm to the policies of one namespace.
func (w *world) harassing(namespace string, kinds []int) episode {
	return episode{name: fmt.Sprintf("%d times harm in %s", len(kinds), namespace), act: func(ctx context.Context) error {
		for _, kind := range kinds {
			ours := w.ours(namespace)
			if len(ours) == 0 {
				return nil
			}
			h := harms[kind%recognizable]
			if err := w.harm(ctx, namespace, ours[kind%len(ours)].Name, h); err != nil {
				return err
			}
			wait(ctx, 50*time.Millisecond)
		}
		return nil
	}}
}

// recognizable is the number of kinds of harm after which the policy still says whose it is.
var recognizable = slices.IndexFunc(harms, func(h harm) bool { return h.anonymous })

var nothing = episode{name: "nothing to tamper with", act: func(context.Context) error { return nil }}
