// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"net"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
)

// The checks.
const (
	ingress  = "Ingress"
	egress   = "Egress"
	metadata = "Metadata"
)

// The servers: each check has a target of its own, so that no policy of one check touches another's.
const (
	ingressTarget  = "ingress-target"
	egressTarget   = "egress-target"
	metadataTarget = "metadata-target"
	metadataServer = "169.254.169.254:80"
)

// plan is a check: control, policy, poll, control again.
type plan struct {
	name string
	// role of the probe that is denied, and its target.
	role, target string
	policy       *networkingv1.NetworkPolicy
	// The control at the end: a role that the policy allows to reach allowedTarget.
	allowedRole, allowedTarget string
	// noControl explains a first control that fails.
	noControl string
}

// plans are the checks, for the addresses of the servers.
func plans(addresses map[string]string) []plan {
	at := func(server string) string { return net.JoinHostPort(addresses[server], strconv.Itoa(port)) }
	const broken = "two pods of one namespace cannot connect without a policy of this run: does a policy, or a baseline that selects every namespace, deny it, or is the network broken?"
	return []plan{
		{
			name: ingress, role: "ingress-denied", target: at(ingressTarget), noControl: broken,
			policy: policy("ingress", ingressTarget, networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
				Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peer("ingress-allowed")}},
			}),
			allowedRole: "ingress-allowed", allowedTarget: at(ingressTarget),
		},
		{
			name: egress, role: "egress", target: at(egressTarget), noControl: broken,
			policy: policy("egress", "egress", networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
				Egress:      []networkingv1.NetworkPolicyEgressRule{{To: peer(metadataTarget)}},
			}),
			allowedRole: "egress", allowedTarget: at(metadataTarget),
		},
		{
			name: metadata, role: "metadata", target: metadataServer,
			noControl: "no metadata service answers at " + metadataServer + ", so there is nothing to block",
			policy: policy("metadata", "metadata", networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
				Egress: []networkingv1.NetworkPolicyEgressRule{{To: append(peer(metadataTarget), networkingv1.NetworkPolicyPeer{
					IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"169.254.0.0/16"}},
				})}},
			}),
			allowedRole: "metadata", allowedTarget: at(metadataTarget),
		},
	}
}

// check runs one check. Whatever keeps it from an answer makes it inconclusive, with the reason.
func (r *run) check(ctx context.Context, p plan) Check {
	verdict, reason := r.prove(ctx, p)
	r.say("%s: %s: %s", p.name, verdict, reason)
	return Check{p.name, verdict, reason}
}

func (r *run) prove(ctx context.Context, p plan) (Verdict, string) {
	prefix := p.policy.Name
	r.say("%s: control: a connection to %s has to succeed", p.name, p.target)
	control, err := r.ask(ctx, once(prefix+"-control", p.role, r.image, p.target))
	if err != nil {
		return Inconclusive, err.Error()
	}
	if !control.connected {
		return Inconclusive, fmt.Sprintf("%s (%s)", p.noControl, control)
	}
	if err := r.apply(ctx, p.policy); err != nil {
		return Inconclusive, err.Error()
	}
	r.say("%s: a policy denies it: polling for up to %s until it is denied", p.name, r.timeout)
	denied, err := r.ask(ctx, untilDenied(prefix+"-denied", p.role, r.image, p.target, r.timeout))
	if err != nil {
		return Inconclusive, err.Error()
	}
	if denied.connected {
		return NotEnforced, fmt.Sprintf("a connection to %s, which a NetworkPolicy denies, still succeeds after %s", p.target, r.timeout)
	}
	r.say("%s: denied (%s); control: an allowed connection has to succeed", p.name, denied)
	again, err := r.ask(ctx, once(prefix+"-allowed", p.allowedRole, r.image, p.allowedTarget))
	if err != nil {
		return Inconclusive, err.Error()
	}
	if !again.connected {
		return Inconclusive, fmt.Sprintf("a connection to %s, which the same NetworkPolicy allows, fails too (%s)", p.allowedTarget, again)
	}
	return Enforced, fmt.Sprintf("a connection to %s is denied (%s), and an allowed one to %s succeeds", p.target, denied, p.allowedTarget)
}
