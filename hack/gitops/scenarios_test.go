// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	networkingv1 "k8s.io/api/networking/v1"
)

// scenario is a situation of a baseline of that name, and what the tools are to make of what the operator says of it.
// What Argo CD is to make of it is in health_test.yaml.
type scenario struct {
	name string
	// spec is YAML, beside a selector of the scenario's own namespaces.
	spec string
	// before happens before the baseline is created, after once it is.
	before, after func(*stage)
	// says is "<condition>=<status>/<reason>" of what the operator says in the end. When it is empty, what counts is the
	// API server's answer to the last request, which the operator cannot have seen yet.
	says string
	// kstatus is what kubectl-like waiting goes by, flux what its health expressions make of it.
	kstatus, flux status.Status
}

const plain = "{profile: {defaultDeny: {}, allowDNS: {}}}"

var scenarios = []scenario{
	{name: "starting", spec: plain, kstatus: status.InProgressStatus, flux: status.InProgressStatus},
	{
		name: "edited", spec: plain,
		after: func(s *stage) {
			s.awaits("Ready=True/NoNamespacesSelected")
			s.patch(`{"spec": {"profile": {"allowSameNamespace": {}}}}`)
		},
		kstatus: status.InProgressStatus, flux: status.InProgressStatus,
	},
	{
		name: "converging", spec: plain,
		before: func(s *stage) { s.namespace("converging-1"); s.holdable("converging-2") },
		after: func(s *stage) {
			s.awaits("Ready=True/InSync")
			s.hold("converging-2")
			s.patch(`{"spec": {"profile": {"allowSameNamespace": {}}}}`)
		},
		says: "Ready=Unknown/Converging", kstatus: status.InProgressStatus, flux: status.InProgressStatus,
	},
	{
		name: "ready", spec: plain, before: func(s *stage) { s.namespace("ready-1"); s.namespace("ready-2") },
		says: "Ready=True/InSync", kstatus: status.CurrentStatus, flux: status.CurrentStatus,
	},
	{
		name: "no-namespaces", spec: plain,
		says: "Ready=True/NoNamespacesSelected", kstatus: status.CurrentStatus, flux: status.CurrentStatus,
	},
	{
		name: "not-effective", spec: plain,
		before: func(s *stage) {
			s.foreign(s.namespace("not-effective-1"), "open-wide", networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}})
		},
		says: "Effective=False/OpenToEveryone", kstatus: status.CurrentStatus, flux: status.CurrentStatus,
	},
	{
		name: "audit", spec: "{mode: Audit, profile: {defaultDeny: {}, allowDNS: {}}}",
		before: func(s *stage) { s.namespace("audit-1") },
		// kstatus has no word for it; Flux' expressions do.
		says: "Ready=Unknown/Audit", kstatus: status.InProgressStatus, flux: status.CurrentStatus,
	},
	{
		name: "preflight", spec: "{profile: {defaultDeny: {}, allowIngressController: {controllers: [Traefik]}}}",
		before: func(s *stage) { s.namespace("preflight-1") },
		says:   "Ready=False/PreflightFailed", kstatus: status.InProgressStatus, flux: status.InProgressStatus,
	},
	{
		// The policy gets another name, so that nothing is missing.
		name: "name-taken", spec: plain,
		before: func(s *stage) {
			s.foreign(s.namespace("name-taken-1"), "name-taken-allow-dns", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}})
		},
		says: "Ready=True/InSync", kstatus: status.CurrentStatus, flux: status.CurrentStatus,
	},
	{
		name: "waiting-for-baseline", spec: plain,
		before: func(s *stage) {
			s.namespace("waiting-for-baseline-1")
			s.other("without-traefik", "{profile: {defaultDeny: {}, allowIngressController: {controllers: [Traefik]}}}")
		},
		says: "Ready=Unknown/WaitingForBaseline", kstatus: status.InProgressStatus, flux: status.InProgressStatus,
	},
	{
		name: "write-altered", spec: plain, before: func(s *stage) { s.altered("write-altered-1") },
		says: "Ready=False/WriteAltered", kstatus: status.InProgressStatus, flux: status.FailedStatus,
	},
	{
		name: "refused", spec: plain, before: func(s *stage) { s.quota(s.namespace("refused-1"), "1") },
		says: "Ready=False/WriteRefused", kstatus: status.InProgressStatus, flux: status.FailedStatus,
	},
	{
		name:   "stalled",
		spec:   "{profile: {defaultDeny: {}, blockMetadata: {}}, flows: [{name: metadata, from: {podSelector: {}}, to: {cidr: 169.254.169.254/32}}]}",
		before: func(s *stage) { s.namespace("stalled-1") },
		says:   "Stalled=True/InvalidSpec", kstatus: status.FailedStatus, flux: status.FailedStatus,
	},
	{
		name: "deleting", spec: plain, before: func(s *stage) { s.holdable("deleting-1") },
		after: func(s *stage) {
			s.awaits("Ready=True/InSync")
			s.hold("deleting-1")
			s.remove()
		},
		says: "Ready=Unknown/Deleting", kstatus: status.TerminatingStatus, flux: status.InProgressStatus,
	},
}
