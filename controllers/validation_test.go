// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// try asks the API server what it thinks of a spec, in YAML, and returns what it would store.
func try(name, spec string) (*unstructured.Unstructured, error) {
	GinkgoHelper()
	u := &unstructured.Unstructured{Object: map[string]any{}}
	body := map[string]any{}
	Expect(yaml.UnmarshalStrict([]byte(spec), &body)).To(Succeed())
	u.Object["spec"] = body
	u.SetAPIVersion("netbaseline.io/v1alpha1")
	u.SetKind("NetworkBaseline")
	u.SetName(name)
	return u, k8s.Create(ctx, u, client.DryRunAll, client.FieldValidation("Strict"))
}

// with puts a profile into a spec that is good otherwise.
func with(profile string) string { return "{namespaceSelector: {}, profile: {" + profile + "}}" }

// monitoring puts a peer into a profile.
func monitoring(peer string) string { return with("allowMonitoring: {from: [" + peer + "]}") }

// port puts a port into a profile.
func port(p string) string { return with("allowDNS: {ports: [" + p + "]}") }

// selecting is a spec with this namespaceSelector.
func selecting(s string) string {
	return "{namespaceSelector: " + s + ", profile: {defaultDeny: {}}}"
}

// times repeats an item of a list; %d in it is the number.
func times(n int, item string) string {
	var out []string
	for i := range n {
		out = append(out, strings.ReplaceAll(item, "%d", fmt.Sprint(i)))
	}
	return strings.Join(out, ", ")
}

const plain = "{namespaceSelector: {}, profile: {defaultDeny: {}}}"

// The API server itself refuses what cannot be meant, and says what to write instead.
var _ = Describe("validation", func() {
	DescribeTable("refuses", func(spec, message string) {
		_, err := try("bad", spec)
		Expect(err).To(MatchError(ContainSubstring(message)))
	},
		Entry("no selector", "{profile: {defaultDeny: {}}}", "spec.namespaceSelector: Required value"),
		Entry("no profile", "{namespaceSelector: {}}", "declare at least one component in profile, for example defaultDeny: {} and allowDNS: {}"),
		Entry("an empty profile", with(""), "declare at least one component in profile, for example defaultDeny: {} and allowDNS: {}"),
		Entry("an unknown field", with("defaultDeny: {}, allowEverything: {}"), `unknown field "spec.profile.allowEverything"`),
		Entry("an unknown mode", "{mode: Dry, namespaceSelector: {}, profile: {defaultDeny: {}}}", `supported values: "Enforce", "Audit"`),
		Entry("an unknown preflight", "{preflight: Off, namespaceSelector: {}, profile: {defaultDeny: {}}}", `supported values: "Require", "Warn"`),
		Entry("an unknown deletionPolicy", "{deletionPolicy: Orphan, namespaceSelector: {}, profile: {defaultDeny: {}}}", `supported values: "Delete", "Retain"`),
		Entry("no directions", with("defaultDeny: {directions: []}"), "spec.profile.defaultDeny.directions in body should have at least 1 items"),
		Entry("a direction twice", with("defaultDeny: {directions: [Egress, Egress]}"), "spec.profile.defaultDeny.directions[1]: Duplicate value"),
		Entry("an unknown direction", with("allowSameNamespace: {directions: [Up]}"), `supported values: "Ingress", "Egress"`),

		Entry("no preset and no peer: ingress", with("allowIngressController: {}"), "name the ingress controller: controllers: [IngressNginx], or describe its pods or addresses in from"),
		Entry("no preset and no peer: monitoring", with("allowMonitoring: {ports: [{port: 9090}]}"), "name the monitoring stack: stacks: [Prometheus], or describe its pods or addresses in from"),
		Entry("an unknown ingress controller", with("allowIngressController: {controllers: [Apache]}"), `Unsupported value: "Apache"`),
		Entry("an unknown monitoring stack", with("allowMonitoring: {stacks: [Nagios]}"), `Unsupported value: "Nagios"`),
		Entry("an ingress controller twice", with("allowIngressController: {controllers: [Traefik, Traefik]}"), "controllers[1]: Duplicate value"),
		Entry("no ingress controllers", with("allowIngressController: {controllers: []}"), "should have at least 1 items"),

		Entry("a peer of neither kind", monitoring("{}"), "a peer needs namespaceSelector and/or podSelector, or a cidr; for every pod of every namespace write namespaceSelector: {}"),
		Entry("a peer of both kinds", monitoring("{cidr: 10.0.0.0/8, podSelector: {}}"), "a peer is either selectors or a cidr: write two peers"),
		Entry("a peer of both kinds, by namespace", monitoring("{cidr: 10.0.0.0/8, namespaceSelector: {}}"), "a peer is either selectors or a cidr: write two peers"),
		Entry("except without cidr", monitoring("{podSelector: {}, except: [10.0.0.0/8]}"), "except goes with cidr only"),
		Entry("except outside its cidr", monitoring("{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}"), "each except must lie inside the cidr and be smaller than it"),
		Entry("except around its cidr", monitoring("{cidr: 10.1.0.0/16, except: [10.0.0.0/8]}"), "each except must lie inside the cidr and be smaller than it"),
		Entry("except equal to its cidr", monitoring("{cidr: 10.0.0.0/8, except: [10.0.0.0/8]}"), "each except must lie inside the cidr and be smaller than it"),
		Entry("except of the other family", monitoring(`{cidr: 0.0.0.0/0, except: ["fd00::/8"]}`), "each except must lie inside the cidr and be smaller than it"),
		Entry("no address range", monitoring("{cidr: everywhere}"), "must be an address range such as 10.0.0.0/8 or 2001:db8::/32"),
		Entry("an empty address range", monitoring(`{cidr: ""}`), "should be at least 1 chars long"),
		Entry("an address", monitoring("{cidr: 192.0.2.1}"), "for one address write 192.0.2.1/32 or 2001:db8::1/128"),
		Entry("host bits", monitoring("{cidr: 10.1.2.3/8}"), "is not in canonical form: write the first address of the range in lower case, 10.0.0.0/8 instead of 10.1.2.3/8"),
		Entry("host bits in an except", monitoring("{cidr: 10.0.0.0/8, except: [10.1.2.3/16]}"), "is not in canonical form"),
		Entry("leading zeros", monitoring("{cidr: 010.0.0.0/8}"), "must be an address range"),
		Entry("upper-case IPv6", monitoring(`{cidr: "FD00::/8"}`), "is not in canonical form"),
		Entry("long IPv6", monitoring(`{cidr: "fd00:0:0::/48"}`), "is not in canonical form"),
		Entry("IPv4-mapped IPv6", monitoring(`{cidr: "::ffff:10.0.0.0/104"}`), "must be an address range"),

		Entry("port 0", port("{port: 0}"), "port must be from 1 to 65535; leave ports out for all ports"),
		Entry("a negative port", port("{port: -1}"), "port must be from 1 to 65535"),
		Entry("port 65536", port("{port: 65536}"), "port must be from 1 to 65535"),
		Entry("no port", port("{protocol: TCP}"), "ports[0].port: Required value"),
		Entry("an unknown protocol", port("{port: 53, protocol: ICMP}"), `supported values: "TCP", "UDP", "SCTP"`),
		Entry("endPort below port", port("{port: 53, endPort: 52}"), "endPort needs a numeric port that is not greater than it"),
		Entry("endPort with a named port", port("{port: dns, endPort: 60}"), "endPort needs a numeric port that is not greater than it"),
		Entry("endPort 65536", port("{port: 53, endPort: 65536}"), "should be less than or equal to 65535"),
		Entry("an overlong port name", port("{port: a-name-too-long1}"), "a port name has at most 15 characters"),
		Entry("an upper-case port name", port("{port: DNS}"), "spec.profile.allowDNS.ports[0].port in body should match"),
		Entry("a port name of digits", port(`{port: "53"}`), "spec.profile.allowDNS.ports[0].port in body should match"),
		Entry("a port name with two hyphens", port("{port: a--b}"), "spec.profile.allowDNS.ports[0].port in body should match"),
		Entry("no ports", with("allowDNS: {ports: []}"), "should have at least 1 items"),

		Entry("exemptions of a partial block", with("blockMetadata: {podSelector: {}, exemptions: [{podSelector: {}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}"),
			"exemptions go with a block of all pods: drop podSelector, or leave the exempt pods out of it with a NotIn or DoesNotExist expression"),
		Entry("an exemption without ports", with("blockMetadata: {exemptions: [{podSelector: {}, cidr: 169.254.170.23/32}]}"), "exemptions[0].ports: Required value"),
		Entry("an exemption without pods", with("blockMetadata: {exemptions: [{cidr: 169.254.170.23/32, ports: [{port: 80}]}]}"), "exemptions[0].podSelector: Required value"),
		Entry("a block of everything", with("blockMetadata: {additionalCIDRs: [0.0.0.0/0]}"), "a range that holds every address cannot be blocked this way: use defaultDeny with directions: [Egress]"),
		Entry("a block of all of IPv6", with(`blockMetadata: {additionalCIDRs: ["::/0"]}`), "a range that holds every address cannot be blocked this way"),
		Entry("a block of no range", with("blockMetadata: {additionalCIDRs: [metadata]}"), "must be an address range"),
		Entry("a blocked range twice", with("blockMetadata: {additionalCIDRs: [10.0.0.0/8, 10.0.0.0/8]}"), "additionalCIDRs[1]: Duplicate value"),

		Entry("an unknown operator", selecting("{matchExpressions: [{key: a, operator: Like, values: [b]}]}"), `supported values: "In", "NotIn", "Exists", "DoesNotExist"`),
		Entry("In without values", selecting("{matchExpressions: [{key: a, operator: In}]}"), "In and NotIn need values; Exists and DoesNotExist take none"),
		Entry("Exists with values", selecting("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"), "In and NotIn need values; Exists and DoesNotExist take none"),
		Entry("a bad label key", selecting("{matchLabels: {a b: c}}"), "a label key is [prefix/]name, such as environment or example.com/team"),
		Entry("a bad key of an expression", selecting("{matchExpressions: [{key: /a, operator: Exists}]}"), "matchExpressions[0].key in body should match"),
		Entry("a bad label value", selecting("{matchLabels: {a: -b}}"), "matchLabels.a in body should match"),
		Entry("an overlong label value", selecting("{matchLabels: {a: "+strings.Repeat("b", 64)+"}}"), "Too long"),
		Entry("a bad selector of pods", with("blockMetadata: {podSelector: {matchExpressions: [{key: a, operator: NotIn}]}}"), "In and NotIn need values"),

		Entry("a bad namespace name", "{excludedNamespaces: [Legacy], namespaceSelector: {}, profile: {defaultDeny: {}}}", "excludedNamespaces[0] in body should match"),
		Entry("a namespace twice", "{includedProtectedNamespaces: [a, a], namespaceSelector: {}, profile: {defaultDeny: {}}}", "includedProtectedNamespaces[1]: Duplicate value"),

		Entry("too many peers", monitoring(times(17, "{podSelector: {}}")), "must have at most 16 items"),
		Entry("too many ports", port(times(17, "{port: 1%d}")), "must have at most 16 items"),
		Entry("too many excluded namespaces", "{excludedNamespaces: ["+times(257, "ns-%d")+"], namespaceSelector: {}, profile: {defaultDeny: {}}}", "must have at most 256 items"),
		Entry("too many expressions", selecting("{matchExpressions: ["+times(17, "{key: a, operator: Exists}")+"]}"), "must have at most 16 items"),
		Entry("too many labels", selecting("{matchLabels: {"+times(17, "k%d: v")+"}}"), "matchLabels: Too many: 17: must have at most 16 items"),
	)

	It("refuses a name of 64 characters, because it becomes a label value", func() {
		_, err := try(strings.Repeat("n", 64), plain)
		Expect(err).To(MatchError(ContainSubstring("metadata.name may have at most 63 characters, because it becomes a label value: choose a shorter name")))
		_, err = try(strings.Repeat("n", 63), plain)
		Expect(err).NotTo(HaveOccurred())
	})

	DescribeTable("accepts", func(spec string) {
		_, err := try("good", spec)
		Expect(err).NotTo(HaveOccurred())
	},
		Entry("the least", plain),
		Entry("each component by default", with("defaultDeny: {}, allowDNS: {}, blockMetadata: {}, allowIngressController: {controllers: [IngressNginx]}, allowMonitoring: {stacks: [Prometheus]}, allowSameNamespace: {}")),
		Entry("allowDNS alone", with("allowDNS: {}")),
		Entry("blockMetadata alone", with("blockMetadata: {}")),
		Entry("allowSameNamespace alone", with("allowSameNamespace: {}")),
		Entry("every ingress controller", with("allowIngressController: {controllers: [IngressNginx, RKE2IngressNginx, NginxInc, Traefik, HAProxy, Contour, Istio, EnvoyGateway, Kong, OpenShiftRouter, AKSAppRouting, GKELoadBalancer]}")),
		Entry("every monitoring stack", with("allowMonitoring: {stacks: [Prometheus, VictoriaMetrics, GrafanaAlloy, OpenTelemetryCollector, Datadog, OpenShiftMonitoring, GKEManagedPrometheus]}")),
		Entry("both directions", with("defaultDeny: {directions: [Ingress, Egress]}, allowSameNamespace: {directions: [Egress]}")),
		Entry("every kind of peer", monitoring(`{podSelector: {}}, {namespaceSelector: {}}, {namespaceSelector: {}, podSelector: {matchLabels: {a: ""}}}, {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 192.0.2.1/32]}, {cidr: "::/0", except: ["fd00::/8"]}, {cidr: "2001:db8::1/128"}`)),
		Entry("every kind of port", port("{port: 53}, {port: 1, protocol: UDP}, {port: 65535, protocol: SCTP}, {port: dns-tcp}, {port: 1024, endPort: 65535}, {port: 9, endPort: 9}, {port: fifteen-letters}")),
		Entry("resolvers", with("allowDNS: {resolvers: [{cidr: 169.254.20.10/32}, {namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: node-local-dns}}}], ports: [{port: 53, protocol: UDP}]}")),
		Entry("exemptions", with("blockMetadata: {additionalCIDRs: [192.0.2.0/24], exemptions: [{podSelector: {matchLabels: {app: a}}, cidr: 169.254.170.23/32, ports: [{port: 80}]}]}")),
		Entry("a partial block", with("blockMetadata: {podSelector: {matchExpressions: [{key: trusted, operator: DoesNotExist}]}}")),
		Entry("every operator, and keys with a prefix", selecting("{matchLabels: {example.com/team: Shop_1}, matchExpressions: [{key: a, operator: In, values: [b, '']}, {key: c.d/e, operator: NotIn, values: [f]}, {key: g, operator: Exists}, {key: h, operator: DoesNotExist}]}")),
		Entry("as many peers as may be", monitoring(times(16, "{cidr: 10.%d.0.0/16, except: ["+strings.ReplaceAll(times(16, "10.P.%d.0/24"), "P", "%d")+"]}"))),
		Entry("as much as may be", "{mode: Audit, preflight: Warn, deletionPolicy: Retain, excludedNamespaces: ["+times(256, "ns-%d")+"], includedProtectedNamespaces: ["+times(64, "ns-%d")+"], namespaceSelector: {matchLabels: {"+times(16, "k%d: v")+"}}, profile: {defaultDeny: {}}}"),
	)

	It("fills in the defaults, and none inside of lists", func() {
		u, err := try("defaults", monitoring("{cidr: 10.0.0.0/8}"))
		Expect(err).NotTo(HaveOccurred())
		Expect(u.Object["spec"]).To(Equal(map[string]any{
			"mode": "Enforce", "preflight": "Require", "deletionPolicy": "Delete",
			"namespaceSelector": map[string]any{},
			"profile":           map[string]any{"allowMonitoring": map[string]any{"from": []any{map[string]any{"cidr": "10.0.0.0/8"}}}},
		}))
		Expect(u.Object["status"]).To(HaveKeyWithValue("observedGeneration", BeEquivalentTo(-1)))
	})

	It("refuses a bad update, and keeps what was good", func() {
		b := create(baseline())
		bad := b.DeepCopy()
		bad.Spec.Profile = v1alpha1.Profile{}
		Expect(k8s.Update(ctx, bad)).To(MatchError(ContainSubstring("declare at least one component")))
		Expect(get(b).Spec).To(Equal(b.Spec))
	})

	It("lets every field change", func() {
		b := create(baseline())
		edit(b, func() {
			b.Spec = v1alpha1.NetworkBaselineSpec{
				Mode: "Audit", Preflight: "Warn", DeletionPolicy: "Retain",
				NamespaceSelector:           v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"a": "b"}},
				ExcludedNamespaces:          []v1alpha1.NamespaceName{"c"},
				IncludedProtectedNamespaces: []v1alpha1.NamespaceName{"kube-system"},
				Profile:                     v1alpha1.Profile{AllowSameNamespace: &v1alpha1.AllowSameNamespace{}},
			}
		})
		Expect(get(b).Generation).To(BeEquivalentTo(2))
		Expect(get(b).CreationTimestamp).NotTo(Equal(metav1.Time{}))
	})
})
