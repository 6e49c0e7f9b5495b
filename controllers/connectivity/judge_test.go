// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The pods of the tests, by name.
var testPods = map[string]*Pod{
	"web": {Namespace: "shop", NamespaceLabels: NamespaceLabels("shop", map[string]string{"team": "a"}), Name: "web",
		Labels: map[string]string{"app": "web"}, Node: "node-1",
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
		Ports:     []NamedPort{{"http", "TCP", 8080}, {"dns", "UDP", 5353}}},
	"api": {Namespace: "shop", NamespaceLabels: NamespaceLabels("shop", map[string]string{"team": "a"}), Name: "api",
		Labels: map[string]string{"app": "api", "tier": ""}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")},
		Ports: []NamedPort{{"http", "TCP", 80}}},
	"db": {Namespace: "bank", NamespaceLabels: NamespaceLabels("bank", map[string]string{"team": "b"}), Name: "db",
		Labels: map[string]string{"app": "db"}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("fd00::2")}},
	"v6": {Namespace: "bank", NamespaceLabels: NamespaceLabels("bank", nil), Name: "v6",
		Labels: map[string]string{"app": "v6"}, Addresses: []netip.Addr{netip.MustParseAddr("fd00::3")}},
	"gone": {Namespace: "bank", NamespaceLabels: NamespaceLabels("bank", nil), Name: "gone", Labels: map[string]string{"app": "gone"}, UnknownPorts: true},
	"host": {Namespace: "bank", NamespaceLabels: NamespaceLabels("bank", nil), Name: "host", Labels: map[string]string{"app": "host"},
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}, HostNetwork: true, Node: "node-2"},
	"host1": {Namespace: "bank", NamespaceLabels: NamespaceLabels("bank", nil), Name: "host1", Labels: map[string]string{"app": "host"},
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}, HostNetwork: true, Node: "node-1"},
}

func endpoint(name string) Endpoint {
	if name == "node-1" || name == "node-2" {
		return Endpoint{Address: netip.MustParseAddr("192.168.0." + name[5:]), Node: name}
	}
	if p := testPods[name]; p != nil {
		return Endpoint{Pod: p}
	}
	if name == "somewhere" {
		return Endpoint{}
	}
	return Endpoint{Address: netip.MustParseAddr(name)}
}

// policies reads specs by namespace/name.
func policies(t testing.TB, specs map[string]string) []*networkingv1.NetworkPolicy {
	t.Helper()
	var out []*networkingv1.NetworkPolicy
	for name, text := range specs {
		namespace, called, _ := strings.Cut(name, "/")
		p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: called}}
		if err := yaml.UnmarshalStrict([]byte(text), &p.Spec); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestRules: each line is one policy of namespace shop in one direction and one connection.
func TestRules(t *testing.T) {
	const deny = "podSelector: {}, policyTypes: [Egress]"
	out := func(rules string) string { return "{" + deny + ", egress: " + rules + "}" }
	in := func(rules string) string {
		return "{podSelector: {}, policyTypes: [Ingress], ingress: " + rules + "}"
	}
	for _, tc := range []struct {
		name, policy, from, to string
		protocol               corev1.Protocol
		port                   int32
		want                   Outcome
	}{
		{"no rules", "{" + deny + "}", "web", "8.8.8.8", "TCP", 443, Denied},
		{"an empty list of rules", out("[]"), "web", "8.8.8.8", "TCP", 443, Denied},
		{"an empty rule", out("[{}]"), "web", "8.8.8.8", "TCP", 443, Allowed},
		{"the other direction", "{podSelector: {}, policyTypes: [Ingress]}", "web", "8.8.8.8", "TCP", 443, Allowed},
		{"policyTypes: ingress by default", "{podSelector: {}}", "8.8.8.8", "web", "TCP", 443, Denied},
		{"policyTypes: no egress by default", "{podSelector: {}}", "web", "8.8.8.8", "TCP", 443, Allowed},
		{"policyTypes: egress with egress rules", "{podSelector: {}, egress: [{ports: [{port: 1}]}]}", "web", "8.8.8.8", "TCP", 443, Denied},
		{"policyTypes: ingress with egress rules", "{podSelector: {}, egress: [{}]}", "8.8.8.8", "web", "TCP", 443, Denied},
		{"policyTypes: egress alone", "{podSelector: {}, policyTypes: [Egress], egress: [{}]}", "8.8.8.8", "web", "TCP", 443, Allowed},
		{"another pod is selected", "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress]}", "web", "8.8.8.8", "TCP", 443, Allowed},
		{"another namespace's policy", "{podSelector: {}, policyTypes: [Egress]}", "db", "8.8.8.8", "TCP", 443, Allowed},
		{"a podSelector is the own namespace", out("[{to: [{podSelector: {}}]}]"), "web", "api", "TCP", 80, Allowed},
		{"a podSelector is no other namespace", out("[{to: [{podSelector: {}}]}]"), "web", "db", "TCP", 80, Denied},
		{"an empty namespaceSelector", out("[{to: [{namespaceSelector: {}}]}]"), "web", "db", "TCP", 80, Allowed},
		{"an empty namespaceSelector is pods alone", out("[{to: [{namespaceSelector: {}}]}]"), "web", "8.8.8.8", "TCP", 80, Denied},
		{"namespaceSelector", out("[{to: [{namespaceSelector: {matchLabels: {team: b}}}]}]"), "web", "db", "TCP", 80, Allowed},
		{"namespaceSelector by name", out("[{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}}]}]"), "web", "db", "TCP", 80, Allowed},
		{"both selectors", out("[{to: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: db}}}]}]"), "web", "db", "TCP", 80, Allowed},
		{"both selectors, other pod", out("[{to: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: x}}}]}]"), "web", "db", "TCP", 80, Denied},
		{"two peers are either", out("[{to: [{podSelector: {matchLabels: {app: x}}}, {namespaceSelector: {}}]}]"), "web", "db", "TCP", 80, Allowed},
		{"an empty value needs the label", in("[{from: [{podSelector: {matchLabels: {tier: ''}}}]}]"), "api", "web", "TCP", 80, Allowed},
		{"an empty value without the label", out("[{to: [{podSelector: {matchLabels: {tier: ''}}}]}]"), "api", "web", "TCP", 80, Denied},
		{"NotIn without the label", in("[{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}]}]"), "v6", "web", "TCP", 80, Allowed},
		{"NotIn with the value", in("[{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [b]}]}}]}]"), "db", "web", "TCP", 80, Denied},
		{"protocol is TCP by default", out("[{ports: [{port: 53}]}]"), "web", "8.8.8.8", "UDP", 53, Denied},
		{"a protocol without port", out("[{ports: [{protocol: SCTP}]}]"), "web", "8.8.8.8", "SCTP", 9999, Allowed},
		{"SCTP is not TCP", out("[{ports: [{protocol: SCTP, port: 80}]}]"), "web", "8.8.8.8", "TCP", 80, Denied},
		{"first of a range", out("[{ports: [{port: 50, endPort: 60}]}]"), "web", "8.8.8.8", "TCP", 50, Allowed},
		{"last of a range", out("[{ports: [{port: 50, endPort: 60}]}]"), "web", "8.8.8.8", "TCP", 60, Allowed},
		{"after a range", out("[{ports: [{port: 50, endPort: 60}]}]"), "web", "8.8.8.8", "TCP", 61, Denied},
		{"a named port of the own pod", in("[{ports: [{port: http}]}]"), "8.8.8.8", "web", "TCP", 8080, Allowed},
		{"a named port, other number", in("[{ports: [{port: http}]}]"), "8.8.8.8", "web", "TCP", 80, Denied},
		{"a named port is that of the destination", out("[{ports: [{port: http}]}]"), "web", "api", "TCP", 80, Allowed},
		{"and not that of the source", out("[{ports: [{port: http}]}]"), "web", "api", "TCP", 8080, Denied},
		{"a named port with its protocol", in("[{ports: [{port: dns, protocol: UDP}]}]"), "8.8.8.8", "web", "UDP", 5353, Allowed},
		{"a named port of another protocol", in("[{ports: [{port: dns}]}]"), "8.8.8.8", "web", "TCP", 5353, Denied},
		{"an address has no named ports", out("[{ports: [{port: http}]}]"), "web", "8.8.8.8", "TCP", 80, Denied},
		{"named ports that are not known", out("[{ports: [{port: http}]}]"), "web", "gone", "TCP", 80, Undecided},
		{"ipBlock", out("[{to: [{ipBlock: {cidr: 8.0.0.0/8}}]}]"), "web", "8.8.8.8", "TCP", 80, Allowed},
		{"ipBlock with except", out("[{to: [{ipBlock: {cidr: 8.0.0.0/8, except: [8.8.0.0/16]}}]}]"), "web", "8.8.8.8", "TCP", 80, Denied},
		{"two ipBlocks, one with except", out("[{to: [{ipBlock: {cidr: 8.0.0.0/8, except: [8.8.0.0/16]}}, {ipBlock: {cidr: 8.8.8.0/24}}]}]"), "web", "8.8.8.8", "TCP", 80, Allowed},
		{"ipBlock of the other family", out("[{to: [{ipBlock: {cidr: '::/0'}}]}]"), "web", "8.8.8.8", "TCP", 80, Denied},
		{"ipBlock, IPv6", out("[{to: [{ipBlock: {cidr: '::/0'}}]}]"), "web", "2001:db8::1", "TCP", 80, Allowed},
		{"an IPv4-mapped address", out("[{to: [{ipBlock: {cidr: 8.0.0.0/8}}]}]"), "web", "::ffff:8.8.8.8", "TCP", 80, Allowed},
		{"host bits and leading zeros", out("[{to: [{ipBlock: {cidr: 008.8.8.9/8}}]}]"), "web", "8.1.1.1", "TCP", 80, Allowed},
		{"an IPv4-mapped range", out("[{to: [{ipBlock: {cidr: '::ffff:8.0.0.0/104'}}]}]"), "web", "8.1.1.1", "TCP", 80, Allowed},
		{"a dual-stack pod in one family", out("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"), "web", "db", "TCP", 80, Partly},
		{"in both families", out("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}, {to: [{ipBlock: {cidr: 'fd00::/8'}}]}]"), "web", "db", "TCP", 80, Allowed},
		{"only the common family counts", out("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"), "web", "api", "TCP", 80, Allowed},
		{"no common family", "{podSelector: {matchLabels: {app: x}}}", "api", "v6", "TCP", 80, Undecided},
		{"an address that is not known", out("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"), "web", "gone", "TCP", 80, Undecided},
		{"any address will do", out("[{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}]}]"), "web", "gone", "TCP", 80, Allowed},
		{"an unknown address, other port", out("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 81}]}]"), "web", "gone", "TCP", 80, Denied},
		{"an unknown address outside", out("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"), "web", "somewhere", "TCP", 80, Undecided},
		{"an unknown address outside is no pod", out("[{to: [{namespaceSelector: {}}]}]"), "web", "somewhere", "TCP", 80, Denied},
		{"an unknown address outside, everyone", out("[{}]"), "web", "somewhere", "TCP", 80, Allowed},
		{"to itself", "{podSelector: {}, policyTypes: [Ingress, Egress]}", "web", "web", "TCP", 80, Allowed},
		{"from its own node", "{podSelector: {}, policyTypes: [Ingress]}", "node-1", "web", "TCP", 80, Allowed},
		{"from another node", "{podSelector: {}, policyTypes: [Ingress]}", "node-2", "web", "TCP", 80, Denied},
		{"to its own node", "{" + deny + "}", "web", "node-1", "TCP", 80, Undecided},
		{"to its own node, by a rule", out("[{to: [{ipBlock: {cidr: 192.168.0.0/16}}]}]"), "web", "node-1", "TCP", 80, Allowed},
		{"from the host network, by a rule for its pod", in("[{from: [{namespaceSelector: {}}]}]"), "host", "web", "TCP", 80, Undecided},
		{"from the host network, by a rule for its address", in("[{from: [{ipBlock: {cidr: 192.168.0.0/16}}]}]"), "host", "web", "TCP", 80, Undecided},
		{"from the host network, no rule for it", in("[{from: [{podSelector: {}}]}]"), "host", "web", "TCP", 80, Denied},
		{"from the host network, everyone", in("[{}]"), "host", "web", "TCP", 80, Allowed},
		{"from the host network of its node", "{podSelector: {}}", "host1", "web", "TCP", 80, Undecided},
		{"from the host network of its node, by a rule", in("[{}]"), "host1", "web", "TCP", 80, Allowed},
		{"to the host network of its node", "{" + deny + "}", "web", "host1", "TCP", 80, Undecided},
		{"ICMP without policies", "{podSelector: {matchLabels: {app: x}}}", "web", "api", "ICMPv4", 0, Allowed},
		{"ICMP, isolated", out("[{}]"), "web", "api", "ICMPv4", 0, Undecided},
		{"ICMP, isolated without rules", "{" + deny + "}", "web", "api", "ICMPv4", 0, Undecided},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Compile(policies(t, map[string]string{"shop/policy": tc.policy}), ByAddress)
			if err != nil {
				t.Fatal(err)
			}
			v := s.Judge(&Connection{Source: endpoint(tc.from), Destination: endpoint(tc.to), Protocol: tc.protocol, Port: tc.port})
			if v.Outcome != tc.want {
				t.Errorf("%s, want %s\n%+v", v.Outcome, tc.want, v)
			}
			if (v.Outcome == Undecided) != (v.Unknown != 0) {
				t.Errorf("%s because of %q", v.Outcome, v.Unknown)
			}
		})
	}
}

// TestNetworks: an ipBlock matches pods and nodes by address, or never.
func TestNetworks(t *testing.T) {
	specs := map[string]string{"shop/policy": "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}]}]}"}
	for _, tc := range []struct {
		to   string
		want map[Network]Outcome
	}{
		{"db", map[Network]Outcome{ByAddress: Allowed, ByIdentity: Denied}},
		{"gone", map[Network]Outcome{ByAddress: Allowed, ByIdentity: Denied}},
		{"node-2", map[Network]Outcome{ByAddress: Allowed, ByIdentity: Denied}},
		{"host", map[Network]Outcome{ByAddress: Allowed, ByIdentity: Denied}},
		{"8.8.8.8", map[Network]Outcome{ByAddress: Allowed, ByIdentity: Allowed}},
	} {
		for network, want := range tc.want {
			s, err := Compile(policies(t, specs), network)
			if err != nil {
				t.Fatal(err)
			}
			v := s.Judge(&Connection{Source: endpoint("web"), Destination: endpoint(tc.to), Protocol: "TCP", Port: 80})
			if tc.to == "host" { // its own side is that of a pod on the host network, in a namespace without policies
				v.Outcome = v.Egress.Outcome
			}
			if v.Outcome != want {
				t.Errorf("to %s on %s: %s, want %s", tc.to, network, v.Outcome, want)
			}
		}
	}
}

// TestSides: who decides what at each side.
func TestSides(t *testing.T) {
	s, err := Compile(policies(t, map[string]string{
		"shop/deny":    "{podSelector: {}, policyTypes: [Ingress, Egress]}",
		"shop/a-dns":   "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}, {to: [{namespaceSelector: {}}], ports: [{port: 5432}]}]}",
		"shop/other":   "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: [{}]}",
		"bank/ingress": "{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}, {from: [{namespaceSelector: {}}], ports: [{port: 1}]}]}",
	}), ByAddress)
	if err != nil {
		t.Fatal(err)
	}
	v := s.Judge(&Connection{Source: endpoint("web"), Destination: endpoint("db"), Protocol: "TCP", Port: 5432})
	if v.Outcome != Denied || v.Egress.Outcome != Allowed || v.Ingress.Outcome != Denied {
		t.Fatalf("%s: egress %s, ingress %s", v.Outcome, v.Egress.Outcome, v.Ingress.Outcome)
	}
	if got := names(v.Egress.Selecting); !slices.Equal(got, []string{"a-dns", "deny"}) {
		t.Errorf("selecting: %v", got)
	}
	if a := v.Egress.Allowing; len(a) != 1 || a[0].Policy.Name != "a-dns" || a[0].Index != 1 || a[0].Families != both {
		t.Errorf("allowing: %+v", a)
	}
	if n := v.Ingress.Near; len(n) != 2 || n[0].Missing != Peers || n[0].Index != 0 || n[1].Missing != Ports || n[1].Index != 1 {
		t.Errorf("near misses: %+v", n)
	}
	if v := s.Judge(&Connection{Source: endpoint("db"), Destination: endpoint("8.8.8.8"), Protocol: "TCP", Port: 1}); v.Egress.Basis != NotIsolated || v.Ingress.Basis != NotAPod || v.Outcome != Allowed {
		t.Errorf("%+v", v)
	}
}

func names(all []*networkingv1.NetworkPolicy) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.Name)
	}
	return out
}

// TestHostNetworkSide: whether policies apply to a pod on the host network is not known, unless it makes no difference.
func TestHostNetworkSide(t *testing.T) {
	for _, tc := range []struct {
		policy string
		want   Outcome
	}{
		{"{podSelector: {matchLabels: {app: x}}}", Allowed},
		{"{podSelector: {}}", Undecided},
		{"{podSelector: {}, ingress: [{}]}", Allowed},
	} {
		s, err := Compile(policies(t, map[string]string{"bank/policy": tc.policy}), ByAddress)
		if err != nil {
			t.Fatal(err)
		}
		if v := s.Judge(&Connection{Source: endpoint("web"), Destination: endpoint("host"), Protocol: "TCP", Port: 1}); v.Outcome != tc.want {
			t.Errorf("%s: %s, want %s", tc.policy, v.Outcome, tc.want)
		}
	}
}

// TestCompileErrors: what an API server refuses is an error that says what to write instead.
func TestCompileErrors(t *testing.T) {
	for spec, want := range map[string]string{
		"{podSelector: {}, ingress: [{from: [{}]}]}":                                                                "spec.ingress[0]: peer 0: is empty: write",
		"{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}":                       "write two peers",
		"{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0}}]}]}":                                          `"10.0.0.0" is no address range`,
		"{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [x]}}]}]}":                           `ipBlock.except: "x" is no`,
		"{podSelector: {matchExpressions: [{key: a, operator: Is}]}}":                                               "spec.podSelector: ",
		"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: a, operator: Is}]}}]}]}": "namespaceSelector: ",
		"{podSelector: {}, ingress: [{ports: [{port: 70000}]}]}":                                                    "spec.ingress[0]: ports[0]: 70000 to 70000 is no range",
		"{podSelector: {}, ingress: [{ports: [{port: http, endPort: 8}]}]}":                                         "endPort needs a numeric port",
		"{podSelector: {}, policyTypes: [Sideways]}":                                                                "write Ingress or Egress",
	} {
		_, err := Compile(policies(t, map[string]string{"shop/bad": spec}), ByAddress)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "NetworkPolicy shop/bad: ") {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
}
