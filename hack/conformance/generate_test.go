// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"math/rand/v2"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// random makes baselines that the API server accepts.
type random struct{ *rand.Rand }

func (r random) oneIn(n int) bool { return r.IntN(n) == 0 }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

// some is a part of the list, in its order, of at most n.
func some[T any](r random, n int, from ...T) []T {
	var out []T
	for _, i := range r.Perm(len(from))[:min(r.IntN(n+1), len(from))] {
		out = append(out, from[i])
	}
	return out
}

func labelled(key string, value v1alpha1.LabelValue) *v1alpha1.LabelSelector {
	return &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{key: value}}
}

func expression(key string, operator metav1.LabelSelectorOperator, values ...v1alpha1.LabelValue) *v1alpha1.LabelSelector {
	return &v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
}

func (r random) pods() *v1alpha1.LabelSelector {
	return pick(r, &v1alpha1.LabelSelector{}, labelled("app", "web"), labelled("app", "api"), labelled("app", "db"), labelled("app", "none"),
		labelled("tier", ""), expression("app", "NotIn", "db", "web"), expression("app", "In", "db", "web"),
		expression("app", "Exists"), expression("tier", "DoesNotExist"))
}

func (r random) maybePods() *v1alpha1.LabelSelector {
	if r.oneIn(2) {
		return nil
	}
	return r.pods()
}

func (r random) namespaces() *v1alpha1.LabelSelector {
	return pick(r, &v1alpha1.LabelSelector{}, labelled("team", "a"), labelled("team", "b"), labelled("env", "prod"),
		labelled(corev1.LabelMetadataName, "monitoring"), labelled(corev1.LabelMetadataName, "elsewhere"),
		expression("team", "NotIn", "a"), expression("team", "Exists"))
}

var ranges = []v1alpha1.CIDR{
	"0.0.0.0/0", "::/0", "10.0.0.0/8", "10.244.0.0/16", "10.244.0.0/24", "169.254.0.0/16", "169.254.169.254/32", "168.63.0.0/16",
	"168.63.129.16/32", "100.64.0.0/10", "8.8.0.0/16", "8.8.4.0/24", "192.0.0.0/24", "192.0.2.0/24", "172.16.0.0/12", "10.0.0.11/32",
	"fd00::/8", "fd00:ec2::/64", "fd00:ec2::254/128", "2606:4700::/32", "fe80::/10", "128.0.0.0/1",
}

func (r random) addresses() v1alpha1.Peer {
	peer := v1alpha1.Peer{CIDR: pick(r, ranges...)}
	whole := netip.MustParsePrefix(string(peer.CIDR))
	for _, part := range some(r, 4, ranges...) {
		if p := netip.MustParsePrefix(string(part)); whole.Contains(p.Addr()) && p.Bits() > whole.Bits() {
			peer.Except = append(peer.Except, part)
		}
	}
	return peer
}

func (r random) peer() v1alpha1.Peer {
	switch r.IntN(4) {
	case 0:
		return r.addresses()
	case 1:
		return v1alpha1.Peer{PodSelector: r.pods()}
	case 2:
		return v1alpha1.Peer{NamespaceSelector: r.namespaces()}
	default:
		return v1alpha1.Peer{NamespaceSelector: r.namespaces(), PodSelector: r.pods()}
	}
}

func (r random) peers() []v1alpha1.Peer {
	var out []v1alpha1.Peer
	for range r.IntN(3) {
		out = append(out, r.peer())
	}
	return out
}

func (r random) ports() []v1alpha1.Port {
	end := int32(8085)
	return some(r, 3,
		v1alpha1.Port{Port: intstr.FromInt32(80)},
		v1alpha1.Port{Port: intstr.FromInt32(443), Protocol: corev1.ProtocolTCP},
		v1alpha1.Port{Port: intstr.FromInt32(53), Protocol: corev1.ProtocolUDP},
		v1alpha1.Port{Port: intstr.FromInt32(8080), EndPort: &end},
		v1alpha1.Port{Port: intstr.FromString("http")},
	)
}

func (r random) directions() []v1alpha1.Direction {
	return pick(r, nil, nil, []v1alpha1.Direction{v1alpha1.Ingress}, []v1alpha1.Direction{v1alpha1.Egress},
		[]v1alpha1.Direction{v1alpha1.Egress, v1alpha1.Ingress})
}

func (r random) block() *v1alpha1.BlockMetadata {
	block := &v1alpha1.BlockMetadata{AdditionalCIDRs: some(r, 2, v1alpha1.CIDR("10.0.0.0/24"), "8.8.4.4/32", "192.0.2.0/25", "2606:4700::/32", "169.254.20.0/24")}
	if r.oneIn(3) {
		block.PodSelector = r.pods()
		return block
	}
	block.Exemptions = some(r, 2,
		v1alpha1.MetadataExemption{PodSelector: *labelled("app", "web"), CIDR: "169.254.170.23/32", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(80)}}},
		v1alpha1.MetadataExemption{PodSelector: *labelled("app", "db"), CIDR: "192.0.2.0/28", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(443)}}},
		v1alpha1.MetadataExemption{PodSelector: *expression("tier", "Exists"), CIDR: "fd00:ec2::23/128", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(80)}}},
	)
	return block
}

func (r random) dns() *v1alpha1.AllowDNS {
	return &v1alpha1.AllowDNS{
		Resolvers: pick(r, nil, nil, nil,
			[]v1alpha1.Peer{{CIDR: "169.254.20.10/32"}, {NamespaceSelector: labelled(corev1.LabelMetadataName, "kube-system")}},
			[]v1alpha1.Peer{{CIDR: "169.254.169.254/32"}},
			[]v1alpha1.Peer{{CIDR: "168.63.129.16/32"}, {PodSelector: labelled("app", "web")}},
			[]v1alpha1.Peer{{CIDR: "0.0.0.0/0"}}),
		Ports: pick(r, nil, nil, nil, []v1alpha1.Port{{Protocol: corev1.ProtocolUDP, Port: intstr.FromInt32(5353)}}),
	}
}

func (r random) flow(name string) v1alpha1.Flow {
	flow := v1alpha1.Flow{Name: name, Ports: r.ports()}
	switch r.IntN(4) {
	case 0: // within each namespace
		flow.From, flow.To = v1alpha1.Peer{PodSelector: r.pods()}, v1alpha1.Peer{PodSelector: r.pods()}
	case 1: // across namespaces
		flow.From = v1alpha1.Peer{NamespaceSelector: r.namespaces(), PodSelector: r.maybePods()}
		flow.To = v1alpha1.Peer{NamespaceSelector: r.namespaces(), PodSelector: r.maybePods()}
	case 2:
		flow.From, flow.To = r.end(), r.addresses()
	default:
		flow.From, flow.To = r.addresses(), r.end()
	}
	return flow
}

// end is the pods' end of a flow to or from addresses.
func (r random) end() v1alpha1.Peer {
	if r.oneIn(3) {
		return v1alpha1.Peer{NamespaceSelector: r.namespaces(), PodSelector: r.maybePods()}
	}
	return v1alpha1.Peer{PodSelector: r.pods()}
}

func (r random) baseline(name string) *v1alpha1.NetworkBaseline {
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}}
	b.Spec.NamespaceSelector = *pick(r, labelled("env", "prod"), labelled("env", "prod"), labelled("team", "a"), labelled("team", "b"))
	p := &b.Spec.Profile
	if r.oneIn(2) {
		p.DefaultDeny = &v1alpha1.DefaultDeny{Directions: r.directions()}
	}
	if r.oneIn(2) {
		p.BlockMetadata = r.block()
	}
	if r.oneIn(2) {
		p.AllowDNS = r.dns()
	}
	if r.oneIn(3) {
		p.AllowSameNamespace = &v1alpha1.AllowSameNamespace{Directions: r.directions()}
	}
	if r.oneIn(3) {
		p.AllowKubeAPIServer = &v1alpha1.AllowKubeAPIServer{PodSelector: r.maybePods()}
	}
	if r.oneIn(3) {
		allow := &v1alpha1.AllowIngressController{
			Controllers: some(r, 2, v1alpha1.IngressNginx, v1alpha1.GKELoadBalancer), From: r.peers(), PodSelector: r.maybePods(), Ports: r.ports(),
		}
		if len(allow.Controllers)+len(allow.From) > 0 {
			p.AllowIngressController = allow
		}
	}
	if r.oneIn(3) {
		p.AllowMonitoring = &v1alpha1.AllowMonitoring{
			Stacks: []v1alpha1.MonitoringStack{v1alpha1.Prometheus}, From: r.peers(), PodSelector: r.maybePods(), Ports: r.ports(),
		}
	}
	for i := range r.IntN(4) {
		b.Spec.Flows = append(b.Spec.Flows, r.flow([]string{"one", "two", "three"}[i]))
	}
	if *p == (v1alpha1.Profile{}) && len(b.Spec.Flows) == 0 {
		p.DefaultDeny = &v1alpha1.DefaultDeny{}
	}
	return b
}

// world is a cluster with two namespaces to govern, and one of several ways of running DNS.
func (r random) world() *World {
	labelsOf := func(app string) map[string]string {
		return map[string]string{"app": app}
	}
	w := &World{Namespaces: map[string]*WorldNamespace{
		"shop": {
			Labels: map[string]string{"team": "a", "env": "prod"},
			Pods: map[string]*WorldPod{
				"web":   {Labels: map[string]string{"app": "web", "tier": ""}, Ports: map[string]string{"http": "TCP/8080"}},
				"api":   {Labels: labelsOf("api"), Ports: map[string]string{"http": "TCP/80"}},
				"db":    {Labels: labelsOf("db")},
				"plain": {},
			},
			Services: map[string]*WorldService{"web": {Selector: labelsOf("web"), Ports: map[string]int32{"TCP/80": 8080, "TCP/443": 443}}},
		},
		"bank": {
			Labels: map[string]string{"team": "b", "env": "prod"},
			Pods: map[string]*WorldPod{
				"web": {Labels: labelsOf("web"), Ports: map[string]string{"http": "TCP/443"}},
				"db":  {Labels: map[string]string{"app": "db", "tier": "back"}},
			},
			Services: map[string]*WorldService{"db": {Selector: map[string]string{"tier": "back"}, Ports: map[string]int32{"TCP/80": 80}}},
		},
	}}
	dns := func(labels map[string]string, target int32) *WorldService {
		return &WorldService{
			Labels: labels, Selector: map[string]string{"k8s-app": "kube-dns"}, IPs: []netip.Addr{netip.MustParseAddr("10.96.0.10")},
			Ports: map[string]int32{"UDP/53": target, "TCP/53": target},
		}
	}
	kubeDNS := map[string]string{"k8s-app": "kube-dns"}
	system := &WorldNamespace{Pods: map[string]*WorldPod{"coredns": {Labels: kubeDNS}}}
	switch r.IntN(4) {
	case 0: // nothing is known
	case 1:
		system.Services = map[string]*WorldService{"kube-dns": dns(kubeDNS, 5353)}
	case 2:
		system.Services = map[string]*WorldService{"kube-dns": dns(kubeDNS, 53), "kube-dns-upstream": dns(kubeDNS, 53)}
	default:
		system.Services = map[string]*WorldService{"kube-dns": dns(kubeDNS, 53)}
	}
	w.Namespaces["kube-system"] = system
	return w
}

func (r random) baselines() []*v1alpha1.NetworkBaseline {
	var out []*v1alpha1.NetworkBaseline
	for _, name := range []string{"a", "b", "c"}[:1+r.IntN(3)] {
		out = append(out, r.baseline(name))
	}
	return out
}
