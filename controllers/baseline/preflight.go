// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/list"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

const (
	// manyNamespaces is the number above which pods are asked for in all namespaces at once.
	manyNamespaces = 16
	// podPage bounds every list of pods.
	podPage = 500
)

// finding is something that must be reachable and was not found.
type finding struct{ Reason, Message string }

// preflight looks whether what a profile relies on exists. Pods are many and change all the time, so they are never
// cached: it asks the API server for one of them, and for no more than their metadata.
type preflight struct {
	pods       client.Reader // live
	namespaces client.Reader // cached
}

// +kubebuilder:rbac:groups="",resources=pods,verbs=list

// run returns what is missing, in the order of the profile's components.
func (p *preflight) run(ctx context.Context, profile *v1alpha1.Profile, facts policy.Facts) ([]finding, error) {
	var out []finding
	for _, need := range policy.Needs(profile, facts) {
		missing, err := p.find(ctx, need)
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", need.What, err)
		}
		if missing != nil {
			out = append(out, *missing)
		}
	}
	return out, nil
}

// find returns nil when one of the peers matches a pod on the pod network, or is an address, or means pods of each
// governed namespace itself.
func (p *preflight) find(ctx context.Context, need policy.Need) (*finding, error) {
	var looked []string
	for i := range need.Peers {
		peer := &need.Peers[i]
		if peer.CIDR != "" || peer.NamespaceSelector == nil {
			return nil, nil
		}
		field := "spec.hostNetwork=false"
		if need.OnHost {
			field = ""
		}
		pods, err := p.matching(ctx, peer, field)
		if err != nil || len(pods) > 0 {
			return nil, err
		}
		looked = append(looked, describe(peer))
	}
	message := fmt.Sprintf("%s: %s was not found", need.Component, need.What)
	if len(looked) > 0 {
		message += ": no pod matches " + strings.Join(looked, ", nor ")
	}
	message += "."
	for i := range need.Peers {
		pods, err := p.matching(ctx, &need.Peers[i], "spec.hostNetwork=true")
		if err != nil {
			return nil, err
		}
		if len(pods) > 0 {
			return &finding{v1alpha1.ReasonHostNetwork, fmt.Sprintf(
				"%s: %s runs on the host network (pod %s/%s), where no selector matches it. Write the addresses of its nodes (kubectl get nodes -o wide): %s, say.",
				need.Component, need.What, pods[0].Namespace, pods[0].Name, inPlace(need, "{cidr: 192.0.2.0/24}"))}, nil
		}
	}
	hint, err := p.nearMiss(ctx, need)
	if err != nil {
		return nil, err
	}
	return &finding{v1alpha1.ReasonNotFound, message + hint}, nil
}

// matching returns some pods that the peer selects and that are not finished.
func (p *preflight) matching(ctx context.Context, peer *v1alpha1.Peer, field string) ([]metav1.PartialObjectMetadata, error) {
	selector, err := peer.PodSelector.Selector()
	if err != nil {
		return nil, err
	}
	inScope, err := p.namespacesOf(ctx, peer)
	if err != nil || len(inScope) == 0 {
		return nil, err
	}
	if len(inScope) > manyNamespaces {
		found, err := p.list(ctx, "", selector, field, podPage)
		return slices.DeleteFunc(found, func(pod metav1.PartialObjectMetadata) bool { return !slices.Contains(inScope, pod.Namespace) }), err
	}
	for _, namespace := range inScope {
		found, err := p.list(ctx, namespace, selector, field, 1)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// nearMiss looks for what was probably meant: the right labels in another namespace, or a similar name in the right one.
func (p *preflight) nearMiss(ctx context.Context, need policy.Need) (string, error) {
	for i := range need.Peers {
		peer := &need.Peers[i]
		selector, err := peer.PodSelector.Selector()
		if err != nil || selector.Empty() {
			continue
		}
		found, err := p.list(ctx, "", selector, "", 1)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return fmt.Sprintf(" There is one in namespace %s (pod %s): write %s.",
				found[0].Namespace, found[0].Name, inPlace(need, podsIn(found[0].Namespace, peer.PodSelector))), nil
		}
	}
	for i := range need.Peers {
		inScope, err := p.namespacesOf(ctx, &need.Peers[i])
		if err != nil {
			return "", err
		}
		for _, namespace := range inScope[:min(len(inScope), manyNamespaces)] {
			pods, err := p.list(ctx, namespace, labels.Everything(), "", podPage)
			if err != nil {
				return "", err
			}
			if key, value, pod := similar(pods, need.Peers[i].PodSelector); pod != "" {
				meant := &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{key: v1alpha1.LabelValue(value)}}
				return fmt.Sprintf(" Near miss: pod %s/%s has the label %s=%s. If that is it, write %s.",
					namespace, pod, key, value, inPlace(need, podsIn(namespace, meant))), nil
			}
		}
	}
	return fmt.Sprintf(" If it runs elsewhere, describe its pods or addresses in %s; if you do without it, remove %s; to enforce all the same, write spec.preflight: Warn.",
		need.Instead, cmp.Or(need.InPlaceOf, need.Component)), nil
}

// similar returns a label that shares a word with those that are looked for: k8s-app=coredns for k8s-app=kube-dns.
func similar(pods []metav1.PartialObjectMetadata, selector *v1alpha1.LabelSelector) (key, value, pod string) {
	if selector == nil {
		return "", "", ""
	}
	for i := range pods {
		for _, wanted := range selector.MatchLabels {
			for _, word := range strings.FieldsFunc(string(wanted), func(r rune) bool { return r == '-' || r == '.' || r == '_' }) {
				if len(word) < 3 || word == "kube" || word == "controller" {
					continue
				}
				for _, k := range list.SortedKeys(pods[i].Labels) {
					if strings.Contains(pods[i].Labels[k], word) {
						return k, pods[i].Labels[k], pods[i].Name
					}
				}
			}
		}
	}
	return "", "", ""
}

// namespacesOf are the names of the namespaces that the peer selects, sorted.
func (p *preflight) namespacesOf(ctx context.Context, peer *v1alpha1.Peer) ([]string, error) {
	selector, err := peer.NamespaceSelector.Selector()
	if err != nil || peer.CIDR != "" {
		return nil, err
	}
	all, err := list.Namespaces(ctx, p.namespaces)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range all {
		if selector.Matches(labels.Set(all[i].Labels)) {
			names = append(names, all[i].Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (p *preflight) list(ctx context.Context, namespace string, selector labels.Selector, field string, limit int64) ([]metav1.PartialObjectMetadata, error) {
	running := "status.phase!=" + string(corev1.PodSucceeded) + ",status.phase!=" + string(corev1.PodFailed)
	if field != "" {
		running += "," + field
	}
	parsed, err := fields.ParseSelector(running)
	if err != nil {
		return nil, err
	}
	found := &metav1.PartialObjectMetadataList{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	err = p.pods.List(ctx, found, client.InNamespace(namespace), client.Limit(limit),
		client.MatchingLabelsSelector{Selector: selector}, client.MatchingFieldsSelector{Selector: parsed})
	return found.Items, err
}
