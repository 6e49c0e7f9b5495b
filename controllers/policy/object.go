// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// FieldManager is the name under which the operator writes, as managedFields record it.
const FieldManager = "netbaseline"

// newPolicy is a rendered policy, under the name that it has where nobody else has it.
func newPolicy(baseline *Baseline, componentName string, b body) *networkingv1.NetworkPolicy {
	name := baseline.Name + "-" + componentName
	if b.suffix != "" {
		name += "-" + b.suffix
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue,
				v1alpha1.BaselineLabel:  baseline.Name,
				v1alpha1.ComponentLabel: componentName,
			},
			Annotations: map[string]string{
				v1alpha1.DescriptionAnnotation: b.description + " Managed by NetworkBaseline " + baseline.Name + ": changes are undone.",
			},
			OwnerReferences: []metav1.OwnerReference{
				ownerOf(baseline),
			},
		},
		Spec: b.spec,
	}
}

// release is the update by which a retained policy loses its owner. Its description no longer promises anything.
func release(o owned) Step {
	want := *o.NetworkPolicy
	want.OwnerReferences = nil
	want.Annotations = maps.Clone(want.Annotations)
	if want.Annotations == nil {
		want.Annotations = map[string]string{}
	}
	want.Annotations[v1alpha1.DescriptionAnnotation] = "Left in place by NetworkBaseline " + o.of.Name + ", which was deleted with deletionPolicy: Retain. Nothing manages it."
	return Step{Verb: Update, Name: o.Name, Rendered: o.Name, Baseline: o.of.Name, Component: o.Labels[v1alpha1.ComponentLabel], Want: &want, Live: o.NetworkPolicy}
}

// transitionComponent is the component label of policies that exist only while others come and go.
const transitionComponent = "transition"

// transitional is a policy without a spec that belongs to the same baseline as another one.
func transitional(baseline string, model *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Name: baseline + "-" + transitionComponent,
		Labels: map[string]string{
			v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue,
			v1alpha1.BaselineLabel:  baseline,
			v1alpha1.ComponentLabel: transitionComponent,
		},
		Annotations: map[string]string{
			v1alpha1.DescriptionAnnotation: "Keeps connections allowed while other policies of NetworkBaseline " + baseline + " are written. It is removed when they are.",
		},
		OwnerReferences: model.OwnerReferences,
	}}
}

// ownerOf is the controller reference of a baseline's policies.
func ownerOf(b *Baseline) metav1.OwnerReference {
	return *metav1.NewControllerRef(&v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: b.Name, UID: b.UID}},
		v1alpha1.GroupVersion.WithKind("NetworkBaseline"))
}

// Same reports whether a live policy is what is desired: spec, owner, our labels and our annotation. Labels and
// annotations of others are theirs.
func Same(live, desired *networkingv1.NetworkPolicy) bool { return Difference(live, desired) == "" }

// Difference names the first field in which a live policy is not what is desired; "" when there is none.
func Difference(live, desired *networkingv1.NetworkPolicy) string {
	if k := missing(live.Labels, desired.Labels); k != "" {
		return "metadata.labels[" + k + "]"
	}
	if k := missing(live.Annotations, desired.Annotations); k != "" {
		return "metadata.annotations[" + k + "]"
	}
	equal := equality.Semantic.DeepEqual
	switch a, b := &live.Spec, &desired.Spec; {
	case !equal(live.OwnerReferences, desired.OwnerReferences):
		return "metadata.ownerReferences"
	case !equal(a.PodSelector, b.PodSelector):
		return "spec.podSelector"
	case !equal(a.PolicyTypes, b.PolicyTypes):
		return "spec.policyTypes"
	case !equal(a.Ingress, b.Ingress):
		return "spec.ingress"
	case !equal(a.Egress, b.Egress):
		return "spec.egress"
	}
	return ""
}

// missing is the first key, in order, that all does not hold with the value that some has.
func missing(all, some map[string]string) string {
	first := ""
	for k, v := range some {
		if got, ok := all[k]; (!ok || got != v) && (first == "" || k < first) {
			first = k
		}
	}
	return first
}

// Has reports whether a policy of this name, or the one that it stands for, is rendered in this form.
func (r *Rendered) Has(name string, form *networkingv1.NetworkPolicy) bool {
	return form != nil && slices.ContainsFunc(r.Policies, func(p Policy) bool {
		return numberOf(name, p.Name) > 0 && Same(form, p.NetworkPolicy)
	})
}

// neutral is a policy made to select no pod: what is held in deletion cannot be deleted, and must not stay in force.
func neutral(live *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	p := *live
	p.Spec = networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: v1alpha1.ComponentLabel, Operator: metav1.LabelSelectorOpExists},
			{Key: v1alpha1.ComponentLabel, Operator: metav1.LabelSelectorOpDoesNotExist},
		}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
	}
	return &p
}

// Inert reports whether a policy that is held in deletion has been made to select no pod.
func Inert(p *networkingv1.NetworkPolicy) bool { return p.DeletionTimestamp != nil && selectsNone(p) }

func hasType(spec *networkingv1.NetworkPolicySpec, d networkingv1.PolicyType) bool {
	return slices.Contains(spec.PolicyTypes, d)
}

func isolatesAll(spec *networkingv1.NetworkPolicySpec, d networkingv1.PolicyType) bool {
	return hasType(spec, d) && selectsAll(&spec.PodSelector)
}

// LastEditor is the field manager, other than ours, that changed a policy last; empty when there is none.
func LastEditor(p *networkingv1.NetworkPolicy) string {
	var name string
	var at int64
	for i := range p.ManagedFields {
		entry := &p.ManagedFields[i]
		if entry.Manager == FieldManager || entry.Time == nil {
			continue
		}
		if t := entry.Time.Unix(); t >= at {
			name, at = entry.Manager, t
		}
	}
	return name
}
