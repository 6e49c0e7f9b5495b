// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// reaches are the lines "<peer> <protocol> <port>" of an egress policy, in order.
func reaches(p networkingv1.NetworkPolicySpec) []string {
	var out []string
	for _, rule := range p.Egress {
		for _, to := range rule.To {
			peer := "pods"
			if to.IPBlock != nil {
				peer = to.IPBlock.CIDR
			}
			for _, port := range rule.Ports {
				out = append(out, fmt.Sprintf("%s %s %s", peer, *port.Protocol, port.Port.String()))
			}
		}
	}
	slices.Sort(out)
	return out
}

// dnsService creates kube-system/kube-dns, until the spec ends.
func dnsService() *corev1.Service {
	GinkgoHelper()
	return service("kube-dns", map[string]string{"k8s-app": "kube-dns"})
}

func service(name string, selector map[string]string) *corev1.Service {
	GinkgoHelper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: map[string]string{"k8s-app": "kube-dns"}},
		Spec: corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{
			{Name: "dns", Protocol: "UDP", Port: 53, TargetPort: intstr.FromString("dns")}, {Name: "dns-tcp", Protocol: "TCP", Port: 53, TargetPort: intstr.FromString("dns-tcp")},
		}},
	}
	Expect(k8s.Create(ctx, s)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(k8s.Delete(ctx, s))).To(Succeed()) })
	return s
}

// endpoints writes an EndpointSlice of a Service, which nobody else keeps here, until the spec ends.
func endpoints(namespace, of, name string, port int32, addresses ...string) *discoveryv1.EndpointSlice {
	GinkgoHelper()
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"kubernetes.io/service-name": of}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{
			{Name: new("dns"), Protocol: new(corev1.ProtocolUDP), Port: new(port)},
			{Name: new("dns-tcp"), Protocol: new(corev1.ProtocolTCP), Port: new(port)},
		},
	}
	if of == "kubernetes" {
		s.Ports = []discoveryv1.EndpointPort{{Name: new("https"), Protocol: new(corev1.ProtocolTCP), Port: new(port)}}
	}
	if strings.Contains(addresses[0], ":") {
		s.AddressType = discoveryv1.AddressTypeIPv6
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	Expect(k8s.Create(ctx, s)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(k8s.Delete(ctx, s))).To(Succeed()) })
	return s
}

func moved(s *discoveryv1.EndpointSlice, port int32, addresses ...string) {
	GinkgoHelper()
	edit(s, func() {
		s.Endpoints = nil
		for _, a := range addresses {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
		}
		for i := range s.Ports {
			s.Ports[i].Port = new(port)
		}
	})
}

// What the cluster runs is discovered, and followed.
var _ = Describe("discovery", func() {
	It("follows the resolvers: their address, their ports, and NodeLocal DNSCache, live in policies and status", func() {
		startOperator()
		b := create(dnsBaseline())
		namespace := governed(b)
		inSync(b, 1)
		dns := func() []string { return reaches(specs(namespace)[b.Name+"-allow-dns"]) }
		resolved := func() []string { return get(b).Status.Resolved.DNS }
		pods53 := []string{"pods TCP 53", "pods UDP 53"}
		Expect(dns()).To(Equal(pods53))
		Expect(resolved()).To(Equal([]string{"pods k8s-app=kube-dns in kube-system on UDP 53, TCP 53 (assumed: no DNS Service was found)"}))

		By("a Service with an address, which some networks filter before it is translated")
		kubeDNS := dnsService()
		ip := kubeDNS.Spec.ClusterIP
		Eventually(dns).Should(Equal([]string{ip + "/32 TCP 53", ip + "/32 UDP 53", "pods TCP 53", "pods UDP 53"}))
		Eventually(resolved).Should(Equal([]string{"pods k8s-app=kube-dns in kube-system on UDP 53, TCP 53", ip + " on UDP 53, TCP 53"}))

		By("resolvers that listen on 5353, like OpenShift's")
		slice := endpoints("kube-system", "kube-dns", "kube-dns-1", 5353, "10.244.0.2")
		Eventually(dns).Should(Equal([]string{ip + "/32 TCP 53", ip + "/32 UDP 53", "pods TCP 53", "pods TCP 5353", "pods UDP 53", "pods UDP 5353"}))

		By("NodeLocal DNSCache")
		upstream := service("kube-dns-upstream", map[string]string{"k8s-app": "kube-dns"})
		Eventually(dns).Should(ContainElements("169.254.20.10/32 TCP 53", "169.254.20.10/32 UDP 53"))
		Expect(dns()).NotTo(ContainElement(ContainSubstring(upstream.Spec.ClusterIP)), "it is the cache that asks there")

		By("losing the Service: the last known good stays")
		before := specs(namespace)
		for _, o := range []client.Object{kubeDNS, upstream, slice} {
			Expect(k8s.Delete(ctx, o)).To(Succeed())
		}
		Consistently(func() map[string]networkingv1.NetworkPolicySpec { return specs(namespace) }).Should(Equal(before))
		inSync(b, 1)
	})

	It("takes explicit resolvers and ports for what they are", func() {
		startOperator()
		dnsService()
		b := create(dnsBaseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile.AllowDNS = &v1alpha1.AllowDNS{Resolvers: []v1alpha1.Peer{{CIDR: "192.0.2.53/32"}}, Ports: []v1alpha1.Port{{Protocol: "UDP", Port: intstr.FromInt32(8053)}}}
		}))
		namespace := governed(b)
		now := inSync(b, 1)
		Expect(reaches(specs(namespace)[b.Name+"-allow-dns"])).To(Equal([]string{"192.0.2.53/32 UDP 8053"}))
		Expect(now.Status.Resolved).To(BeNil(), "nothing was discovered for it")
	})

	It("follows the API server's addresses under load, in both families, and lets none go at once", func() {
		startOperator()
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile = v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{}, AllowKubeAPIServer: &v1alpha1.AllowKubeAPIServer{}}
		}))
		first := governed(b)
		inSync(b, 1)
		apiServer := func(namespace string) []string { return reaches(specs(namespace)[b.Name+"-allow-kube-api-server"]) }
		own := apiServer(first)
		Expect(own).To(HaveLen(2), "its Service and its endpoint")

		slice := endpoints("default", "kubernetes", "more", 6443, "192.0.2.1", "192.0.2.2")
		endpoints("default", "kubernetes", "more6", 6443, "2001:db8::1")
		Eventually(func() []string { return apiServer(first) }).Should(ContainElement("192.0.2.2/32 TCP 6443"))
		namespaces := []string{first}
		for i := range 20 {
			namespaces = append(namespaces, governed(b))
			if i%5 == 0 {
				address := fmt.Sprintf("192.0.2.%d", 10+i)
				moved(slice, 6443, "192.0.2.1", address)
				// One that nobody saw cannot be missed.
				Eventually(func() []string { return apiServer(first) }).Should(ContainElement(address + "/32 TCP 6443"))
			}
		}
		moved(slice, 6443, "192.0.2.1", "192.0.2.3")
		want := append(slices.Clone(own), "192.0.2.1/32 TCP 6443", "192.0.2.3/32 TCP 6443", "2001:db8::1/128 TCP 6443",
			// Withdrawn, and allowed for a while: connections outlive the rollover of a control plane.
			"192.0.2.2/32 TCP 6443", "192.0.2.10/32 TCP 6443", "192.0.2.15/32 TCP 6443", "192.0.2.20/32 TCP 6443", "192.0.2.25/32 TCP 6443")
		slices.Sort(want)
		for _, namespace := range namespaces {
			Eventually(func() []string { return apiServer(namespace) }).Should(Equal(want), namespace)
		}
		Eventually(func() []string { return get(b).Status.Resolved.KubeAPIServer }).Should(ContainElements("192.0.2.3 on TCP 6443", "2001:db8::1 on TCP 6443"))
		inSync(b, len(namespaces))

		By("another port, which is another address")
		moved(slice, 443, "192.0.2.1")
		Eventually(func() []string { return apiServer(first) }).Should(ContainElements("192.0.2.1/32 TCP 443", "192.0.2.1/32 TCP 6443"))
	})
})
