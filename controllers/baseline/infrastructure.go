// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// infrastructureInterval is how often the API server is asked which namespaces it calls into. A CRD can be large, so
// this is rare, and paged.
const (
	infrastructureInterval = time.Hour
	infrastructureRetry    = time.Minute
	infrastructurePage     = 20
)

// infrastructure knows the namespaces that back an admission webhook, an aggregated API or a CRD conversion. The API
// server calls into them from addresses that no selector matches, so that a default deny can break the cluster.
type infrastructure struct {
	reader client.Reader // live
	backs  map[string]string
	// mutating are the webhooks that may change NetworkPolicies as they are written.
	mutating []string
	again    time.Time
}

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations;mutatingwebhookconfigurations,verbs=list
// +kubebuilder:rbac:groups=apiregistration.k8s.io,resources=apiservices,verbs=list
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=list

// refresh asks the API server again when it is time. What could not be read stays as it was.
func (f *infrastructure) refresh(ctx context.Context, now time.Time) error {
	if now.Before(f.again) {
		return nil
	}
	f.again = now.Add(infrastructureInterval)
	backs := map[string]string{}
	err := errors.Join(f.webhooks(ctx, backs),
		f.services(ctx, backs, schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIServiceList"}, "aggregated API", "spec", "service", "namespace"),
		f.services(ctx, backs, schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"}, "CRD conversion", "spec", "conversion", "webhook", "clientConfig", "service", "namespace"))
	if err != nil {
		maps.Copy(backs, f.backs)
		f.again = now.Add(infrastructureRetry)
	}
	f.backs = backs
	return err
}

func (f *infrastructure) webhooks(ctx context.Context, backs map[string]string) error {
	var validating admissionv1.ValidatingWebhookConfigurationList
	var mutating admissionv1.MutatingWebhookConfigurationList
	if err := errors.Join(f.reader.List(ctx, &validating), f.reader.List(ctx, &mutating)); err != nil {
		return fmt.Errorf("listing admission webhooks: %w", err)
	}
	note := func(c admissionv1.WebhookClientConfig, name string) {
		if c.Service != nil {
			backs[c.Service.Namespace] = "admission webhook " + name
		}
	}
	for _, configuration := range validating.Items {
		for _, w := range configuration.Webhooks {
			note(w.ClientConfig, w.Name)
		}
	}
	f.mutating = nil
	for _, configuration := range mutating.Items {
		for _, w := range configuration.Webhooks {
			note(w.ClientConfig, w.Name)
			if slices.ContainsFunc(w.Rules, matchesPolicies) {
				f.mutating = append(f.mutating, w.Name)
			}
		}
	}
	slices.Sort(f.mutating)
	return nil
}

func matchesPolicies(r admissionv1.RuleWithOperations) bool {
	in := func(all []string, names ...string) bool {
		return slices.ContainsFunc(all, func(s string) bool { return slices.Contains(names, s) })
	}
	return in(r.APIGroups, "*", "networking.k8s.io") && in(r.Resources, "*", "*/*", "networkpolicies")
}

// services notes the namespace that the field of each object names.
func (f *infrastructure) services(ctx context.Context, backs map[string]string, kind schema.GroupVersionKind, what string, field ...string) error {
	next := ""
	for {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := f.reader.List(ctx, list, client.Limit(infrastructurePage), client.Continue(next)); err != nil {
			return fmt.Errorf("listing %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			if namespace, _, _ := unstructured.NestedString(list.Items[i].Object, field...); namespace != "" {
				backs[namespace] = what + " " + list.Items[i].GetName()
			}
		}
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

// warnings tells which of the selected namespaces run infrastructure: they back the API server, or the profile itself
// names them as those of its ingress controller or monitoring stack.
func (f *infrastructure) warnings(b *v1alpha1.NetworkBaseline, selected []*metav1.PartialObjectMetadata) []v1alpha1.Problem {
	var out []v1alpha1.Problem
	warn := func(namespace, why string) {
		out = append(out, v1alpha1.Problem{Namespace: namespace, Reason: v1alpha1.ReasonInfrastructure,
			Message: fmt.Sprintf("the baseline governs this namespace, which %s: name it in spec.excludedNamespaces unless that is meant", why)})
	}
	var peers []labels.Selector
	for _, peer := range policy.InfrastructurePeers(&b.Spec.Profile) {
		if selector, err := peer.NamespaceSelector.Selector(); err == nil && !selector.Empty() {
			peers = append(peers, selector)
		}
	}
	for _, ns := range selected {
		switch backed := f.backs[ns.Name]; {
		case backed != "":
			warn(ns.Name, "the API server calls into for "+backed+", from addresses that no selector matches")
		case slices.ContainsFunc(peers, func(s labels.Selector) bool { return s.Matches(labels.Set(ns.Labels)) }):
			warn(ns.Name, "the profile names as that of its ingress controller or monitoring stack")
		}
	}
	return out
}
