// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// This evaluator says what NetworkPolicies allow in a small world. It follows the documentation of the API alone
// (k8s.io/api/networking/v1) and shares no code with what it judges.

// endpoint is a pod, or an address outside of the cluster when it has no namespace.
type endpoint struct {
	name, namespace string
	labels          map[string]string
	address         netip.Addr
	ports           map[string]socket // by the name that a container gives them
}

type socket struct {
	protocol corev1.Protocol
	port     int32
}

// network is how a CNI reads ipBlock: Calico and most match pods by address, Cilium never does.
type network struct{ podsByAddress bool }

const flowWords = 10

// flows is a set of flows of the world, by number: see flow.
type flows [flowWords]uint64

func (f *flows) add(i int)      { f[i/64] |= 1 << (i % 64) }
func (f *flows) has(i int) bool { return f[i/64]&(1<<(i%64)) != 0 }

// flow numbers a flow to or from a governed pod.
func flow(pod int, d networkingv1.PolicyType, peer, port int) int {
	i := pod * 2
	if d == networkingv1.PolicyTypeEgress {
		i++
	}
	return (i*len(peers)+peer)*len(sockets) + port
}

// verdict is what one policy says.
type verdict struct {
	isolates flows // the flows that need a rule, because of this policy
	allows   flows // the flows that its rules allow to the pods that it selects
	anyPod   flows // the flows that its rules would allow, if it selected every pod
}

// allowed is what the policies of a namespace allow together. They add up: where none isolates, everything is
// allowed; elsewhere, what any rule allows.
func allowed(verdicts []*verdict) flows {
	var isolated, allows, out flows
	for _, v := range verdicts {
		for i := range flowWords {
			isolated[i] |= v.isolates[i]
			allows[i] |= v.allows[i]
		}
	}
	for i := range flowWords {
		out[i] = ^isolated[i] | allows[i]
	}
	return out
}

// judge reads one policy of the governed namespace.
func (n network) judge(spec *networkingv1.NetworkPolicySpec) *verdict {
	v := &verdict{}
	types := spec.PolicyTypes
	if len(types) == 0 {
		types = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(spec.Egress) > 0 {
			types = append(types, networkingv1.PolicyTypeEgress)
		}
	}
	for _, d := range types {
		for pod := range governed {
			// By peer and socket. The ports of ingress rules are those of the pod itself, and may have names there.
			allow := n.ingress(spec.Ingress, &governed[pod])
			if d == networkingv1.PolicyTypeEgress {
				allow = n.egress(spec.Egress)
			}
			selected := matches(&spec.PodSelector, governed[pod].labels)
			for peer := range peers {
				for port := range sockets {
					i := flow(pod, d, peer, port)
					if selected {
						v.isolates.add(i)
					}
					if allow[peer][port] {
						v.anyPod.add(i)
					}
					if selected && allow[peer][port] {
						v.allows.add(i)
					}
				}
			}
		}
	}
	return v
}

func (n network) ingress(rules []networkingv1.NetworkPolicyIngressRule, pod *endpoint) [][]bool {
	out := make([][]bool, len(peers))
	for i := range peers {
		out[i] = make([]bool, len(sockets))
		for _, rule := range rules {
			if n.oneOf(rule.From, &peers[i]) {
				addPorts(out[i], rule.Ports, pod)
			}
		}
	}
	return out
}

func (n network) egress(rules []networkingv1.NetworkPolicyEgressRule) [][]bool {
	out := make([][]bool, len(peers))
	for i := range peers {
		out[i] = make([]bool, len(sockets))
		for _, rule := range rules {
			if n.oneOf(rule.To, &peers[i]) {
				addPorts(out[i], rule.Ports, &peers[i])
			}
		}
	}
	return out
}

// oneOf says whether the endpoint is one of the peers of a rule. No peers at all means everyone.
func (n network) oneOf(all []networkingv1.NetworkPolicyPeer, e *endpoint) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(p networkingv1.NetworkPolicyPeer) bool {
		if p.IPBlock != nil {
			return (e.namespace == "" || n.podsByAddress) && inBlock(p.IPBlock, e.address)
		}
		if e.namespace == "" {
			return false
		}
		if p.NamespaceSelector == nil && e.namespace != governedNamespace {
			return false
		}
		if p.NamespaceSelector != nil && !matches(p.NamespaceSelector, namespaces[e.namespace]) {
			return false
		}
		return p.PodSelector == nil || matches(p.PodSelector, e.labels)
	})
}

func inBlock(b *networkingv1.IPBlock, a netip.Addr) bool {
	contains := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(a) }
	return contains(b.CIDR) && !slices.ContainsFunc(b.Except, contains)
}

// addPorts marks the sockets that the ports of a rule allow at a destination. No ports at all means every port.
func addPorts(out []bool, ports []networkingv1.NetworkPolicyPort, destination *endpoint) {
	for i, s := range sockets {
		out[i] = out[i] || len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
			protocol := corev1.ProtocolTCP
			if p.Protocol != nil {
				protocol = *p.Protocol
			}
			switch {
			case protocol != s.protocol:
				return false
			case p.Port == nil:
				return true
			case p.Port.Type == intstr.String:
				return destination.ports[p.Port.StrVal] == s
			case p.EndPort != nil:
				return p.Port.IntVal <= s.port && s.port <= *p.EndPort
			default:
				return p.Port.IntVal == s.port
			}
		})
	}
}

func matches(s *metav1.LabelSelector, set map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		panic(err)
	}
	return selector.Matches(labels.Set(set))
}

// TestEvaluator holds the evaluator to facts that were found with two other evaluators, and to the documentation of
// the API, before anything else trusts it.
func TestEvaluator(t *testing.T) {
	const (
		deny     = `{podSelector: {}, policyTypes: [Ingress, Egress]}`
		allBut   = `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}}]}]}`
		port80   = `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}`
		nginx    = `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}, podSelector: {matchLabels: {app.kubernetes.io/name: ingress-nginx}}}]}]}`
		sameOnly = `{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}], ports: [{port: http}]}]}`
		ranges   = `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 50, endPort: 60}]}]}`
	)
	for _, tc := range []struct {
		name            string
		policies        []string
		pod, direction  string
		peer, socket    string
		want, wantByPod bool // wantByPod: where the network matches pods by address
	}{
		{"no policy", nil, "web", "Egress", "internet", "TCP/443", true, true},
		{"deny", []string{deny}, "web", "Egress", "internet", "TCP/443", false, false},
		{"the pair is no longer a deny", []string{deny, allBut}, "web", "Egress", "internet", "TCP/443", true, true},
		{"and opens pods by address", []string{deny, allBut}, "web", "Egress", "dns", "UDP/53", false, true},
		{"and Alibaba's metadata", []string{deny, allBut}, "web", "Egress", "alibaba-metadata", "TCP/80", true, true},
		{"but not what it excepts", []string{deny, allBut}, "web", "Egress", "metadata", "TCP/80", false, false},
		{"ports without to reopen metadata", []string{deny, port80}, "web", "Egress", "metadata", "TCP/80", true, true},
		{"on these ports", []string{deny, port80}, "web", "Egress", "metadata", "TCP/443", false, false},
		{"protocol defaults to TCP", []string{deny, port80}, "web", "Egress", "metadata", "UDP/53", false, false},
		{"an allow isolates", []string{nginx}, "web", "Ingress", "prometheus", "TCP/8080", false, false},
		{"in its direction only", []string{nginx}, "web", "Egress", "prometheus", "TCP/8080", true, true},
		{"and allows", []string{nginx}, "web", "Ingress", "ingress-nginx", "TCP/8080", true, true},
		{"namespace and pod labels both", []string{nginx}, "web", "Ingress", "impostor", "TCP/8080", false, false},
		{"a pod selector alone is the own namespace", []string{sameOnly}, "web", "Ingress", "db", "TCP/8080", true, true},
		{"a pod selector alone is no other namespace", []string{sameOnly}, "web", "Ingress", "prometheus", "TCP/8080", false, false},
		{"a named port is that of the destination", []string{sameOnly}, "web", "Ingress", "db", "TCP/80", false, false},
		{"who is not selected is free", []string{sameOnly}, "db", "Ingress", "prometheus", "TCP/80", true, true},
		{"endPort", []string{ranges}, "web", "Egress", "internet", "UDP/53", true, true},
		{"endPort and protocol", []string{ranges}, "web", "Egress", "internet", "TCP/53", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, n := range []network{{podsByAddress: false}, {podsByAddress: true}} {
				var verdicts []*verdict
				for _, p := range tc.policies {
					verdicts = append(verdicts, n.judge(parseSpec(t, p)))
				}
				got := allowed(verdicts)
				want := tc.want
				if n.podsByAddress {
					want = tc.wantByPod
				}
				if i := flowNamed(tc.pod, tc.direction, tc.peer, tc.socket); got.has(i) != want {
					t.Errorf("pods by address %v: %s: allowed %v, want %v", n.podsByAddress, flowName(i), got.has(i), want)
				}
			}
		})
	}
}
