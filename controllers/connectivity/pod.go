// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// NamespaceLabels returns the labels of a namespace as the API server has them: with its name among them.
func NamespaceLabels(name string, labels map[string]string) map[string]string {
	if labels[corev1.LabelMetadataName] == name {
		return labels
	}
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]string{}
	}
	out[corev1.LabelMetadataName] = name
	return out
}

// NewPod returns what policies can see of a pod. The labels of its namespace are those of NamespaceLabels.
func NewPod(p *corev1.Pod, namespaceLabels map[string]string) *Pod {
	out := &Pod{
		Namespace: p.Namespace, NamespaceLabels: namespaceLabels, Name: p.Name, Labels: p.Labels,
		HostNetwork: p.Spec.HostNetwork, Node: p.Spec.NodeName,
	}
	for _, ip := range p.Status.PodIPs {
		out.addAddress(ip.IP)
	}
	if len(out.Addresses) == 0 {
		out.addAddress(p.Status.PodIP)
	}
	for i := range p.Spec.Containers {
		out.addPorts(&p.Spec.Containers[i])
	}
	for i := range p.Spec.InitContainers {
		// A sidecar is an init container that keeps running.
		if c := &p.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out.addPorts(c)
		}
	}
	return out
}

func (p *Pod) addAddress(text string) {
	a, err := netip.ParseAddr(text)
	if err == nil && !slices.Contains(p.Addresses, a.Unmap()) {
		p.Addresses = append(p.Addresses, a.Unmap())
	}
}

func (p *Pod) addPorts(c *corev1.Container) {
	for _, port := range c.Ports {
		if port.Name == "" {
			continue
		}
		protocol := port.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		p.Ports = append(p.Ports, NamedPort{Name: port.Name, Protocol: protocol, Number: port.ContainerPort})
	}
}
