// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// component is one row of the table that rendering, names, labels and docs follow.
type component struct {
	// name is the value of the component label, and the policy's name behind that of its baseline.
	name string
	// isolates marks the components that deny: the only ones rendered in a direction that is not denied by default.
	isolates bool
	// discovered marks the components whose peers come from facts alone.
	discovered bool
	// render returns the bodies that the spec asks for; none when the component is off.
	render func(*scope, *v1alpha1.NetworkBaselineSpec) []body
	// withheld reports for how many of its pods it is not rendered, because it would undo what a foreign policy restricts;
	// nil for never.
	withheld func(*scope, *v1alpha1.NetworkBaselineSpec) withholding
}

var components = []component{
	{name: "default-deny", isolates: true, render: defaultDeny},
	{name: "block-metadata", isolates: true, render: blockMetadata, withheld: (*scope).metadataWithheld},
	{name: "allow-dns", render: allowDNS},
	{name: "allow-ingress-controller", render: allowIngressController},
	{name: "allow-monitoring", render: allowMonitoring},
	{name: "allow-same-namespace", render: allowSameNamespace},
	{name: "allow-kube-api-server", discovered: true, render: allowKubeAPIServer},
	{name: "flow", render: allowFlows},
}

// nameOf is the name of the component that a body belongs to.
func (c component) nameOf(b body) string {
	if b.item == "" {
		return c.name
	}
	return c.name + "-" + b.item
}

// body is a policy without its name and labels. It has rules in one direction only: kube-router applies the egress
// rules of a policy of both types as ingress among its own pods, and the reverse.
type body struct {
	item        string // behind the component's name, where each item of a list is a component of its own
	suffix      string // behind both, where there are several policies
	description string
	spec        networkingv1.NetworkPolicySpec
	// egress are the grants that become the spec's egress rules, without what is blocked for its pods.
	egress []grant
}

// grant is egress to peers. A range of it that lies within what is blocked stays only where explicit says that it was
// asked for by address and port.
type grant struct {
	Allowance
	explicit bool
}

func defaultDeny(_ *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	if spec.Profile.DefaultDeny == nil {
		return nil
	}
	return []body{{
		description: "Denies whatever no other policy of this namespace allows.",
		spec:        networkingv1.NetworkPolicySpec{PolicyTypes: policyTypes(spec.Profile.DefaultDeny.Directions)},
	}}
}

// blockMetadata has two forms. Where egress is denied by default the addresses are denied already, and only the exemptions
// are policies. Elsewhere the block allows everything else, because a policy can only allow: every pod by selector
// (Cilium never matches pods by address) and every address but the blocked ones. Pods whose egress a foreign policy
// restricts are left out, because "everything else" would undo that restriction.
func blockMetadata(s *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	declared := spec.Profile.BlockMetadata
	if declared == nil {
		return nil
	}
	var bodies []body
	if !s.denied[networkingv1.PolicyTypeEgress] {
		grants := []grant{{Allowance: Allowance{Peers: []v1alpha1.Peer{
			{NamespaceSelector: &v1alpha1.LabelSelector{}, PodSelector: &v1alpha1.LabelSelector{}},
			{CIDR: v1alpha1.CIDR(everyIPv4.String())},
			{CIDR: v1alpha1.CIDR(everyIPv6.String())},
		}}}}
		for _, resolvers := range s.resolversInBlock() {
			grants = append(grants, grant{resolvers, true})
		}
		bodies = append(bodies, s.unrestricted(body{
			description: "Blocks egress to cloud metadata addresses, by allowing everything else.",
			spec:        egressSpec(declared.PodSelector, nil), egress: grants,
		})...)
	}
	for _, exemption := range declared.Exemptions {
		exempt := peerGroups([]v1alpha1.Peer{{CIDR: exemption.CIDR}}, nil, false)
		bodies = append(bodies, s.unrestricted(body{
			suffix:      "exempt-" + contentHash(exemption),
			description: "Lets the selected pods reach " + string(exemption.CIDR) + " although cloud metadata addresses are blocked.",
			spec:        egressSpec(&exemption.PodSelector, egressRules(exempt, exemption.Ports)),
		})...)
	}
	return bodies
}

func allowDNS(s *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	if spec.Profile.AllowDNS == nil {
		return nil
	}
	var grants []grant
	for _, resolvers := range s.resolvers(spec.Profile.AllowDNS) {
		grants = append(grants, grant{resolvers, true})
	}
	return []body{{
		description: "Allows every pod to resolve names through the cluster's DNS.",
		spec:        egressSpec(nil, nil), egress: grants,
	}}
}

func allowIngressController(_ *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	allow := spec.Profile.AllowIngressController
	if allow == nil {
		return nil
	}
	peers := append(presetPeers(ingressControllers, allow.Controllers), allow.From...)
	return []body{{
		description: "Allows the ingress controller to reach pods.",
		spec:        ingressSpec(allow.PodSelector, ingressFrom(Allowance{Peers: peers, Ports: allow.Ports})),
	}}
}

func allowMonitoring(_ *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	allow := spec.Profile.AllowMonitoring
	if allow == nil {
		return nil
	}
	peers := append(presetPeers(monitoringStacks, allow.Stacks), allow.From...)
	return []body{{
		description: "Allows the monitoring stack to scrape pods.",
		spec:        ingressSpec(allow.PodSelector, ingressFrom(Allowance{Peers: peers, Ports: allow.Ports})),
	}}
}

func allowSameNamespace(_ *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	if spec.Profile.AllowSameNamespace == nil {
		return nil
	}
	same := Allowance{Peers: []v1alpha1.Peer{{PodSelector: &v1alpha1.LabelSelector{}}}}
	var bodies []body
	for _, direction := range policyTypes(spec.Profile.AllowSameNamespace.Directions) {
		if direction == networkingv1.PolicyTypeIngress {
			bodies = append(bodies, body{
				suffix:      "ingress",
				description: "Allows pods to be reached from pods of the same namespace.",
				spec:        ingressSpec(nil, ingressFrom(same)),
			})
			continue
		}
		bodies = append(bodies, body{
			suffix:      "egress",
			description: "Allows pods to reach pods of the same namespace.",
			spec:        egressSpec(nil, nil), egress: []grant{{Allowance: same}},
		})
	}
	return bodies
}

// allowKubeAPIServer renders ClusterIPs and endpoints as rules of their own: some networks filter before the Service's
// address is translated, and most after.
func allowKubeAPIServer(s *scope, spec *v1alpha1.NetworkBaselineSpec) []body {
	allow := spec.Profile.AllowKubeAPIServer
	if allow == nil {
		return nil
	}
	var grants []grant
	for _, addresses := range s.facts.KubeAPIServer {
		grants = append(grants, grant{addresses, true})
	}
	return []body{{
		description: "Allows pods to reach the Kubernetes API.",
		spec:        egressSpec(allow.PodSelector, nil), egress: grants,
	}}
}

// presetPeers are the peers of the named presets, in the order of their names.
func presetPeers[N ~string](table map[N]preset, names []N) []v1alpha1.Peer {
	var peers []v1alpha1.Peer
	for _, name := range slices.Sorted(slices.Values(names)) {
		peers = append(peers, table[name].peers...)
	}
	return peers
}

// policyTypes are the directions in the API server's order; both when none is named.
func policyTypes(directions []v1alpha1.Direction) []networkingv1.PolicyType {
	var types []networkingv1.PolicyType
	for _, d := range []v1alpha1.Direction{v1alpha1.Ingress, v1alpha1.Egress} {
		if len(directions) == 0 || slices.Contains(directions, d) {
			types = append(types, networkingv1.PolicyType(d))
		}
	}
	return types
}

func ingressSpec(pods *v1alpha1.LabelSelector, rules []networkingv1.NetworkPolicyIngressRule) networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{
		PodSelector: pods.Meta(),
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		Ingress:     rules,
	}
}

func egressSpec(pods *v1alpha1.LabelSelector, rules []networkingv1.NetworkPolicyEgressRule) networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{
		PodSelector: pods.Meta(),
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress:      rules,
	}
}

// ruleCount is the number of rules of a spec.
func ruleCount(spec *networkingv1.NetworkPolicySpec) int { return len(spec.Ingress) + len(spec.Egress) }

// selectsAll says whether a selector is empty, and so selects every pod.
func selectsAll(s *metav1.LabelSelector) bool {
	return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}

// contentHash names a list item by what it says, so that the order of a list means nothing.
func contentHash(v any) string {
	// Marshalling plain API structs cannot fail, and maps are written in the order of their keys.
	data, _ := json.Marshal(v)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}
