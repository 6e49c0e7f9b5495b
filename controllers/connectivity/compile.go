// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Set is a set of NetworkPolicies that is ready to judge. It is safe for concurrent use.
type Set struct {
	network    Network
	namespaces map[string]*directions
}

// directions are the policies of one namespace.
type directions struct {
	ingress, egress []*policy
}

func (d *directions) of(t networkingv1.PolicyType) []*policy {
	switch {
	case d == nil:
		return nil
	case t == networkingv1.PolicyTypeIngress:
		return d.ingress
	default:
		return d.egress
	}
}

// policy is one policy in one direction.
type policy struct {
	source *networkingv1.NetworkPolicy
	pods   selector
	rules  []rule
}

// rule matches a connection if one of its peers and one of its ports do.
type rule struct {
	peers []peer // none: everyone
	ports []port // none: every port
}

// peer is an address range, or pods.
type peer struct {
	block      *block
	namespaces *selector // nil: the policy's own namespace
	pods       selector
}

type block struct {
	cidr   netip.Prefix
	except []netip.Prefix
}

// port is a named port if it has a name, a range of ports otherwise.
type port struct {
	protocol    corev1.Protocol
	name        string
	first, last int32
}

// selector is a compiled label selector; the zero value selects everything.
type selector struct{ labels.Selector }

func (s selector) matches(l map[string]string) bool {
	return s.Selector == nil || s.Matches(labels.Set(l))
}

// Compile compiles policies of any number of namespaces. They must not be changed afterwards. It returns an error for
// what an API server would have refused.
func Compile(policies []*networkingv1.NetworkPolicy, network Network) (*Set, error) {
	s := &Set{network: network, namespaces: map[string]*directions{}}
	var errs []error
	for _, p := range policies {
		if err := s.add(p); err != nil {
			errs = append(errs, fmt.Errorf("NetworkPolicy %s/%s: %w", p.Namespace, p.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, d := range s.namespaces {
		d.ingress, d.egress = byName(d.ingress), byName(d.egress)
	}
	return s, nil
}

func byName(all []*policy) []*policy {
	slices.SortStableFunc(all, func(a, b *policy) int { return strings.Compare(a.source.Name, b.source.Name) })
	return all
}

func (s *Set) add(p *networkingv1.NetworkPolicy) error {
	pods, err := compileSelector(&p.Spec.PodSelector)
	if err != nil {
		return fmt.Errorf("spec.podSelector: %w", err)
	}
	in, out := &policy{source: p, pods: pods}, &policy{source: p, pods: pods}
	for i, r := range p.Spec.Ingress {
		compiled, err := compileRule(r.From, r.Ports)
		if err != nil {
			return fmt.Errorf("spec.ingress[%d]: %w", i, err)
		}
		in.rules = append(in.rules, compiled)
	}
	for i, r := range p.Spec.Egress {
		compiled, err := compileRule(r.To, r.Ports)
		if err != nil {
			return fmt.Errorf("spec.egress[%d]: %w", i, err)
		}
		out.rules = append(out.rules, compiled)
	}
	d := s.namespaces[p.Namespace]
	if d == nil {
		d = &directions{}
		s.namespaces[p.Namespace] = d
	}
	for _, t := range PolicyTypes(p) {
		switch t {
		case networkingv1.PolicyTypeIngress:
			d.ingress = append(d.ingress, in)
		case networkingv1.PolicyTypeEgress:
			d.egress = append(d.egress, out)
		default:
			return fmt.Errorf("spec.policyTypes: %q: write Ingress or Egress", t)
		}
	}
	return nil
}

// PolicyTypes returns the directions in which a policy isolates the pods that it selects. By default that is ingress,
// and egress if it has egress rules.
func PolicyTypes(p *networkingv1.NetworkPolicy) []networkingv1.PolicyType {
	switch {
	case len(p.Spec.PolicyTypes) > 0:
		return p.Spec.PolicyTypes
	case len(p.Spec.Egress) > 0:
		return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	default:
		return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	}
}

func compileRule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) (rule, error) {
	var out rule
	for i := range peers {
		p, err := compilePeer(&peers[i])
		if err != nil {
			return out, fmt.Errorf("peer %d: %w", i, err)
		}
		out.peers = append(out.peers, p)
	}
	for i := range ports {
		p, err := compilePort(&ports[i])
		if err != nil {
			return out, fmt.Errorf("ports[%d]: %w", i, err)
		}
		out.ports = append(out.ports, p)
	}
	return out, nil
}

func compilePeer(p *networkingv1.NetworkPolicyPeer) (peer, error) {
	hasSelector := p.NamespaceSelector != nil || p.PodSelector != nil
	switch {
	case p.IPBlock == nil && !hasSelector:
		return peer{}, errors.New("is empty: write a podSelector, a namespaceSelector or an ipBlock")
	case p.IPBlock != nil && hasSelector:
		return peer{}, errors.New("has an ipBlock and a selector: write two peers")
	case p.IPBlock != nil:
		b, err := compileBlock(p.IPBlock)
		return peer{block: b}, err
	}
	var out peer
	var err error
	if p.NamespaceSelector != nil {
		s, err := compileSelector(p.NamespaceSelector)
		if err != nil {
			return peer{}, fmt.Errorf("namespaceSelector: %w", err)
		}
		out.namespaces = &s
	}
	if p.PodSelector != nil {
		if out.pods, err = compileSelector(p.PodSelector); err != nil {
			return peer{}, fmt.Errorf("podSelector: %w", err)
		}
	}
	return out, nil
}

func compileSelector(s *metav1.LabelSelector) (selector, error) {
	if len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0 {
		return selector{}, nil
	}
	compiled, err := metav1.LabelSelectorAsSelector(s)
	return selector{compiled}, err
}

func compileBlock(b *networkingv1.IPBlock) (*block, error) {
	cidr, err := parsePrefix(b.CIDR)
	if err != nil {
		return nil, fmt.Errorf("ipBlock.cidr: %w", err)
	}
	out := &block{cidr: cidr}
	for _, text := range b.Except {
		except, err := parsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("ipBlock.except: %w", err)
		}
		out.except = append(out.except, except)
	}
	return out, nil
}

// parsePrefix reads a range as API servers before 1.36 stored it too: with host bits, leading zeros, or IPv4-mapped.
func parsePrefix(text string) (netip.Prefix, error) {
	address, bits, _ := strings.Cut(text, "/")
	if octets := strings.Split(address, "."); len(octets) == 4 && !strings.Contains(address, ":") {
		for i, o := range octets {
			if n, err := strconv.ParseUint(o, 10, 8); err == nil { // decimal, as the API server reads it
				octets[i] = strconv.FormatUint(n, 10)
			}
		}
		address = strings.Join(octets, ".")
	}
	p, err := netip.ParsePrefix(address + "/" + bits)
	if err != nil {
		return p, fmt.Errorf("%q is no address range such as 10.0.0.0/8 or 2001:db8::/32", text)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

const lastPort = 65535

func compilePort(p *networkingv1.NetworkPolicyPort) (port, error) {
	out := port{protocol: corev1.ProtocolTCP, first: 1, last: lastPort}
	if p.Protocol != nil {
		out.protocol = *p.Protocol
	}
	switch {
	case p.Port == nil && p.EndPort != nil, p.Port != nil && p.Port.Type == intstr.String && p.EndPort != nil:
		return out, errors.New("endPort needs a numeric port")
	case p.Port == nil:
	case p.Port.Type == intstr.String:
		out.name = p.Port.StrVal
	default:
		out.first, out.last = p.Port.IntVal, p.Port.IntVal
		if p.EndPort != nil {
			out.last = *p.EndPort
		}
	}
	if out.name == "" && (out.first < 1 || out.last < out.first || out.last > lastPort) {
		return out, fmt.Errorf("%d to %d is no range of ports from 1 to %d", out.first, out.last, lastPort)
	}
	return out, nil
}

// Network by which the set reads an ipBlock.
func (s *Set) Network() Network { return s.network }
