// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// theirPolicy creates a policy of somebody else from YAML.
func theirPolicy(namespace, name, spec string) *networkingv1.NetworkPolicy {
	GinkgoHelper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(yaml.UnmarshalStrict([]byte(spec), &p.Spec)).To(Succeed())
	Expect(k8s.Create(ctx, p)).To(Succeed())
	return p
}

// undone is what a baseline says of foreign policies: reason and message, by policy.
func undone(b *v1alpha1.NetworkBaseline, namespace string) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, p := range get(b).Status.Problems {
		if p.Namespace == namespace {
			out[p.Policy] += p.Reason + ": " + p.Message
		}
	}
	return out
}

// Guarantee 10: policies add up, so that somebody else's can undo a baseline. The arithmetic is tested in package
// policy; here is what the API server lets through, and what is told of it.
var _ = Describe("effect", func() {
	var (
		b         *v1alpha1.NetworkBaseline
		namespace string
	)
	start := func(profile string) {
		GinkgoHelper()
		startOperator()
		b = baseline()
		b.Spec.Profile = v1alpha1.Profile{}
		Expect(yaml.UnmarshalStrict([]byte(profile), &b.Spec.Profile)).To(Succeed())
		create(b)
		namespace = governed(b)
		inSync(b, 1)
		Expect(conditionOf(get(b), "Effective")).To(Equal("True/Effective"))
	}

	const outOfBlock = "which blockMetadata blocks, "
	const leaveOut = ": leave that out, by an except of the rule's ipBlock or by naming other peers in its to"

	It("tells of foreign policies that make metadata reachable again, and is mended when they go", func() {
		start(`{defaultDeny: {directions: [Egress]}, allowDNS: {}, blockMetadata: {}}`)
		cases := map[string]string{ // rules, and what is said of them
			"{}": "allows egress to 100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16, 192.0.0.192/32, fd",
			"{ports: [{port: 80}, {protocol: UDP, port: 1000, endPort: 2000}]}": "allows egress to 100.100.100.200/32, ",
			"{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}": "allows egress to 100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16, 192.0.0.192/32, " +
				outOfBlock + "on TCP 443" + leaveOut,
			"{to: [{ipBlock: {cidr: 169.254.128.0/17}}]}":                          "allows egress to 169.254.128.0/17, " + outOfBlock + "on all ports" + leaveOut,
			"{to: [{ipBlock: {cidr: 'fd00:ec2::/32'}}]}":                           "allows egress to fd00:ec2::23/128, fd00:ec2::254/128, " + outOfBlock + "on all ports",
			"{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}}]}":       "allows egress to 100.100.100.200/32, 168.63.129.16/32, 192.0.0.192/32, " + outOfBlock,
			"{ports: [{protocol: UDP, port: 53}, {port: 80}]}":                     "allows egress to 100.100.100.200/32, ",
			"{to: [{podSelector: {}}, {ipBlock: {cidr: 169.254.170.24/32}}]}":      "allows egress to 169.254.170.24/32, " + outOfBlock,
			"{to: [{podSelector: {}}]}, {to: [{ipBlock: {cidr: 100.100.0.0/16}}]}": "allows egress to 100.100.100.200/32, " + outOfBlock,
		}
		theirs, want := []*networkingv1.NetworkPolicy{}, map[string]string{}
		for rules, said := range cases {
			p := theirPolicy(governed(b), unique("theirs"), "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: ["+rules+"]}")
			theirs, want[p.Name] = append(theirs, p), said
		}
		Eventually(func(g Gomega) {
			for _, p := range theirs {
				// Some of them open the pods to everyone as well.
				g.Expect(undone(b, p.Namespace)[p.Name]).To(ContainSubstring("MetadataReopened: " + want[p.Name]))
			}
		}).Should(Succeed())
		Expect(conditionOf(get(b), "Effective")).To(Equal("False/MetadataReopened"))
		Expect(messageOf(b, "Effective")).To(HavePrefix("overridden in 9 namespaces; "))
		Expect(ready(b)).To(Equal("True/InSync"), "the baseline is in force all the same")
		holdsStill(namespace)

		for _, p := range theirs {
			Expect(k8s.Delete(ctx, p)).To(Succeed())
		}
		Eventually(func() string { return conditionOf(get(b), "Effective") }).Should(Equal("True/Effective"))
		Expect(get(b).Status.Problems).To(BeEmpty())
	})

	It("names the ports of a policy that opens pods to everyone, in the directions that are denied", func() {
		start(`{defaultDeny: {directions: [Ingress]}}`)
		theirPolicy(namespace, "web", "{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}, {port: https}]}]}")
		theirPolicy(namespace, "world", "{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: '::/0'}}]}]}")
		theirPolicy(namespace, "egress", "{podSelector: {}, policyTypes: [Egress], egress: [{}]}")
		const rest = ", although the baseline denies it by default: name the peers in the rule's from, or delete the policy"
		Eventually(func() map[string]string { return undone(b, namespace) }).Should(Equal(map[string]string{
			"web":   "OpenToEveryone: allows ingress from everyone on TCP 80, TCP https" + rest,
			"world": "OpenToEveryone: allows ingress from everyone on all ports" + rest,
		}))
		Expect(conditionOf(get(b), "Effective")).To(Equal("False/OpenToEveryone"))
		Expect(ready(b)).To(Equal("True/InSync"))
	})

	It("says nothing of what is harmless", func() {
		start(`{defaultDeny: {}, allowDNS: {}, blockMetadata: {}}`)
		for _, spec := range []string{
			"{podSelector: {}, policyTypes: [Ingress, Egress]}",
			"{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}, {namespaceSelector: {}}]}]}",
			"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}]}]}",
			"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16, 192.0.0.192/32]}}]}]}",
			"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.0.0/16, except: [169.254.0.0/17, 169.254.128.0/17]}}]}]}",
			"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{protocol: UDP, port: 53}, {port: 53}]}]}",
			"{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 53}]}]}",
		} {
			theirPolicy(namespace, unique("harmless"), spec)
		}
		// One that is not, so that all of them were looked at.
		theirPolicy(namespace, "theirs", "{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}")
		Eventually(func() map[string]string { return undone(b, namespace) }).Should(And(HaveLen(1), HaveKey("theirs")))
		Consistently(func() map[string]string { return undone(b, namespace) }).Should(HaveLen(1))
	})

	It("counts the namespaces in which it is undone", func() {
		start(`{defaultDeny: {}}`)
		for range 2 {
			theirPolicy(governed(b), "theirs", "{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}")
		}
		Eventually(func() string { return messageOf(b, "Effective") }).Should(HavePrefix("overridden in 2 namespaces; "))
		inSync(b, 3)
	})

	It("withholds the metadata block where it would widen a foreign policy, and only there", func() {
		start(`{blockMetadata: {}}`)
		Expect(policyNames(namespace)).To(Equal([]string{b.Name + "-block-metadata"}))
		restricted := newNamespace(nil)
		theirs := theirPolicy(restricted, "theirs", "{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}")
		label(restricted, selectedBy, b.Name)
		Eventually(func() string { return conditionOf(get(b), "Effective") }).Should(Equal("False/MetadataBlockWithheld"))
		Expect(undone(b, restricted)).To(HaveKeyWithValue("theirs", ContainSubstring("MetadataBlockWithheld: block-metadata: a foreign policy restricts egress of some pods")))
		Expect(messageOf(b, "Effective")).To(HavePrefix("overridden in 1 namespace; " + restricted + "/theirs: "))
		inSync(b, 2)
		Expect(policyNames(restricted)).To(Equal([]string{b.Name + "-block-metadata", "theirs"}))
		Expect(specs(restricted)[b.Name+"-block-metadata"].PodSelector.MatchExpressions).To(Equal([]metav1.LabelSelectorRequirement{
			{Key: "app", Operator: "NotIn", Values: []string{"db"}}}), "all pods but those that it restricts")
		Expect(undone(b, namespace)).To(BeEmpty())

		Expect(k8s.Delete(ctx, theirs)).To(Succeed())
		Eventually(func() metav1.LabelSelector { return specs(restricted)[b.Name+"-block-metadata"].PodSelector }).Should(BeZero())
		Eventually(func() string { return conditionOf(get(b), "Effective") }).Should(Equal("True/Effective"))

		By("a restriction of all pods that comes later: the block goes before it widens anything for long")
		theirPolicy(restricted, "later", "{podSelector: {}, policyTypes: [Egress]}")
		Eventually(func() []string { return policyNames(restricted) }).Should(Equal([]string{"later"}))
	})
})
