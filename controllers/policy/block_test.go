// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"
	"testing"

	"go4.org/netipx"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func podsWith(key, value string) pods {
	return podsOf(&metav1.LabelSelector{MatchLabels: map[string]string{key: value}})
}

func rangesIn(t *testing.T, cidrs ...string) *netipx.IPSet {
	t.Helper()
	var b netipx.IPSetBuilder
	for _, c := range cidrs {
		b.AddPrefix(netip.MustParsePrefix(c))
	}
	return ipSet(&b)
}

// TestParts asks for each pod of each part what is cut.
func TestParts(t *testing.T) {
	web, front := podsWith("app", "web"), podsWith("tier", "front")
	in := func(p pods, cidrs ...string) block { return block{p, rangesIn(t, cidrs...)} }
	for _, tc := range []struct {
		name   string
		blocks []block
		pods   pods
		parts  int
	}{
		{"no block", nil, nil, 1},
		{"of all pods", []block{in(nil, "169.254.0.0/16")}, nil, 1},
		{"of all pods, twice", []block{in(nil, "169.254.0.0/16"), in(nil, "10.1.0.0/16")}, nil, 1},
		{"of some pods", []block{in(web, "169.254.0.0/16")}, nil, 2},
		{"of the pods", []block{in(web, "169.254.0.0/16")}, web, 1},
		{"of other pods", []block{in(podsWith("app", "db"), "169.254.0.0/16")}, web, 1},
		{"of some pods, and all of it is blocked for all", []block{in(nil, "169.254.0.0/16"), in(web, "169.254.169.254/32")}, nil, 1},
		{"of some pods, where nothing of it is allowed", []block{in(web, "192.168.0.0/16")}, nil, 1},
		{"of some pods, and more of it", []block{in(nil, "169.254.0.0/16"), in(web, "169.254.0.0/16", "10.1.0.0/16")}, nil, 2},
		{"of pods that overlap", []block{in(web, "10.1.0.0/16"), in(front, "10.2.0.0/16")}, nil, 4},
	} {
		s := scope{blocks: tc.blocks}
		allowed := rangesIn(t, "0.0.0.0/1", "128.0.0.0/2", "10.0.0.0/8") // without 192.168.0.0/16
		parts := s.parts(tc.pods, allowed)
		if len(parts) != tc.parts {
			t.Errorf("%s: %d parts, want %d: %v", tc.name, len(parts), tc.parts, parts)
		}
		for _, labels := range []map[string]string{nil, {"app": "web"}, {"app": "db"}, {"tier": "front"}, {"app": "web", "tier": "front"}} {
			selector := tc.pods.selector()
			if !matches(&selector, labels) {
				continue
			}
			inside := 0
			for _, part := range parts {
				selector := part.pods.selector()
				if !matches(&selector, labels) {
					continue
				}
				inside++
				for _, address := range []string{"169.254.169.254", "169.254.1.1", "10.1.0.1", "10.2.0.1", "8.8.8.8"} {
					a := netip.MustParseAddr(address)
					got := slices.ContainsFunc(part.cut, func(p netip.Prefix) bool { return p.Contains(a) })
					want := slices.ContainsFunc(tc.blocks, func(b block) bool {
						selector := b.pods.selector()
						return matches(&selector, labels) && b.ranges.Contains(a)
					})
					if got != want {
						t.Errorf("%s: %s is cut out for %v: %t, want %t", tc.name, address, labels, got, want)
					}
				}
			}
			if inside == 0 {
				t.Errorf("%s: pods with %v are in no part", tc.name, labels)
			}
		}
	}
}

// Beyond the bound more pods are blocked than asked for, and none fewer.
func TestPartsBeyondTheBound(t *testing.T) {
	var s scope
	for _, k := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{k + "1": "x", k + "2": "x", k + "3": "x"}}
		s.blocks = append(s.blocks, block{podsOf(selector), rangesIn(t, "10."+string(k[0]-'a'+'1')+".0.0/16")})
	}
	parts := s.parts(nil, rangesIn(t, "0.0.0.0/0"))
	if len(parts) > 64 {
		t.Errorf("%d parts: each is a policy", len(parts))
	}
	all := map[string]string{}
	for _, k := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		for _, n := range []string{"1", "2", "3"} {
			all[k+n] = "x"
		}
	}
	for _, labels := range []map[string]string{nil, all, {"a1": "x", "a2": "x", "a3": "x"}, {"h1": "x", "h2": "x", "h3": "x"}} {
		inside := 0
		for _, part := range parts {
			selector := part.pods.selector()
			if !matches(&selector, labels) {
				continue
			}
			inside++
			for _, b := range s.blocks {
				selector := b.pods.selector()
				range1 := b.ranges.Prefixes()[0]
				if matches(&selector, labels) && !slices.ContainsFunc(part.cut, func(p netip.Prefix) bool { return p.Contains(range1.Addr()) }) {
					t.Fatalf("%s is not cut out for %v", range1, labels)
				}
			}
		}
		if inside == 0 {
			t.Fatalf("pods with %v are in no part: they lose what they are allowed", labels)
		}
	}
}

// Blocks of the same pods are one, and those of baselines that are not in force are none.
func TestBlocksOf(t *testing.T) {
	web := `profile: {blockMetadata: {podSelector: {matchLabels: {app: web}}, additionalCIDRs: [10.1.0.0/16]}}`
	in := func(name, spec string, phase Phase) Contribution {
		b := everywhere(t, name, spec)
		return Contribution{Baseline: b, Phase: phase, Revision: b.Update}
	}
	gone := in("g", web, Leaving)
	gone.Revision = nil
	for _, tc := range []struct {
		name          string
		contributions []Contribution
		want          int
	}{
		{"none", []Contribution{in("a", denying, Enforcing)}, 0},
		{"of one that is not in force", []Contribution{gone}, 0},
		{"enforced, audited, retained, of the same pods", []Contribution{in("a", blocking, Enforcing), in("b", blocking, Auditing), in("c", blocking, Retained)}, 1},
		{"of other pods", []Contribution{in("a", blocking, Enforcing), in("b", web, Auditing)}, 2},
	} {
		got := blocksOf(tc.contributions)
		if len(got) != tc.want {
			t.Errorf("%s: %d blocks, want %d", tc.name, len(got), tc.want)
		}
		for _, b := range got {
			if !b.ranges.Contains(netip.MustParseAddr("169.254.169.254")) {
				t.Errorf("%s: the block does not hold the metadata address", tc.name)
			}
		}
	}
	both := blocksOf([]Contribution{in("a", blocking, Enforcing), in("b", `profile: {blockMetadata: {additionalCIDRs: [10.1.2.3/16]}}`, Auditing)})
	if len(both) != 1 || !both[0].ranges.Contains(netip.MustParseAddr("10.1.255.255")) {
		t.Errorf("the ranges of two blocks of all pods do not add up: %v", both)
	}
}
