// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package connectivity

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// FuzzJudge: whatever compiles is judged without a panic, and the verdict agrees with itself.
func FuzzJudge(f *testing.F) {
	f.Add("{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16]}}], ports: [{port: http}]}]}", "TCP", int32(80))
	f.Add("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 50, endPort: 60, protocol: SCTP}]}]}", "SCTP", int32(55))
	f.Add("{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}, policyTypes: [Ingress, Egress]}", "ICMPv4", int32(0))
	f.Fuzz(func(t *testing.T, spec, protocol string, port int32) {
		p := &networkingv1.NetworkPolicy{}
		p.Namespace, p.Name = "shop", "fuzz"
		if yaml.Unmarshal([]byte(spec), &p.Spec) != nil {
			return
		}
		for _, network := range []Network{ByAddress, ByIdentity} {
			s, err := Compile([]*networkingv1.NetworkPolicy{p}, network)
			if err != nil {
				continue
			}
			for _, from := range []string{"web", "gone", "host", "node-1", "8.8.8.8", "v6"} {
				for _, to := range []string{"web", "api", "gone", "host", "node-1", "8.8.8.8", "2001:db8::1"} {
					c := &Connection{Source: endpoint(from), Destination: endpoint(to), Protocol: corev1.Protocol(protocol), Port: port}
					consistent(t, c, s.Judge(c))
				}
			}
		}
	})
}

// consistent fails where a verdict contradicts itself.
func consistent(t *testing.T, c *Connection, v Verdict) {
	t.Helper()
	wrong := func(what string) { t.Errorf("%s: %+v\nof %+v", what, v, c) }
	if (v.Outcome == Undecided) != (v.Unknown != 0) {
		wrong("undecided without a reason, or a reason without need")
	}
	if v.Allowed&^v.Families != 0 || v.Allowed != v.Egress.Allowed&v.Ingress.Allowed {
		wrong("a family is allowed that a side denies or that is not possible, or is not allowed although both sides allow it")
	}
	if v.Outcome == Allowed && (v.Egress.Outcome != Allowed || v.Ingress.Outcome != Allowed) {
		wrong("allowed, but not at each side")
	}
	for _, s := range []*Side{&v.Egress, &v.Ingress} {
		if s.Allowed&s.Possible != 0 {
			wrong("a family is both allowed and possible")
		}
		if s.Isolated != (len(s.Selecting) > 0) || s.Isolated != (s.Basis == Policies) {
			wrong("isolated without a policy, or the other way round")
		}
		if s.Isolated && (s.Allowed != 0) != (len(s.Allowing) > 0) {
			wrong("allowed without a rule, or the other way round")
		}
	}
}
