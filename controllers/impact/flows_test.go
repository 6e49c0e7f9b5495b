// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/suggest"
)

func cutGroup(from, to suggest.End, port int32) *Group {
	return &Group{Class: ClassCut, Protocol: "TCP", Port: port, Count: 1, Direction: "Egress and Ingress", from: from, to: to}
}

func pods(namespace, app string) suggest.End {
	return suggest.End{Namespace: namespace, Labels: map[string]string{"app": app}}
}

func address(text string) suggest.End { return suggest.End{Address: netip.MustParseAddr(text)} }

// TestFewest: what can be one flow is one, and what cannot without opening more is not.
func TestFewest(t *testing.T) {
	for _, tc := range []struct {
		name string
		cut  []*Group
		want int
	}{
		{"two ports", []*Group{cutGroup(pods("a", "x"), pods("b", "y"), 1), cutGroup(pods("a", "x"), pods("b", "y"), 2)}, 1},
		{"two sources", []*Group{cutGroup(pods("a", "x"), pods("b", "y"), 1), cutGroup(pods("a", "z"), pods("b", "y"), 1)}, 1},
		{"two sources on two ports", []*Group{cutGroup(pods("a", "x"), pods("b", "y"), 1), cutGroup(pods("a", "z"), pods("b", "y"), 2)}, 2},
		{"two namespaces", []*Group{cutGroup(pods("a", "x"), pods("b", "y"), 1), cutGroup(pods("c", "x"), pods("b", "y"), 1)}, 1},
		{"another pod in another namespace", []*Group{cutGroup(pods("a", "x"), pods("b", "y"), 1), cutGroup(pods("c", "z"), pods("b", "y"), 1)}, 2},
		{"all of two by two", []*Group{
			cutGroup(pods("a", "x"), pods("b", "y"), 1), cutGroup(pods("a", "z"), pods("b", "y"), 1),
			cutGroup(pods("c", "x"), pods("b", "y"), 1), cutGroup(pods("c", "z"), pods("b", "y"), 1),
		}, 1},
		{"neighboring addresses", []*Group{cutGroup(pods("a", "x"), address("10.0.0.4"), 1), cutGroup(pods("a", "x"), address("10.0.0.5"), 1)}, 1},
		{"addresses that are no range", []*Group{cutGroup(pods("a", "x"), address("10.0.0.5"), 1), cutGroup(pods("a", "x"), address("10.0.0.6"), 1)}, 2},
		{"all pods and some", []*Group{cutGroup(suggest.End{Namespace: "a"}, pods("b", "y"), 1), cutGroup(pods("a", "x"), pods("b", "y"), 1)}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			flows, uncovered := suggestFlows(tc.cut, func(string) []string { return []string{"production"} }, nil)
			if len(flows) != 1 || len(flows[0].Flows) != tc.want || len(uncovered) != 0 {
				text, _ := yaml.Marshal(flows)
				t.Errorf("want %d\n%s", tc.want, text)
			}
		})
	}
}

// TestUncovered: where no baseline governs the side that denies, or no peer can name the other end, there is no flow.
func TestUncovered(t *testing.T) {
	governing := func(namespace string) []string {
		return map[string][]string{"a": {"one", "two"}, "b": {"three"}}[namespace]
	}
	for name, tc := range map[string]struct {
		cut  *Group
		want []string
	}{
		"a baseline at each side": {cutGroup(pods("a", "x"), pods("b", "y"), 1), []string{"one", "three"}},
		"no baseline":             {cutGroup(pods("c", "x"), pods("b", "y"), 1), nil},
		"no peer":                 {cutGroup(suggest.End{}, pods("b", "y"), 1), nil},
		"ICMP":                    {&Group{Protocol: "ICMPv4", Direction: "Ingress", from: pods("a", "x"), to: pods("b", "y")}, nil},
	} {
		flows, uncovered := suggestFlows([]*Group{tc.cut}, governing, nil)
		var got []string
		for _, f := range flows {
			got = append(got, f.Baseline)
		}
		if !slices.Equal(got, tc.want) || (len(uncovered) == 0) != (len(tc.want) > 0) {
			t.Errorf("%s: %v, uncovered %d; want %v", name, got, len(uncovered), tc.want)
		}
	}
}

// TestFlowsAreExact: on random cuts, the flows stand for each connection that was cut, and for no other.
func TestFlowsAreExact(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	end := func() suggest.End {
		switch r.IntN(5) {
		case 0:
			return address(fmt.Sprintf("10.0.0.%d", r.IntN(6)))
		case 1:
			return suggest.End{Namespace: string(rune('a' + r.IntN(3)))}
		case 2:
			return suggest.End{Namespace: string(rune('a' + r.IntN(3))), Labels: map[string]string{"app": "x", "tier": string(rune('p' + r.IntN(2)))}}
		default:
			return pods(string(rune('a'+r.IntN(3))), string(rune('x'+r.IntN(3))))
		}
	}
	for range 300 {
		want := map[string]bool{}
		var cut []*Group
		for range r.IntN(60) {
			g := cutGroup(end(), end(), int32(1+r.IntN(4)))
			if g.from.Namespace == "" && g.to.Namespace == "" {
				continue
			}
			g.Direction = "Egress"
			if g.from.Namespace == "" {
				g.Direction = "Ingress"
			}
			cut = append(cut, g)
			want[fmt.Sprint(text(g.from), ">", text(g.to), ":", g.Port)] = true
		}
		flows, _ := suggestFlows(cut, func(string) []string { return []string{"production"} }, map[string][]string{"production": {"x-to-y", "a-to-b"}})
		got, names := map[string]bool{}, map[string]bool{"x-to-y": true, "a-to-b": true}
		for _, b := range flows {
			for _, f := range b.Flows {
				if names[f.Name] {
					t.Fatalf("seed %d: two flows are named %s", seed, f.Name)
				}
				names[f.Name] = true
				for _, from := range ends(&f.From) {
					for _, to := range ends(&f.To) {
						for _, port := range f.Ports {
							got[fmt.Sprint(from, ">", to, ":", port.Port.IntVal)] = true
						}
					}
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("seed %d: the flows are for\n%v\nand these were cut:\n%v", seed, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

func text(e suggest.End) string {
	if e.Namespace == "" {
		return e.Address.String()
	}
	return e.Namespace + fmt.Sprint(e.Labels)
}

// ends are those that a peer of a suggested flow stands for.
func ends(p *v1alpha1.Peer) []string {
	var out []string
	if p.CIDR != "" {
		prefix := netip.MustParsePrefix(string(p.CIDR))
		for a := prefix.Addr(); prefix.Contains(a); a = a.Next() {
			out = append(out, a.String())
		}
		return out
	}
	for _, namespace := range values(p.NamespaceSelector, corev1.LabelMetadataName) {
		if p.PodSelector == nil {
			out = append(out, namespace+"map[]")
			continue
		}
		if len(p.PodSelector.MatchLabels) > 1 {
			out = append(out, namespace+fmt.Sprint(p.PodSelector.MatchLabels))
			continue
		}
		for _, app := range values(p.PodSelector, "app") {
			out = append(out, fmt.Sprintf("%smap[app:%s]", namespace, app))
		}
	}
	return out
}

func values(s *v1alpha1.LabelSelector, key string) []string {
	var out []string
	if v, found := s.MatchLabels[key]; found {
		out = append(out, string(v))
	}
	for _, r := range s.MatchExpressions {
		for _, v := range r.Values {
			out = append(out, string(v))
		}
	}
	return out
}
