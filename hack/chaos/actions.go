// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
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
	b.Spec = spec
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

// empty takes every baseline and every label away.
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
	exclude, harm, victim := r.IntN(2) == 0, r.IntN(4), r.IntN(1000)
	switch kind := r.IntN(20); {
	case kind < 8:
		return episode{name: fmt.Sprintf("baseline %s of %v: %s", name, of, profile), act: func(ctx context.Context) error {
			s := spec(profile, of...)
			if exclude {
				s.ExcludedNamespaces = []v1alpha1.NamespaceName{v1alpha1.NamespaceName(namespace)}
			}
			return w.apply(ctx, name, s)
		}}
	case kind < 14:
		return episode{name: fmt.Sprintf("namespace %s to tier %q", namespace, tier), act: func(ctx context.Context) error { return w.move(ctx, namespace, tier) }}
	case kind < 17:
		return episode{name: "no baseline " + name, act: func(ctx context.Context) error { return w.remove(ctx, name) }}
	default:
		return w.tampering(harm, victim)
	}
}

// tampering is somebody's write to one of our policies, if there is one.
func (w *world) tampering(harm, victim int) episode {
	var ours []*networkingv1.NetworkPolicy
	for _, namespace := range w.namespaces {
		for _, p := range w.recorder.of(namespace) {
			if len(p.OwnerReferences) > 0 {
				ours = append(ours, p)
			}
		}
	}
	if len(ours) == 0 {
		return episode{name: "nothing to tamper with", act: func(context.Context) error { return nil }}
	}
	slices.SortFunc(ours, func(a, b *networkingv1.NetworkPolicy) int {
		return slices.Compare([]string{a.Namespace, a.Name}, []string{b.Namespace, b.Name})
	})
	p := ours[victim%len(ours)].DeepCopy()
	what := []string{"deleted", "opened", "narrowed", "stripped of its labels"}[harm]
	return episode{name: fmt.Sprintf("policy %s/%s %s", p.Namespace, p.Name, what), tampered: p.Namespace, act: func(ctx context.Context) error {
		switch harm {
		case 0:
			return w.client.Delete(ctx, p)
		case 1:
			p.Spec.PolicyTypes = []networkingv1.PolicyType{"Ingress", "Egress"}
			p.Spec.Ingress, p.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{{}}, []networkingv1.NetworkPolicyEgressRule{{}}
		case 2:
			p.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}
		default:
			p.Labels = nil
		}
		return w.client.Update(ctx, p)
	}}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
