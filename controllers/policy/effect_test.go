// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOverrides(t *testing.T) {
	const (
		block  = `profile: {blockMetadata: {}}`
		deny   = `profile: {defaultDeny: {}}`
		egress = `podSelector: {}, policyTypes: [Egress], egress`
	)
	for _, tc := range []struct {
		name, baseline, spec string
		want                 string // reason, and part of the message; nothing when empty
	}{
		{"metadata: no peers", block, `{` + egress + `: [{}]}`, "MetadataReopened on all ports"},
		{"metadata: ports only", block, `{` + egress + `: [{ports: [{port: 80}, {protocol: UDP, port: 1, endPort: 9}]}]}`, "MetadataReopened on TCP 80, UDP 1-9"},
		{"metadata: everything", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}`, "MetadataReopened allows egress to 100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16, 192.0.0.192/32, which blockMetadata blocks, on all ports"},
		{"metadata: everything, IPv6", block, `{` + egress + `: [{to: [{ipBlock: {cidr: "::/0"}}]}]}`, "MetadataReopened allows egress to fd00:42::42/128"},
		{"metadata: the address", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 169.254.169.254/32}}]}]}`, "MetadataReopened allows egress to 169.254.169.254/32, which blockMetadata blocks, on all ports"},
		{"metadata: all but AWS", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]}`, "MetadataReopened"},
		{"metadata: all excepted", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16, 100.100.100.200/32, 168.63.129.16/32, 192.0.0.192/32]}}]}]}`, ""},
		{"metadata: excepted in halves", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 169.254.0.0/15, except: [169.254.0.0/17, 169.254.128.0/17]}}]}]}`, ""},
		{"metadata: one half excepted", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 169.254.0.0/15, except: [169.254.0.0/17]}}]}]}`, "MetadataReopened"},
		{"metadata: elsewhere", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}`, ""},
		{"metadata: pods", block, `{` + egress + `: [{to: [{namespaceSelector: {}}]}]}`, ""},
		{"metadata: the second peer of the second rule", block, `{` + egress + `: [{to: [{podSelector: {}}]}, {to: [{podSelector: {}}, {ipBlock: {cidr: 169.254.0.0/16}}]}]}`, "MetadataReopened"},
		{"metadata: NodeLocal DNS", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{protocol: UDP, port: 53}, {port: 53}]}]}`, ""},
		{"metadata: DNS and more", block, `{` + egress + `: [{to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{port: 53}, {port: 80}]}]}`, "MetadataReopened on TCP 53, TCP 80"},
		{"metadata: a range that begins with DNS", block, `{` + egress + `: [{ports: [{port: 53, endPort: 90}]}]}`, "MetadataReopened on TCP 53-90"},
		{"metadata: an ingress policy", block, `{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}`, ""},
		{"metadata: rules without the type", block, `{podSelector: {}, policyTypes: [Ingress], egress: [{}]}`, ""},
		{"metadata: other pods", `profile: {blockMetadata: {podSelector: {matchLabels: {app: web}}}}`, `{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{}]}`, ""},
		{"metadata: some of the pods", block, `{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{}]}`, "MetadataReopened"},
		{"metadata: a range of our own", `profile: {blockMetadata: {additionalCIDRs: [10.1.0.0/16]}}`, `{` + egress + `: [{to: [{ipBlock: {cidr: 10.1.2.0/24}}]}]}`, "MetadataReopened 10.1.2.0/24"},
		{"metadata is not blocked", `profile: {allowDNS: {}}`, `{` + egress + `: [{}]}`, ""},

		{"everyone: ingress", deny, `{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{}]}`, "OpenToEveryone allows ingress from everyone on all ports"},
		{"everyone: ingress on a port", deny, `{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: http}]}]}`, "OpenToEveryone on TCP http"},
		{"everyone: all addresses", deny, `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}`, "OpenToEveryone"},
		{"everyone: all addresses but some", deny, `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]}`, ""},
		{"everyone: some pods", deny, `{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}`, ""},
		{"everyone: egress", deny, `{` + egress + `: [{}]}`, "OpenToEveryone allows egress to everyone"},
		{"everyone: DNS to wherever", deny, `{` + egress + `: [{ports: [{protocol: UDP, port: 53}]}]}`, ""},
		{"everyone: a direction that is not denied", `profile: {defaultDeny: {directions: [Egress]}}`, `{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}`, ""},
		{"everyone: rules without the type", deny, `{podSelector: {}, policyTypes: [Egress], ingress: [{}]}`, ""},
		{"nothing is denied", block, `{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}`, ""},
		{"a deny of theirs", deny, `{podSelector: {}, policyTypes: [Ingress, Egress]}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Spec: *parseSpec(t, tc.spec)}
			got := overrides(&parseBaseline(t, "a", tc.baseline).Spec.Profile, []*networkingv1.NetworkPolicy{p})
			if tc.want == "" {
				if len(got) > 0 {
					t.Errorf("got %+v, want nothing", got)
				}
				return
			}
			reason, message, _ := strings.Cut(tc.want, " ")
			if len(got) != 1 || got[0].Policy != "theirs" || got[0].Reason != reason || !strings.Contains(got[0].Message, message) {
				t.Errorf("got %+v, want %s", got, tc.want)
			}
		})
	}
}
