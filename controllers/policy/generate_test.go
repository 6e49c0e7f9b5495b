// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// choices makes a case out of bytes, so that a fuzzer can vary it and a failing one can be made smaller. Where the
// bytes end, every choice is 0, which always stands for the simplest.
type choices struct{ data []byte }

func (c *choices) below(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

// oneIn is true once in n times.
func (c *choices) oneIn(n int) bool { return c.below(n) == n-1 }

func pick[T any](c *choices, from ...T) T { return from[c.below(len(from))] }

// some is a part of the list, in its order; empty is the simplest.
func some[T any](c *choices, from ...T) []T {
	mask := c.below(1 << len(from))
	var out []T
	for i, v := range from {
		if mask&(1<<i) != 0 {
			out = append(out, v)
		}
	}
	return out
}

func (c *choices) podSelector() *v1alpha1.LabelSelector {
	return pick(c, nil, nil, labelled("app", "web"), labelled("app", "db"), labelled("tier", "none"), &v1alpha1.LabelSelector{},
		&v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{{Key: "app", Operator: "NotIn", Values: []v1alpha1.LabelValue{"db"}}}})
}

func (c *choices) peers() []v1alpha1.Peer {
	return some(c,
		v1alpha1.Peer{NamespaceSelector: namespaceNamed("monitoring")},
		v1alpha1.Peer{PodSelector: labelled("app", "web")},
		v1alpha1.Peer{CIDR: "10.0.0.0/8", Except: []v1alpha1.CIDR{"10.244.0.0/16"}},
		v1alpha1.Peer{CIDR: "8.8.8.0/24"},
	)
}

func (c *choices) ports() []v1alpha1.Port {
	end := int32(443)
	return some(c,
		v1alpha1.Port{Port: intstr.FromInt32(8080)},
		v1alpha1.Port{Port: intstr.FromString("http")},
		v1alpha1.Port{Port: intstr.FromInt32(80), EndPort: &end},
	)
}

func (c *choices) directions() []v1alpha1.Direction {
	return pick(c, nil, nil, []v1alpha1.Direction{v1alpha1.Ingress}, []v1alpha1.Direction{v1alpha1.Egress},
		[]v1alpha1.Direction{v1alpha1.Egress, v1alpha1.Ingress})
}

// spec is any that the API server would accept, as far as rendering reads it.
func (c *choices) spec() v1alpha1.NetworkBaselineSpec {
	spec := v1alpha1.NetworkBaselineSpec{Profile: c.profile(), Flows: c.flows()}
	if compact(spec.Profile) == "{}" && len(spec.Flows) == 0 {
		spec.Profile.DefaultDeny = &v1alpha1.DefaultDeny{}
	}
	return spec
}

func (c *choices) profile() v1alpha1.Profile {
	var p v1alpha1.Profile
	on := c.below(128)
	if on&1 != 0 || c.oneIn(2) {
		p.DefaultDeny = &v1alpha1.DefaultDeny{Directions: c.directions()}
	}
	if on&2 != 0 {
		p.AllowDNS = &v1alpha1.AllowDNS{
			Resolvers: pick(c, nil, nil,
				[]v1alpha1.Peer{{CIDR: "169.254.20.10/32"}, {NamespaceSelector: namespaceNamed("kube-system")}},
				[]v1alpha1.Peer{{CIDR: "0.0.0.0/0"}}),
			Ports: pick(c, nil, nil, []v1alpha1.Port{{Protocol: "UDP", Port: intstr.FromInt32(5353)}}),
		}
	}
	if on&4 != 0 {
		p.BlockMetadata = c.block()
	}
	if on&8 != 0 {
		p.AllowIngressController = &v1alpha1.AllowIngressController{
			Controllers: some(c, v1alpha1.IngressNginx, v1alpha1.GKELoadBalancer), From: c.peers(),
			PodSelector: c.podSelector(), Ports: c.ports(),
		}
		if len(p.AllowIngressController.Controllers)+len(p.AllowIngressController.From) == 0 {
			p.AllowIngressController.Controllers = []v1alpha1.IngressController{v1alpha1.IngressNginx}
		}
	}
	if on&16 != 0 {
		p.AllowMonitoring = &v1alpha1.AllowMonitoring{
			Stacks: some(c, v1alpha1.Prometheus), From: c.peers(), PodSelector: c.podSelector(), Ports: c.ports(),
		}
		if len(p.AllowMonitoring.Stacks)+len(p.AllowMonitoring.From) == 0 {
			p.AllowMonitoring.Stacks = []v1alpha1.MonitoringStack{v1alpha1.Prometheus}
		}
	}
	if on&32 != 0 {
		p.AllowSameNamespace = &v1alpha1.AllowSameNamespace{Directions: c.directions()}
	}
	if on&64 != 0 {
		p.AllowKubeAPIServer = &v1alpha1.AllowKubeAPIServer{PodSelector: c.podSelector()}
	}
	return p
}

func (c *choices) flows() []v1alpha1.Flow {
	everywhere := &v1alpha1.LabelSelector{}
	out := some(c,
		v1alpha1.Flow{Name: "web-to-db", From: v1alpha1.Peer{PodSelector: labelled("app", "web")}, To: v1alpha1.Peer{PodSelector: labelled("app", "db")}},
		v1alpha1.Flow{
			Name: "scrape", From: v1alpha1.Peer{NamespaceSelector: namespaceNamed("monitoring"), PodSelector: everywhere},
			To: v1alpha1.Peer{NamespaceSelector: everywhere, PodSelector: c.podSelector()},
		},
		v1alpha1.Flow{Name: "api", From: v1alpha1.Peer{PodSelector: everywhere}, To: v1alpha1.Peer{CIDR: pick[v1alpha1.CIDR](c, "8.8.8.0/24", "0.0.0.0/0", "169.254.169.254/32")}},
	)
	for i := range out {
		out[i].Ports = c.ports()
	}
	return out
}

func (c *choices) block() *v1alpha1.BlockMetadata {
	block := &v1alpha1.BlockMetadata{
		PodSelector:     c.podSelector(),
		AdditionalCIDRs: some(c, v1alpha1.CIDR("10.1.0.0/16"), "8.8.8.8/32", "0.0.0.0/1", "128.0.0.0/1"),
	}
	if block.PodSelector != nil {
		return block // the schema refuses exemptions beside it
	}
	block.Exemptions = some(c,
		v1alpha1.MetadataExemption{PodSelector: *labelled("app", "web"), CIDR: "169.254.170.23/32", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(80)}}},
		v1alpha1.MetadataExemption{PodSelector: *labelled("app", "db"), CIDR: "10.1.2.3/32", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(443)}}},
		v1alpha1.MetadataExemption{CIDR: "169.254.169.254/32", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(8080)}}},
	)
	return block
}

// baselines are none, one or two. What a second choice changes of them, it changes by name.
func (c *choices) baselines(previous []*v1alpha1.NetworkBaseline) []*v1alpha1.NetworkBaseline {
	var out []*v1alpha1.NetworkBaseline
	for _, name := range pick(c, []string{"a"}, nil, []string{"b"}, []string{"a", "b"}, []string{"a", "b"}) {
		i := slices.IndexFunc(previous, func(b *v1alpha1.NetworkBaseline) bool { return b.Name == name })
		if i >= 0 && c.oneIn(3) {
			out = append(out, previous[i])
			continue
		}
		out = append(out, newBaseline(name, c.spec()))
	}
	return out
}

func newBaseline(name string, spec v1alpha1.NetworkBaselineSpec) *v1alpha1.NetworkBaseline {
	return &v1alpha1.NetworkBaseline{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
		Spec:       spec,
	}
}

// foreign is at most one policy of somebody else, perhaps under a name of ours.
func (c *choices) foreign() []*networkingv1.NetworkPolicy {
	if !c.oneIn(4) {
		return nil
	}
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Name: pick(c, "theirs", "a-default-deny", "a-allow-dns", "b-default-deny", "a-block-metadata", "a-allow-monitoring", "b-allow-same-namespace-egress"),
		UID:  foreignUID,
	}}
	if c.oneIn(4) {
		// Left by a baseline that is in audit mode: it denies, and nobody maintains it.
		p.Name, p.Labels = "c-default-deny", map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue, v1alpha1.BaselineLabel: "c"}
		p.Spec.PolicyTypes = pick(c, directions, directions[:1], directions[1:])
		return []*networkingv1.NetworkPolicy{p}
	}
	selector := c.podSelector()
	p.Spec.PodSelector = selector.Meta()
	p.Spec.PolicyTypes = pick(c, directions, directions[:1], directions[1:])
	if c.oneIn(2) {
		p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: policyPorts(c.ports())}}
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: policyPorts(c.ports())}}
	}
	return []*networkingv1.NetworkPolicy{p}
}

// tamper changes a policy as somebody might. It returns nil for a deletion.
func (c *choices) tamper(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	p = p.DeepCopy()
	switch c.below(9) {
	case 0:
		return nil
	case 1:
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
		p.Spec.PolicyTypes = directions
	case 2:
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	case 3:
		p.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": pick(c, "web", "db", "none")}}
	case 4:
		p.Spec.PodSelector = metav1.LabelSelector{}
	case 5:
		p.Spec.PolicyTypes = pick(c, directions[:1], directions[1:])
	case 6:
		p.Spec.Egress, p.Spec.Ingress = nil, nil
	case 7:
		p.Labels, p.OwnerReferences = nil, nil
	case 8:
		p.DeletionTimestamp, p.Finalizers = &metav1.Time{}, []string{"example.com/hold"}
	}
	return p
}
