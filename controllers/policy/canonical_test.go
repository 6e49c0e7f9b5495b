// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// TestRenderIsCanonical: whatever baselines say, what is rendered is what the API server would store, so that equality
// is the drift test; it keeps to the composition rules; and the order of the input means nothing.
func TestRenderIsCanonical(t *testing.T) {
	for seed := range uint64(2000) {
		if err := checkRender(randomBytes(seed, 96)); err != nil {
			t.Fatalf("seed %d: %v\nmade simpler: %v", seed, err, checkRender(simpler(randomBytes(seed, 96), checkRender)))
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(8) {
		f.Add(randomBytes(seed, 96))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkRender(data); err != nil {
			t.Fatal(err)
		}
	})
}

func checkRender(data []byte) error {
	choose := &choices{data}
	baselines := choose.baselines(nil)
	c := newCluster(network{})
	for _, p := range choose.foreign() {
		c.put(p)
	}
	told := describe(baselines)
	facts := *choose
	rendered := c.render(choose, baselines)
	if describe(baselines) != told {
		return fmt.Errorf("rendering changed its input:\n%s%s", told, describe(baselines))
	}
	reversed := slices.Clone(baselines)
	slices.Reverse(reversed)
	if again := c.render(&facts, reversed); !equality.Semantic.DeepEqual(rendered, again) {
		return fmt.Errorf("the order of the baselines matters:\n%s%s", told, compact([]*Rendered{rendered, again}))
	}
	if !slices.IsSortedFunc(rendered.Policies, func(a, b Policy) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Baseline, b.Baseline), 1)
	}) {
		return fmt.Errorf("names are not sorted, or not unique:\n%s", told)
	}
	denied := map[networkingv1.PolicyType]bool{}
	l := classify(c.state(nil, Facts{}), enforcing(baselines...))
	for _, d := range l.alsoDenied() {
		denied[d] = true
	}
	for _, p := range rendered.Policies {
		if p.Component == "default-deny" {
			for _, d := range p.Spec.PolicyTypes {
				denied[d] = true
			}
		}
	}
	for _, p := range rendered.Policies {
		if err := checkPolicy(&p, denied); err != nil {
			return fmt.Errorf("%s: %w\n%s\n%s", p.Name, err, told, compact(p.Spec))
		}
	}
	return nil
}

// render is what the operator would render here.
func (c *cluster) render(choose *choices, baselines []*v1alpha1.NetworkBaseline) *Rendered {
	contributions := enforcing(baselines...)
	s := c.state(nil, choose.facts())
	l := classify(s, contributions)
	return Render(s.input(contributions, &l))
}

func checkPolicy(p *Policy, denied map[networkingv1.PolicyType]bool) error {
	if problems := validation.IsDNS1123Subdomain(p.Name); len(problems) > 0 {
		return fmt.Errorf("name: %v", problems)
	}
	for k, v := range p.Labels {
		if problems := slices.Concat(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)); len(problems) > 0 {
			return fmt.Errorf("label %s: %v", k, problems)
		}
	}
	if p.Namespace != "" || len(p.OwnerReferences) != 1 || p.OwnerReferences[0].Name != p.Baseline || p.Labels["netbaseline.io/baseline"] != p.Baseline {
		return fmt.Errorf("metadata: %s", compact(p.ObjectMeta))
	}
	spec := &p.Spec
	types := spec.PolicyTypes
	rules := len(spec.Ingress) + len(spec.Egress)
	switch {
	case len(types) == 0 || len(types) == 2 && (types[0] != "Ingress" || types[1] != "Egress"):
		return fmt.Errorf("policyTypes %v", types)
	case len(types) == 2 && rules > 0:
		return errors.New("rules in a policy of both types, which kube-router mixes up")
	case len(spec.Ingress) > 0 && types[0] != "Ingress" || len(spec.Egress) > 0 && types[0] != "Egress":
		return errors.New("rules in a direction that is no policyType")
	case spec.Ingress != nil && len(spec.Ingress) == 0 || spec.Egress != nil && len(spec.Egress) == 0:
		return errors.New("empty rules that are not absent")
	case rules == 0 && p.Labels["netbaseline.io/component"] != "default-deny":
		return errors.New("no rules: it denies everything")
	case p.Component != "default-deny" && !denied[types[0]] && p.Component != "block-metadata":
		return errors.New("an allow where nothing is denied: it denies the rest")
	case denied["Egress"] && p.Component == "block-metadata" && !strings.Contains(p.Name, "-exempt-"):
		return errors.New("a block beside a deny reopens the world")
	}
	for _, r := range spec.Ingress {
		if err := checkRule(r.From, r.Ports); err != nil {
			return err
		}
	}
	for _, r := range spec.Egress {
		if err := checkRule(r.To, r.Ports); err != nil {
			return err
		}
	}
	return nil
}

func checkRule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) error {
	if len(peers) == 0 {
		return errors.New("a rule without peers is for everyone")
	}
	for _, p := range peers {
		if p.IPBlock == nil {
			if p.NamespaceSelector == nil && p.PodSelector == nil {
				return errors.New("a peer that says nothing")
			}
			continue
		}
		if len(peers) > 1 || p.NamespaceSelector != nil || p.PodSelector != nil {
			return errors.New("an ipBlock beside other peers: kube-router loses addresses")
		}
		if err := checkBlock(p.IPBlock); err != nil {
			return err
		}
	}
	for _, p := range ports {
		if p.Protocol == nil || *p.Protocol == "" || p.Port == nil {
			return fmt.Errorf("a port without what the API server would default: %s", compact(p))
		}
	}
	return nil
}

// checkBlock repeats what the API server validates (strict since 1.36): canonical, same family, strictly inside.
func checkBlock(b *networkingv1.IPBlock) error {
	cidr, err := netip.ParsePrefix(b.CIDR)
	if err != nil || cidr.Masked().String() != b.CIDR {
		return fmt.Errorf("cidr %s is not canonical: %s", b.CIDR, cidr.Masked())
	}
	for _, text := range b.Except {
		except, err := netip.ParsePrefix(text)
		if err != nil || except.Masked().String() != text {
			return fmt.Errorf("except %s is not canonical: %s", text, except.Masked())
		}
		if !cidr.Contains(except.Addr()) || except.Bits() <= cidr.Bits() {
			return fmt.Errorf("except %s is not strictly inside %s", text, b.CIDR)
		}
	}
	return nil
}
