// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// end is one end of a connection: a pod when it has a namespace, an address otherwise.
type end struct {
	name, namespace string // "" is the governed namespace itself, when own
	own             bool
	labels          map[string]string
	address         netip.Addr
}

// pods of every governed namespace: the profiles below choose one, some or all of them.
var pods = []end{
	{name: "web", own: true, labels: map[string]string{"app": "web"}, address: netip.MustParseAddr("10.244.0.1")},
	{name: "api", own: true, labels: map[string]string{"app": "api"}, address: netip.MustParseAddr("10.244.0.2")},
	{name: "plain", own: true, address: netip.MustParseAddr("10.244.0.3")},
}

var peers = append([]end{
	{name: "dns", namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}, address: netip.MustParseAddr("10.244.1.1")},
	{name: "ingress", namespace: "ingress-nginx", labels: map[string]string{"app.kubernetes.io/name": "ingress-nginx"}, address: netip.MustParseAddr("10.244.1.2")},
	{name: "stranger", namespace: "elsewhere", labels: map[string]string{"app": "web"}, address: netip.MustParseAddr("10.244.2.1")},
	{name: "internet", address: netip.MustParseAddr("198.51.100.7")},
	{name: "internet6", address: netip.MustParseAddr("2001:db8::7")},
	{name: "office", address: netip.MustParseAddr("192.0.2.9")},
	{name: "metadata", address: netip.MustParseAddr("169.254.169.254")},
}, pods...)

var sockets = []struct {
	protocol corev1.Protocol
	port     int
}{{"UDP", 53}, {"TCP", 53}, {"TCP", 80}, {"TCP", 443}, {"TCP", 8080}}

// connections are all that are asked about, in the order of allowed.
var connections = func() []string {
	var out []string
	ask(func(d networkingv1.PolicyType, pod, peer *end, socket int) {
		arrow := "->"
		if d == networkingv1.PolicyTypeIngress {
			arrow = "<-"
		}
		out = append(out, fmt.Sprintf("%s %s %s on %s %d", pod.name, arrow, peer.name, sockets[socket].protocol, sockets[socket].port))
	})
	return out
}()

func ask(question func(d networkingv1.PolicyType, pod, peer *end, socket int)) {
	for _, d := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
		for i := range pods {
			for j := range peers {
				for k := range sockets {
					question(d, &pods[i], &peers[j], k)
				}
			}
		}
	}
}

// allowed asks kube-network-policies, the reference implementation, what a namespace that holds the policies allows.
func allowed(ctx context.Context, namespace string, held state) []bool {
	selecting := map[string][]*networkingv1.NetworkPolicy{}
	for i := range pods {
		for _, p := range held {
			selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
			if err == nil && selector.Matches(labels.Set(pods[i].labels)) {
				selecting[pods[i].name] = append(selecting[pods[i].name], p)
			}
		}
	}
	var out []bool
	ask(func(d networkingv1.PolicyType, pod, peer *end, socket int) {
		const from = 40000
		podPort, peerPort := from, sockets[socket].port
		if d == networkingv1.PolicyTypeIngress {
			podPort, peerPort = peerPort, podPort
		}
		out = append(out, networkpolicy.EvaluatePolicyDirection(ctx, selecting[pod.name], d, info(namespace, pod), podPort,
			info(namespace, peer), peer.address.AsSlice(), peerPort, sockets[socket].protocol))
	})
	return out
}

func info(governed string, e *end) *api.PodInfo {
	if e.own {
		return podInfo(governed, e)
	}
	if e.namespace == "" {
		return nil
	}
	return podInfo(e.namespace, e)
}

func podInfo(namespace string, e *end) *api.PodInfo {
	return &api.PodInfo{Name: e.name, Labels: e.labels, Namespace: &api.Namespace{
		Name: namespace, Labels: map[string]string{corev1.LabelMetadataName: namespace},
	}}
}
