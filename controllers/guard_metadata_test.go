// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// metadataBlock is a profile that blocks metadata and nothing else.
func metadataBlock(change ...func(*v1alpha1.BlockMetadata)) func(*v1alpha1.NetworkBaseline) {
	return func(b *v1alpha1.NetworkBaseline) {
		block := &v1alpha1.BlockMetadata{}
		for _, c := range change {
			c(block)
		}
		b.Spec.Profile = v1alpha1.Profile{BlockMetadata: block}
	}
}

// ownPolicy is a tenant's policy with these egress rules, in YAML.
func ownPolicy(namespace, egress string) *networkingv1.NetworkPolicy {
	GinkgoHelper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "own"}}
	Expect(yaml.UnmarshalStrict([]byte("{podSelector: {}, policyTypes: [Egress], egress: ["+egress+"]}"), &p.Spec)).To(Succeed())
	return p
}

// within are the excepts that lie inside the range, as the API server demands.
func within(outer, excepts string) []string {
	var out []string
	for e := range strings.SplitSeq(excepts, ", ") {
		if e == "" {
			continue
		}
		o, i := netip.MustParsePrefix(outer), netip.MustParsePrefix(e)
		if o.Bits() < i.Bits() && o.Contains(i.Addr()) {
			out = append(out, e)
		}
	}
	return out
}

func quoted(all []string) string {
	var out []string
	for _, s := range all {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}

// witness refuses policies of its name. What was applied before it is active when it is.
const witness = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: witness}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [networking.k8s.io], apiVersions: [v1], resources: [networkpolicies], operations: [CREATE]}]
  validations: [{expression: "object.metadata.name != 'witness'", message: the witness is active}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: witness}
spec: {policyName: witness, validationActions: [Deny]}
`

var _ = Describe("the guard of metadata", Ordered, ContinueOnFailure, func() {
	const metadataIPv4 = "169.254.0.0/16, 100.100.100.200/32, 168.63.129.16/32, 192.0.0.192/32"
	const metadataIPv6 = "fd00:ec2::254/128, fd00:ec2::23/128, fd20:ce::254/128, fd00:100::100:200/128, fd00:c1::a9fe:a9fe/128, fe80::a9fe:a9fe/128, fd00:a9fe:a9fe::1/128, fd00:42::42/128"
	var tenant client.Client
	var blocked string
	BeforeAll(func() {
		tenant = guarded("guard", refuseClaims)
		b := create(baseline(metadataBlock()))
		blocked = governed(b)
		Eventually(func() error { return tenant.Create(ctx, ownPolicy(blocked, "{}"), client.DryRunAll) }).ShouldNot(Succeed())
	})
	// asks whether the API server would take a tenant's policy.
	asks := func(namespace, egress string) error {
		return tenant.Create(ctx, ownPolicy(namespace, egress), client.DryRunAll)
	}

	DescribeTable("refuses", func(egress, addresses string) {
		err := asks(blocked, egress)
		Expect(err).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(err).To(MatchError(ContainSubstring("NetworkPolicy " + blocked + "/own allows egress to " + addresses + ", which NetworkBaseline ")))
		Expect(err).To(MatchError(ContainSubstring("write each of them as an except of the ipBlock that holds it")))
	},
		Entry("no to", "{ports: [{port: 80}]}", metadataIPv4+", "+metadataIPv6),
		Entry("all of IPv4", "{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}", metadataIPv4),
		Entry("all of IPv6", `{to: [{ipBlock: {cidr: "::/0"}}]}`, metadataIPv6),
		Entry("the address itself", "{to: [{ipBlock: {cidr: 169.254.169.254/32}}]}", "169.254.0.0/16"),
		Entry("excepts that leave one out", "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16, 100.100.100.200/32, 192.0.0.192/32]}}]}", "168.63.129.16/32"),
		Entry("an except of a part", "{to: [{ipBlock: {cidr: 160.0.0.0/4, except: [169.254.169.254/32, 168.63.129.16/32]}}]}", "169.254.0.0/16"),
		Entry("behind a peer and a rule that are fine", "{to: [{podSelector: {}}]}, {to: [{podSelector: {}}, {ipBlock: {cidr: 100.64.0.0/10}}]}", "100.100.100.200/32"),
		Entry("DNS and more", "{ports: [{port: 53, protocol: UDP}, {port: 80}]}", metadataIPv4+", "+metadataIPv6),
		Entry("a range of ports from 53", "{ports: [{port: 53, endPort: 80}]}", metadataIPv4+", "+metadataIPv6),
		Entry("a protocol without port", "{ports: [{protocol: TCP}]}", metadataIPv4+", "+metadataIPv6),
	)

	DescribeTable("lets pass", func(egress string) { Expect(asks(blocked, egress)).To(Succeed()) },
		Entry("nothing", ""),
		Entry("pods", "{to: [{podSelector: {}}, {namespaceSelector: {}}]}"),
		Entry("a range elsewhere", `{to: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: "2001:db8::/32"}}]}`),
		Entry("all but metadata", "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: ["+metadataIPv4+"]}}]}"),
		Entry("wider excepts", "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.0.0.0/8, 100.0.0.0/8, 168.0.0.0/8, 192.0.0.0/8]}}]}"),
		Entry("DNS wherever it is", "{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP, endPort: 53}]}"),
	)

	It("refuses exactly what the operator would report as reopened", func() {
		spec := &v1alpha1.NetworkBaselineSpec{Profile: v1alpha1.Profile{BlockMetadata: &v1alpha1.BlockMetadata{}}}
		ranges := []string{"10.0.0.0/8", "169.254.20.10/32", "169.254.169.254/32", "169.254.0.0/16", "169.254.128.0/17", "160.0.0.0/4", "0.0.0.0/0",
			"100.100.100.200/32", "100.100.100.0/24", "::/0", "fd00::/8", "fd00:ec2::254/128", "fe80::/10", "2001:db8::/32"}
		excepts := []string{"", "169.254.0.0/16", "169.254.169.254/32", "100.100.100.200/32", "169.0.0.0/8", "fd00:ec2::254/128", "fe80::/64", metadataIPv4, metadataIPv6}
		ports := []string{"", "{port: 53, protocol: UDP}", "{port: 53}, {port: 443}", "{port: 50, endPort: 60}", "{protocol: UDP}", "{port: http}"}
		reopened := 0
		for _, r := range ranges {
			for _, e := range excepts {
				for i, p := range ports {
					own := ownPolicy(blocked, fmt.Sprintf("{to: [{podSelector: {}}, {ipBlock: {cidr: %q, except: [%s]}}], ports: [%s]}", r, quoted(within(r, e)), p))
					if i > 0 && r != "0.0.0.0/0" && r != "169.254.20.10/32" {
						continue // ports have nothing to do with ranges
					}
					undone := len(overrides(spec, own)) > 0
					err := tenant.Create(ctx, own.DeepCopy(), client.DryRunAll)
					Expect(err != nil).To(Equal(undone), "%s except %s on %s: %v", r, e, p, err)
					if undone {
						reopened++
					}
				}
			}
		}
		Expect(reopened).To(BeNumerically(">", 50))
		everything := overrides(spec, ownPolicy(blocked, "{}"))[0].Message
		for address := range strings.SplitSeq(metadataIPv4+", "+metadataIPv6, ", ") {
			Expect(everything).To(ContainSubstring(address), "the guard blocks what the operator does not")
		}
		Expect(strings.Count(everything, "/")).To(Equal(strings.Count(metadataIPv4+metadataIPv6, "/")), everything)
	})

	It("leaves alone the namespaces that the operator protects by default", func() {
		text, err := os.ReadFile(filepath.Join("..", "config", "guard", "metadata.yaml"))
		Expect(err).NotTo(HaveOccurred())
		var patterns []string
		for _, p := range append(slices.Clone(policy.DefaultProtection), "netbaseline-system") {
			patterns = append(patterns, strings.ReplaceAll(p, "*", ".*"))
		}
		Expect(string(text)).To(ContainSubstring("matches('^(" + strings.Join(patterns, "|") + ")$')"))
	})

	It("knows what each baseline governs", func() {
		labelled := newNamespace(map[string]string{"guard": "metadata", "tier": "web"})
		for spec, governs := range map[string]bool{
			"{namespaceSelector: {matchLabels: {guard: metadata}}, profile: {blockMetadata: {}}}":                                                                        true,
			"{namespaceSelector: {matchLabels: {guard: other}}, profile: {blockMetadata: {}}}":                                                                           false,
			"{namespaceSelector: {matchLabels: {absent: ''}}, profile: {blockMetadata: {}}}":                                                                             false,
			"{namespaceSelector: {matchLabels: {guard: metadata}}, profile: {defaultDeny: {}}}":                                                                          false,
			"{namespaceSelector: {matchLabels: {guard: metadata}}, mode: Audit, profile: {blockMetadata: {}}}":                                                           false,
			"{namespaceSelector: {matchLabels: {guard: metadata}}, excludedNamespaces: [" + labelled + "], profile: {blockMetadata: {}}}":                                false,
			"{namespaceSelector: {matchExpressions: [{key: tier, operator: In, values: [web, api]}, {key: guard, operator: Exists}]}, profile: {blockMetadata: {}}}":     true,
			"{namespaceSelector: {matchExpressions: [{key: tier, operator: In, values: [db]}]}, profile: {blockMetadata: {}}}":                                           false,
			"{namespaceSelector: {matchExpressions: [{key: guard, operator: Exists}, {key: tier, operator: NotIn, values: [web]}]}, profile: {blockMetadata: {}}}":       false,
			"{namespaceSelector: {matchExpressions: [{key: guard, operator: Exists}, {key: absent, operator: NotIn, values: [web]}]}, profile: {blockMetadata: {}}}":     true,
			"{namespaceSelector: {matchExpressions: [{key: guard, operator: Exists}, {key: tier, operator: DoesNotExist}]}, profile: {blockMetadata: {}}}":               false,
			"{namespaceSelector: {matchExpressions: [{key: guard, operator: Exists}, {key: absent, operator: DoesNotExist}]}, profile: {blockMetadata: {}}}":             true,
			"{namespaceSelector: {matchLabels: {guard: metadata}}, profile: {blockMetadata: {podSelector: {matchLabels: {app: a}}, additionalCIDRs: [203.0.113.0/24]}}}": true,
		} {
			By(spec)
			b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: unique("guard")}}
			Expect(yaml.UnmarshalStrict([]byte(spec), &b.Spec)).To(Succeed())
			create(b)
			if governs {
				Eventually(func() error { return asks(labelled, "{}") }).Should(MatchError(ContainSubstring("which NetworkBaseline " + b.Name + " blocks")))
			} else {
				// The API server knows the baseline when it knows one that came later.
				later := create(baseline(metadataBlock()))
				witness := governed(later)
				Eventually(func() error { return asks(witness, "{}") }).ShouldNot(Succeed())
				Expect(asks(labelled, "{}")).To(Succeed())
			}
			Expect(k8s.Delete(ctx, b)).To(Succeed())
			Eventually(func() error { return asks(labelled, "{}") }).Should(Succeed())
		}
	})

	It("goes by the pods and the ranges of the block, and by protection", func() {
		b := create(baseline(metadataBlock(func(block *v1alpha1.BlockMetadata) {
			block.PodSelector = &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"app": "a"}}
			block.AdditionalCIDRs = []v1alpha1.CIDR{"203.0.113.0/24"}
		})))
		namespace := governed(b)
		Eventually(func() error { return asks(namespace, "{to: [{ipBlock: {cidr: 203.0.113.7/32}}]}") }).
			Should(MatchError(ContainSubstring("allows egress to 203.0.113.0/24")))
		other := ownPolicy(namespace, "{}")
		other.Spec.PodSelector.MatchLabels = map[string]string{"app": "b"}
		Expect(tenant.Create(ctx, other, client.DryRunAll)).To(Succeed())
		other.Spec.PodSelector.MatchLabels = map[string]string{"tier": "web"}
		Expect(tenant.Create(ctx, other, client.DryRunAll)).NotTo(Succeed(), "a pod may have both labels")

		namespaceNamed("gke-guarded", nil)
		selectsToo(b, "gke-guarded")
		Expect(asks("gke-guarded", "{}")).To(Succeed())
		edit(b, func() { b.Spec.IncludedProtectedNamespaces = []v1alpha1.NamespaceName{"gke-guarded"} })
		Eventually(func() error { return asks("gke-guarded", "{}") }).ShouldNot(Succeed())
	})

	It("looks at specs that change, and at no others", func() {
		b := baseline(metadataBlock())
		namespace := governed(b)
		own := ownPolicy(namespace, "{}")
		Expect(tenant.Create(ctx, own)).To(Succeed())
		create(b)
		Eventually(func() error { return asks(namespace, "{}") }).ShouldNot(Succeed())
		own.Labels, own.Finalizers = map[string]string{"team": "shop"}, []string{"example.com/hold"}
		Expect(tenant.Update(ctx, own)).To(Succeed(), "it was there before")
		own.Spec.PodSelector.MatchLabels = map[string]string{"app": "a"}
		Expect(tenant.Update(ctx, own)).To(MatchError(ContainSubstring("which NetworkBaseline " + b.Name + " blocks")))
		own.Spec = ownPolicy(namespace, "{to: [{podSelector: {}}]}").Spec
		Expect(tenant.Update(ctx, own)).To(Succeed())
		own.Finalizers = nil
		Expect(tenant.Update(ctx, own)).To(Succeed())
	})

	It("is no obstacle to the operator, whose own block allows all but metadata", func() {
		startOperator()
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile = v1alpha1.Profile{BlockMetadata: &v1alpha1.BlockMetadata{Exemptions: []v1alpha1.MetadataExemption{{
				CIDR: "169.254.170.23/32", Ports: []v1alpha1.Port{{Port: intstr.FromInt32(80)}},
			}}}}
		}))
		governed(b)
		inSync(b, 1)
	})

	It("lets everything pass when the CRD was uninstalled before the guard", func() {
		data, err := os.ReadFile(filepath.Join("..", "config", "guard", "metadata.yaml"))
		Expect(err).NotTo(HaveOccurred())
		// The same without a CRD of that kind, beside the one that is active.
		orphan := strings.NewReplacer("kind: NetworkBaseline", "kind: Uninstalled", "netbaseline-metadata", "netbaseline-orphan").Replace(string(data))
		namespace := newNamespace(nil)
		for i, text := range []string{orphan, witness} {
			file := filepath.Join(GinkgoT().TempDir(), fmt.Sprintf("%d.yaml", i))
			Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
			kubectl("apply", "-f", file)
			DeferCleanup(func() { kubectl("delete", "-f", file) })
		}
		seen := ownPolicy(namespace, "{}")
		seen.Name = "witness"
		Eventually(func() error { return tenant.Create(ctx, seen.DeepCopy(), client.DryRunAll) }).Should(MatchError(ContainSubstring("the witness is active")))
		Expect(asks(namespace, "{}")).To(Succeed())
	})

	It("checks large policies, and refuses those that are too large to be checked", func() {
		// The most that a baseline may block, and ranges as long as they can be written.
		large := create(baseline(metadataBlock(func(block *v1alpha1.BlockMetadata) {
			for i := range 16 {
				block.AdditionalCIDRs = append(block.AdditionalCIDRs, v1alpha1.CIDR(fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x/128", 0xa000+i)))
			}
		})))
		namespace := governed(large)
		Eventually(func() error { return asks(namespace, "{}") }).ShouldNot(Succeed())
		ranges := func(n int, format string) string {
			var out []string
			for i := range n {
				out = append(out, strings.ReplaceAll(format, "N", fmt.Sprintf("%x", 0xa000+i)))
			}
			return strings.Join(out, ", ")
		}
		const (
			peer  = `{ipBlock: {cidr: "2001:db8:ffff:ffff:ffff:ffff:ffff:N/128"}}`
			wide  = `{ipBlock: {cidr: "2001:db8:ffff:ffff:ffff:ffff:N:0/112", except: ["2001:db8:ffff:ffff:ffff:ffff:N:ffff/128"]}}`
			cut   = `"2001:db8:ffff:ffff:ffff:ffff:ffff:N/128"`
			every = `{ipBlock: {cidr: "::/0", except: [` // holds each IPv6 address, so that each except is looked at for each
			leak  = "{ipBlock: {cidr: 169.254.169.254/32}}"
		)
		const most = 12000 / (12 + 16) // of what can be checked, for so many blocked ranges
		for name, egress := range map[string]string{
			"in one rule":   "{to: [" + ranges(most-1, peer) + ", " + leak + "]}",
			"in many rules": ranges(most-1, "{to: ["+peer+"]}") + ", {to: [" + leak + "]}",
			"with excepts":  "{to: [" + ranges((most-1)/2, wide) + ", " + leak + "]}",
			"in one except": "{to: [" + every + ranges(most-2, cut) + "]}}, " + leak + "]}",
			"with ports":    "{to: [" + ranges((most-1)/2, peer) + "], ports: [" + ranges((most-1)/2, "{port: 53}") + "]}, {to: [" + leak + "]}",
		} {
			Expect(asks(namespace, egress)).To(MatchError(ContainSubstring("allows egress to 169.254.0.0/16")), name)
		}
		Expect(asks(namespace, "{to: ["+ranges(most, peer)+"]}")).To(Succeed())
		refusal := fmt.Sprintf("or more, and at most %d can be checked", most)
		for name, egress := range map[string]string{
			"peers":       "{to: [" + ranges(most+1, peer) + "]}",
			"excepts":     "{to: [" + every + ranges(most, cut) + "]}}]}",
			"ports":       "{to: [" + ranges(1, peer) + "], ports: [" + ranges(most, "{port: 53}") + "]}",
			"many peers":  "{to: [" + ranges(3000, peer) + "]}",
			"many rules":  ranges(3000, "{to: [{podSelector: {}}]}"),
			"many ports":  "{to: [{podSelector: {}}], ports: [" + ranges(3000, "{port: 53}") + "]}",
			"many except": "{to: [" + every + ranges(3000, cut) + "]}}]}",
		} {
			Expect(asks(namespace, egress)).To(MatchError(ContainSubstring(refusal)), name)
			Expect(asks(newNamespace(nil), egress)).To(Succeed(), "nobody blocks metadata there")
		}
	})
})

var _ = Describe("the guard that warns", Ordered, func() {
	It("lets a policy pass that makes metadata reachable again, with a warning, and guards managed policies", func() {
		tenant := guarded("guard-warn", refuseClaims)
		b := create(baseline(metadataBlock()))
		namespace := governed(b)
		told := &warnings{}
		Eventually(func() []string {
			told.texts = nil
			Expect(as("tenant", told).Create(ctx, ownPolicy(namespace, "{}"), client.DryRunAll)).To(Succeed())
			return told.texts
		}).Should(HaveExactElements(ContainSubstring("NetworkPolicy " + namespace + "/own allows egress to 169.254.0.0/16, ")))
		told.texts = nil
		Expect(as("tenant", told).Create(ctx, ownPolicy(namespace, "{to: [{podSelector: {}}]}"))).To(Succeed())
		Expect(told.texts).To(BeEmpty())
		Expect(refuseClaims(tenant)).To(MatchError(apierrors.IsForbidden, "forbidden"))
	})
})

// overrides are what the operator reports of a policy in a namespace that a baseline with this spec governs.
func overrides(spec *v1alpha1.NetworkBaselineSpec, p *networkingv1.NetworkPolicy) []v1alpha1.Problem {
	GinkgoHelper()
	r, err := policy.NewRevision("r", spec)
	Expect(err).NotTo(HaveOccurred())
	d := policy.Decide(&policy.State{
		Namespace: policy.Namespace{Name: p.Namespace},
		Baselines: []*policy.Baseline{{Name: "b", UID: "b", Update: r, Admitted: true}},
		Policies:  []*networkingv1.NetworkPolicy{p},
	})
	return slices.DeleteFunc(d.Told[0].Overrides, func(p v1alpha1.Problem) bool { return p.Reason != "MetadataReopened" })
}
