// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/hack/packets/node"
)

// SyncServices does once what kube-controller-manager and kube-proxy do all the time: every Service with a selector gets
// its EndpointSlice, and the node translates the ClusterIPs of all. Call it when pods are ready.
func (c *Cluster) SyncServices(ctx context.Context) error {
	var services corev1.ServiceList
	var pods corev1.PodList
	var slices discoveryv1.EndpointSliceList
	if err := errors.Join(c.Client.List(ctx, &services), c.Client.List(ctx, &pods), c.Client.List(ctx, &slices)); err != nil {
		return err
	}
	has := map[string]*discoveryv1.EndpointSlice{}
	for i := range slices.Items {
		has[slices.Items[i].Namespace+"/"+slices.Items[i].Labels[discoveryv1.LabelServiceName]] = &slices.Items[i]
	}
	var rules []node.Service
	for i := range services.Items {
		s := &services.Items[i]
		slice := has[s.Namespace+"/"+s.Name]
		if len(s.Spec.Selector) > 0 && slice == nil {
			slice = endpointSlice(s, pods.Items)
			if err := c.Client.Create(ctx, slice); err != nil {
				return err
			}
		}
		translated, err := translations(s, slice)
		if err != nil {
			return err
		}
		rules = append(rules, translated...)
	}
	return c.Network.Translate(rules)
}

// endpointSlice is that of a Service with a selector.
func endpointSlice(s *corev1.Service, pods []corev1.Pod) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, Labels: map[string]string{discoveryv1.LabelServiceName: s.Name}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, p := range s.Spec.Ports {
		target := p.TargetPort.IntVal
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &target})
	}
	for i := range pods {
		p := &pods[i]
		if p.Namespace == s.Namespace && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) && p.Status.PodIP != "" {
			ready := true
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{p.Status.PodIP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
			})
		}
	}
	return slice
}

// translations are a Service's. With two endpoints it would matter which one is asked: there is one for each.
func translations(s *corev1.Service, slice *discoveryv1.EndpointSlice) ([]node.Service, error) {
	if slice == nil || len(slice.Endpoints) != 1 {
		return nil, fmt.Errorf("service %s/%s needs one endpoint", s.Namespace, s.Name)
	}
	address, err := netip.ParseAddr(s.Spec.ClusterIP)
	if err != nil {
		return nil, err
	}
	target, err := netip.ParseAddr(slice.Endpoints[0].Addresses[0])
	if err != nil {
		return nil, err
	}
	var out []node.Service
	for _, p := range s.Spec.Ports {
		for _, e := range slice.Ports {
			if *e.Name == p.Name {
				out = append(out, node.Service{
					Network: strings.ToLower(string(p.Protocol)),
					Address: netip.AddrPortFrom(address, uint16(p.Port)), //nolint:gosec // a port
					Target:  netip.AddrPortFrom(target, uint16(*e.Port)), //nolint:gosec // a port
				})
			}
		}
	}
	return out, nil
}
