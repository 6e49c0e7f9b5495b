// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// profiles are what baselines of these tests declare: they deny in one direction, in both, in none, and overlap.
var profiles = []string{
	`{profile: {defaultDeny: {}, allowDNS: {}, allowIngressController: {controllers: [IngressNginx]}}}`,
	`{profile: {defaultDeny: {}, allowDNS: {}, blockMetadata: {}, allowSameNamespace: {}}, flows: [{name: api, from: {podSelector: {matchLabels: {app: web}}}, to: {podSelector: {matchLabels: {app: api}}}, ports: [{port: 8080}]}]}`,
	`{profile: {defaultDeny: {directions: [Ingress]}, allowMonitoring: {from: [{cidr: 192.0.2.0/24}], ports: [{port: 8080}]}, allowSameNamespace: {}}}`,
	`{profile: {defaultDeny: {directions: [Egress]}, allowDNS: {}, blockMetadata: {}}, flows: [{name: https, from: {podSelector: {}}, to: {cidr: 0.0.0.0/0}, ports: [{port: 443}]}]}`,
	`{profile: {blockMetadata: {}}}`,
	`{profile: {blockMetadata: {podSelector: {matchLabels: {app: web}}}, defaultDeny: {directions: [Ingress]}}}`,
	`{profile: {allowDNS: {}, allowSameNamespace: {}}}`,
	`{profile: {defaultDeny: {}}}`,
	`{profile: {defaultDeny: {}, allowSameNamespace: {directions: [Ingress]}}, flows: [{name: office, from: {cidr: 192.0.2.0/24}, to: {podSelector: {matchLabels: {app: web}}}, ports: [{port: 443}]}]}`,
	`{profile: {defaultDeny: {directions: [Ingress]}}, flows: [{name: one, from: {cidr: 192.0.2.0/24}, to: {podSelector: {matchLabels: {app: web}}}, ports: [{port: 443}]}, {name: two, from: {cidr: 192.0.2.0/24}, to: {podSelector: {matchLabels: {app: api}}}, ports: [{port: 8080}]}]}`,
	`{profile: {defaultDeny: {directions: [Ingress]}}, flows: [{name: one, from: {cidr: 198.51.100.0/24}, to: {podSelector: {matchLabels: {app: web}}}, ports: [{port: 80}]}, {name: two, from: {cidr: 198.51.100.0/24}, to: {podSelector: {matchLabels: {app: api}}}, ports: [{port: 443}]}]}`,
	`{profile: {defaultDeny: {directions: [Egress]}, blockMetadata: {exemptions: [{podSelector: {matchLabels: {app: api}}, cidr: 169.254.169.254/32, ports: [{port: 80}]}]}}, flows: [{name: http, from: {podSelector: {}}, to: {cidr: 0.0.0.0/0}, ports: [{port: 80}]}]}`,
	`{profile: {blockMetadata: {}, allowIngressController: {controllers: [IngressNginx]}}}`,
	`{profile: {defaultDeny: {directions: [Egress]}}, flows: [{name: https, from: {podSelector: {}}, to: {cidr: 0.0.0.0/0}, ports: [{port: 443}]}]}`,
}

var (
	names = []string{"one", "two", "three"}
	tiers = []v1alpha1.LabelValue{"front", "back"}
)

// spec returns a profile for the namespaces of these tiers.
func spec(profile string, of ...v1alpha1.LabelValue) v1alpha1.NetworkBaselineSpec {
	var out v1alpha1.NetworkBaselineSpec
	if err := yaml.UnmarshalStrict([]byte(profile), &out); err != nil {
		panic(err) // written above
	}
	out.NamespaceSelector = v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{{Key: tierKey, Operator: metav1.LabelSelectorOpIn, Values: of}}}
	return out
}

// apply creates a baseline, or changes it to this spec.
func (w *world) apply(ctx context.Context, name string, spec v1alpha1.NetworkBaselineSpec) error {
	b := &v1alpha1.NetworkBaseline{}
	err := w.client.Get(ctx, types.NamespacedName{Name: name}, b)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err != nil {
		return w.client.Create(ctx, &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
	}
	patch := client.MergeFrom(b.DeepCopy())
	// What acts at once changes by itself, and not together with what has to be admitted: that would be two changes,
	// with a state in between that is neither the one before nor the one after.
	spec.ExcludedNamespaces = b.Spec.ExcludedNamespaces
	b.Spec = spec
	return w.client.Patch(ctx, b, patch)
}

// exclude takes a namespace out of a baseline by its name, or back in.
func (w *world) exclude(ctx context.Context, name string, namespace v1alpha1.NamespaceName) error {
	b := &v1alpha1.NetworkBaseline{}
	if err := w.client.Get(ctx, types.NamespacedName{Name: name}, b); err != nil {
		return client.IgnoreNotFound(err)
	}
	patch := client.MergeFrom(b.DeepCopy())
	if i := slices.Index(b.Spec.ExcludedNamespaces, namespace); i >= 0 {
		b.Spec.ExcludedNamespaces = slices.Delete(b.Spec.ExcludedNamespaces, i, i+1)
	} else {
		b.Spec.ExcludedNamespaces = append(b.Spec.ExcludedNamespaces, namespace)
	}
	return w.client.Patch(ctx, b, patch)
}

func (w *world) remove(ctx context.Context, name string) error {
	return client.IgnoreNotFound(w.client.Delete(ctx, &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

// move gives a namespace another tier; "" takes it out of every baseline.
func (w *world) move(ctx context.Context, namespace, tier string) error {
	patch := `{"metadata":{"labels":{"tier":null}}}`
	if tier != "" {
		patch = fmt.Sprintf(`{"metadata":{"labels":{"tier":%q}}}`, tier)
	}
	return w.client.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// empty takes every baseline and every label away, and whatever a test that failed has left in the namespaces.
func (w *world) empty(ctx context.Context) error {
	for _, name := range names {
		if err := w.remove(ctx, name); err != nil {
			return err
		}
	}
	for _, namespace := range w.namespaces {
		if err := w.move(ctx, namespace, ""); err != nil {
			return err
		}
	}
	_, err := w.settled(ctx)
	return err
}

// randomAction is a change, chosen by the source alone: what is there decides only over what it comes to.
func (w *world) randomAction(r *rand.Rand) episode {
	name, namespace := pick(r, names), pick(r, w.namespaces)
	profile, tier := pick(r, profiles), pick(r, []string{"", "front", "front", "back", "back"})
	of := [][]v1alpha1.LabelValue{tiers, tiers[:1], tiers[1:]}[r.IntN(3)]
	h, victim, open, ms := r.IntN(len(harms)), r.IntN(1000), r.IntN(2) == 0, time.Duration(200+r.IntN(1500))*time.Millisecond
	kinds := r.Perm(12)
	switch kind := r.IntN(24); {
	case kind < 7:
		return episode{name: fmt.Sprintf("baseline %s of %v: %s", name, of, profile), act: func(ctx context.Context) error {
			return w.apply(ctx, name, spec(profile, of...))
		}}
	case kind < 8:
		return episode{name: fmt.Sprintf("baseline %s excludes %s, or does not any more", name, namespace), act: func(ctx context.Context) error {
			return w.exclude(ctx, name, v1alpha1.NamespaceName(namespace))
		}}
	case kind < 14:
		return episode{name: fmt.Sprintf("namespace %s to tier %q", namespace, tier), act: func(ctx context.Context) error { return w.move(ctx, namespace, tier) }}
	case kind < 17:
		return episode{name: "no baseline " + name, act: func(ctx context.Context) error { return w.remove(ctx, name) }}
	case kind < 21:
		return w.tampering(harms[h], victim)
	case kind < 22:
		return w.harassing(namespace, kinds)
	default:
		return w.holding(open, victim, ms)
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
