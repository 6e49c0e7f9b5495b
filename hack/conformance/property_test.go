// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// TestRandomBaselines makes random baselines and asks both evaluators about a sample of all connections:
//
//   - they agree with each other, under every reading;
//   - while metadata is blocked, no pod that is not exempt reaches a metadata address, but for resolvers that are named
//     by address, on their ports;
//   - in a direction that is denied by default nothing is allowed that no baseline declares, and all that one does;
//   - each flow is allowed at each of its ends that its baseline governs.
//
// CONFORMANCE_SEED repeats one case; CONFORMANCE_TIME=1m looks longer than the usual seconds.
func TestRandomBaselines(t *testing.T) {
	if text := os.Getenv("CONFORMANCE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CONFORMANCE_SEED: %v", err)
		}
		newCase(t, seed).check()
		return
	}
	limit := 6 * time.Second
	if text := os.Getenv("CONFORMANCE_TIME"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatalf("CONFORMANCE_TIME: %v", err)
		}
	}
	start := time.Now()
	first := uint64(start.UnixNano())
	cases, asked := uint64(0), 0
	for ; (time.Since(start) < limit || cases < 20) && !t.Failed(); cases++ {
		c := newCase(t, first+cases)
		c.check()
		asked += c.asked
	}
	t.Logf("seeds %d to %d, %d questions", first, first+cases-1, asked)
}

type randomCase struct {
	*testing.T
	seed      uint64
	random    random
	cluster   *Cluster
	baselines []*v1alpha1.NetworkBaseline
	facts     policy.Facts
	pods      []*Endpoint // of governed namespaces
	peers     []*Endpoint
	asked     int
}

func newCase(t *testing.T, seed uint64) *randomCase {
	t.Helper()
	c := &randomCase{T: t, seed: seed, random: random{rand.New(rand.NewPCG(seed, 0))}}
	common, err := ReadWorld("testdata/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	world := common.Join(c.random.world())
	world.Nodes["nodelocal"] = netip.MustParseAddr("169.254.20.10")
	c.baselines, c.facts = c.random.baselines(), world.Facts()
	if c.cluster, err = world.Govern(c.baselines); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range slices.Sorted(maps.Keys(world.Namespaces)) {
		for _, pod := range slices.Sorted(maps.Keys(world.Namespaces[namespace].Pods)) {
			e := c.endpoint(namespace + "/" + pod)
			c.peers = append(c.peers, e)
			if c.cluster.Governed[namespace] != nil {
				c.pods = append(c.pods, e)
			}
		}
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(world.Nodes)), slices.Sorted(maps.Keys(world.Addresses))) {
		c.peers = append(c.peers, c.endpoint(name))
	}
	for _, address := range []string{"192.0.2.7", "192.0.2.200", "130.211.0.5", "10.96.0.1", "10.96.0.10", "128.0.0.1"} {
		c.peers = append(c.peers, c.endpoint(address))
	}
	return c
}

func (c *randomCase) endpoint(name string) *Endpoint {
	e, err := c.cluster.Endpoint(name)
	if err != nil {
		c.Fatal(err)
	}
	return e
}

func (c *randomCase) wrong(format string, args ...any) {
	c.Helper()
	var out strings.Builder
	for _, b := range c.baselines {
		spec, _ := yaml.Marshal(b.Spec)
		fmt.Fprintf(&out, "baseline %s:\n%s\n", b.Name, spec)
	}
	c.Fatalf("repeat it with CONFORMANCE_SEED=%d\n%s\n%s", c.seed, fmt.Sprintf(format, args...), out.String())
}

var questionPorts = []Port{{"TCP", 80}, {"TCP", 443}, {"UDP", 53}, {"TCP", 53}, {"TCP", 8080}, {"TCP", 8083}, {"UDP", 5353}, {"TCP", 6443}}

var bothDirections = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}

func (c *randomCase) check() {
	c.Helper()
	for _, pod := range c.pods {
		for _, peer := range c.peers {
			for _, d := range bothDirections {
				for range 2 {
					c.askDeclared(Question{d, pod, peer, pick(c.random, questionPorts...)})
				}
			}
		}
		c.askMetadata(pod)
		c.askServices(pod)
	}
	c.askFlows()
}

// ask returns the verdict on which both evaluators agree.
func (c *randomCase) ask(r Reading, q Question, service *Service) bool {
	c.Helper()
	c.asked++
	answers := c.cluster.Side(r, q, service)
	for i, answer := range answers {
		if answer != answers[0] {
			c.wrong("%s, read %s: %s says %v and %s says %v", describe(q), r, Evaluators[0].Name, answers[0], Evaluators[i].Name, answer)
		}
	}
	return answers[0]
}

func describe(q Question) string {
	if q.Direction == networkingv1.PolicyTypeIngress {
		return fmt.Sprintf("ingress of %s from %s on %s", q.Pod.Name, q.Peer.Name, q.Port)
	}
	return fmt.Sprintf("egress of %s to %s on %s", q.Pod.Name, q.Peer.Name, q.Port)
}

// askDeclared compares with what is declared.
func (c *randomCase) askDeclared(q Question) {
	c.Helper()
	for _, r := range []Reading{ByIP, Cilium} {
		got := c.ask(r, q, nil)
		if want := c.intentFor(r, q.Pod).allows(q); got != want {
			c.wrong("%s, read %s: allowed %v, declared %v", describe(q), r, got, want)
		}
	}
}

// askMetadata looks at metadata addresses alone, without the intent's help.
func (c *randomCase) askMetadata(pod *Endpoint) {
	c.Helper()
	blocked, exempt := false, false
	var resolvers []netip.Prefix
	for _, dns := range c.facts.DNS {
		for _, peer := range dns.Peers {
			resolvers = addRange(resolvers, peer.CIDR)
		}
	}
	for _, b := range c.governing(pod) {
		profile := &b.Spec.Profile
		if block := profile.BlockMetadata; block != nil {
			blocked = blocked || selects(block.PodSelector, pod.Labels)
			for i := range block.Exemptions {
				exempt = exempt || selects(&block.Exemptions[i].PodSelector, pod.Labels)
			}
		}
		if profile.AllowDNS != nil {
			for _, peer := range profile.AllowDNS.Resolvers {
				resolvers = addRange(resolvers, peer.CIDR)
			}
		}
	}
	if !blocked || exempt {
		return
	}
	for _, peer := range c.peers {
		if !isMetadata(peer.Address) {
			continue
		}
		for _, port := range questionPorts {
			isDNS := port.Number == 53 || port.Number == 5353
			named := slices.ContainsFunc(resolvers, func(p netip.Prefix) bool { return p.Bits() == p.Addr().BitLen() && p.Contains(peer.Address) })
			for _, r := range Readings {
				if (!isDNS || !named) && c.ask(r, Question{networkingv1.PolicyTypeEgress, pod, peer, port}, nil) {
					c.wrong("%s reaches metadata at %s on %s, read %s", pod.Name, peer.Name, port, r)
				}
			}
		}
	}
}

func addRange(all []netip.Prefix, cidr v1alpha1.CIDR) []netip.Prefix {
	if cidr == "" {
		return all
	}
	return append(all, netip.MustParsePrefix(string(cidr)))
}

// askServices has the evaluators agree on connections to Services too.
func (c *randomCase) askServices(pod *Endpoint) {
	c.Helper()
	for _, name := range []string{"shop/web", "bank/db", "default/kubernetes"} {
		port := Port{"TCP", 80}
		if name == "default/kubernetes" {
			port.Number = 443
		}
		service, backends, target, err := c.cluster.Service(name, port)
		if err != nil {
			c.Fatal(err)
		}
		c.ask(BeforeDNAT, Question{networkingv1.PolicyTypeEgress, pod, backends[0], target}, service)
	}
}

// askFlows takes every flow at its word.
func (c *randomCase) askFlows() {
	c.Helper()
	for _, b := range c.baselines {
		for i := range b.Spec.Flows {
			flow := &b.Spec.Flows[i]
			for _, from := range c.peers {
				for _, to := range c.peers {
					port := pick(c.random, questionPorts...)
					c.askFlow(b, flow, from, to, port)
				}
			}
		}
	}
}

func (c *randomCase) askFlow(b *v1alpha1.NetworkBaseline, flow *v1alpha1.Flow, from, to *Endpoint, port Port) {
	c.Helper()
	governs := func(e *Endpoint) bool { return slices.Contains(c.cluster.Governed[e.Namespace], b.Name) }
	within := flow.From.CIDR == "" && flow.To.CIDR == "" && flow.From.NamespaceSelector == nil
	if within && from.Namespace != to.Namespace || !flowEnd(&flow.From, from) || !flowEnd(&flow.To, to) || !onPort(flow.Ports, port, to) {
		return
	}
	// Without a namespaceSelector an end is pods of the namespaces that the baseline governs.
	for _, end := range []struct {
		peer *v1alpha1.Peer
		e    *Endpoint
	}{{&flow.From, from}, {&flow.To, to}} {
		if end.peer.CIDR == "" && end.peer.NamespaceSelector == nil && !governs(end.e) {
			return
		}
	}
	// An end by address is not generated: it is outside of the cluster, or somebody else's.
	if flow.From.CIDR == "" && governs(from) && !(flow.To.CIDR != "" && c.intentFor(ByIP, from).isBlocked(from, to)) {
		if q := (Question{networkingv1.PolicyTypeEgress, from, to, port}); !c.ask(ByIP, q, nil) {
			c.wrong("flow %s of baseline %s: %s is denied", flow.Name, b.Name, describe(q))
		}
	}
	if flow.To.CIDR == "" && governs(to) {
		if q := (Question{networkingv1.PolicyTypeIngress, to, from, port}); !c.ask(ByIP, q, nil) {
			c.wrong("flow %s of baseline %s: %s is denied", flow.Name, b.Name, describe(q))
		}
	}
}

func flowEnd(peer *v1alpha1.Peer, e *Endpoint) bool {
	if peer.CIDR != "" {
		return inRange(peer, e.Address)
	}
	return e.IsPod() && selects(peer.NamespaceSelector, e.NamespaceLabels) && selects(peer.PodSelector, e.Labels)
}

func (c *randomCase) governing(pod *Endpoint) []*v1alpha1.NetworkBaseline {
	var out []*v1alpha1.NetworkBaseline
	for _, b := range c.baselines {
		if slices.Contains(c.cluster.Governed[pod.Namespace], b.Name) {
			out = append(out, b)
		}
	}
	return out
}

func (c *randomCase) intentFor(r Reading, pod *Endpoint) *intent {
	return &intent{reading: r, namespace: pod.Namespace, namespaceLabels: pod.NamespaceLabels, baselines: c.governing(pod), facts: c.facts}
}

// intent is what the baselines of a namespace declare, read from their specs and the documentation alone.
type intent struct {
	reading         Reading
	namespace       string
	namespaceLabels map[string]string
	baselines       []*v1alpha1.NetworkBaseline
	facts           policy.Facts
}

func (i *intent) allows(q Question) bool {
	if q.Direction == networkingv1.PolicyTypeIngress {
		return i.allowsIngress(q.Pod, q.Peer, q.Port)
	}
	return i.allowsEgress(q.Pod, q.Peer, q.Port)
}

func (i *intent) any(f func(*v1alpha1.NetworkBaselineSpec) bool) bool {
	return slices.ContainsFunc(i.baselines, func(b *v1alpha1.NetworkBaseline) bool { return f(&b.Spec) })
}

func (i *intent) allowsIngress(pod, peer *Endpoint, port Port) bool {
	if !slices.ContainsFunc(i.baselines, func(b *v1alpha1.NetworkBaseline) bool { return denies(b, v1alpha1.Ingress) }) {
		return true
	}
	return i.any(func(spec *v1alpha1.NetworkBaselineSpec) bool {
		p := &spec.Profile
		if allow := p.AllowIngressController; allow != nil {
			from := slices.Clone(allow.From)
			for _, name := range allow.Controllers {
				from = append(from, map[v1alpha1.IngressController][]v1alpha1.Peer{
					v1alpha1.IngressNginx:    {{NamespaceSelector: labelled(corev1.LabelMetadataName, "ingress-nginx"), PodSelector: labelled("app.kubernetes.io/name", "ingress-nginx")}},
					v1alpha1.GKELoadBalancer: {{CIDR: "130.211.0.0/22"}, {CIDR: "35.191.0.0/16"}},
				}[name]...)
			}
			if selects(allow.PodSelector, pod.Labels) && i.oneOf(from, peer) && onPort(allow.Ports, port, pod) {
				return true
			}
		}
		if allow := p.AllowMonitoring; allow != nil {
			from := append(slices.Clone(allow.From), v1alpha1.Peer{
				NamespaceSelector: labelled(corev1.LabelMetadataName, "monitoring"), PodSelector: labelled("app.kubernetes.io/name", "prometheus"),
			})
			if selects(allow.PodSelector, pod.Labels) && i.oneOf(from, peer) && onPort(allow.Ports, port, pod) {
				return true
			}
		}
		if same := p.AllowSameNamespace; same != nil && toward(same.Directions, v1alpha1.Ingress) && peer.Namespace == i.namespace {
			return true
		}
		return slices.ContainsFunc(spec.Flows, func(f v1alpha1.Flow) bool {
			return i.isEnd(&f.To, pod) && i.oneOf([]v1alpha1.Peer{f.From}, peer) && onPort(f.Ports, port, pod)
		})
	})
}

func (i *intent) allowsEgress(pod, peer *Endpoint, port Port) bool {
	if !slices.ContainsFunc(i.baselines, func(b *v1alpha1.NetworkBaseline) bool { return denies(b, v1alpha1.Egress) }) {
		isBlockedPod := i.any(func(spec *v1alpha1.NetworkBaselineSpec) bool {
			block := spec.Profile.BlockMetadata
			return block != nil && selects(block.PodSelector, pod.Labels)
		})
		everything := i.oneOf([]v1alpha1.Peer{{NamespaceSelector: &v1alpha1.LabelSelector{}}, {CIDR: "0.0.0.0/0"}, {CIDR: "::/0"}}, peer)
		return !isBlockedPod || everything && (peer.IsPod() || !i.isBlocked(pod, peer) || i.isResolver(pod, peer, port, true)) || i.isExempt(pod, peer, port)
	}
	if i.isResolver(pod, peer, port, false) || i.isExempt(pod, peer, port) {
		return true
	}
	return i.any(func(spec *v1alpha1.NetworkBaselineSpec) bool {
		p := &spec.Profile
		if allow := p.AllowKubeAPIServer; allow != nil && selects(allow.PodSelector, pod.Labels) {
			for _, a := range i.facts.KubeAPIServer {
				// Named by address and port: blocked or not.
				if i.oneOf(a.Peers, peer) && onPort(a.Ports, port, peer) {
					return true
				}
			}
		}
		if same := p.AllowSameNamespace; same != nil && toward(same.Directions, v1alpha1.Egress) && peer.Namespace == i.namespace {
			return true
		}
		return slices.ContainsFunc(spec.Flows, func(f v1alpha1.Flow) bool {
			return i.isEnd(&f.From, pod) && i.oneOf([]v1alpha1.Peer{f.To}, peer) && onPort(f.Ports, port, peer) && (f.To.CIDR == "" || !i.isBlocked(pod, peer))
		})
	})
}

// isResolver says whether a baseline allows the peer as a resolver. Resolvers in the blocked ranges stay reachable when
// they are named by address; with evenUndeclared, those of the cluster do without allowDNS.
func (i *intent) isResolver(pod, peer *Endpoint, port Port, evenUndeclared bool) bool {
	declared := func(dns *v1alpha1.AllowDNS) bool {
		both := []v1alpha1.Port{{Protocol: corev1.ProtocolUDP, Port: intstr.FromInt32(53)}, {Port: intstr.FromInt32(53)}}
		all := i.facts.DNS
		if len(all) == 0 {
			all = []policy.Allowance{{Peers: []v1alpha1.Peer{{
				NamespaceSelector: labelled(corev1.LabelMetadataName, "kube-system"), PodSelector: labelled("k8s-app", "kube-dns"),
			}}, Ports: both}}
		}
		if len(dns.Resolvers) > 0 {
			all = []policy.Allowance{{Peers: dns.Resolvers, Ports: both}}
		}
		for _, a := range all {
			ports := a.Ports
			if len(dns.Ports) > 0 {
				ports = dns.Ports
			}
			for _, resolver := range a.Peers {
				// The ports that a user names are those of pods: a discovered address stays on its own.
				if len(dns.Resolvers) == 0 && resolver.CIDR != "" {
					ports = a.Ports
				}
				if i.oneOf([]v1alpha1.Peer{resolver}, peer) && onPort(ports, port, peer) && (resolver.CIDR == "" || !i.isBlocked(pod, peer) || i.isInside(pod, resolver.CIDR)) {
					return true
				}
			}
		}
		return false
	}
	return evenUndeclared && declared(&v1alpha1.AllowDNS{}) ||
		i.any(func(spec *v1alpha1.NetworkBaselineSpec) bool {
			return spec.Profile.AllowDNS != nil && declared(spec.Profile.AllowDNS)
		})
}

func (i *intent) isExempt(pod, peer *Endpoint, port Port) bool {
	return i.any(func(spec *v1alpha1.NetworkBaselineSpec) bool {
		return spec.Profile.BlockMetadata != nil && slices.ContainsFunc(spec.Profile.BlockMetadata.Exemptions, func(e v1alpha1.MetadataExemption) bool {
			return selects(&e.PodSelector, pod.Labels) && i.oneOf([]v1alpha1.Peer{{CIDR: e.CIDR}}, peer) && onPort(e.Ports, port, peer)
		})
	})
}

// blockedRanges are the metadata addresses, and what the blocks of a pod add to them; none without a block.
func (i *intent) blockedRanges(pod *Endpoint) []netip.Prefix {
	var out []netip.Prefix
	on := false
	for _, b := range i.baselines {
		if block := b.Spec.Profile.BlockMetadata; block != nil && selects(block.PodSelector, pod.Labels) {
			on = true
			for _, cidr := range block.AdditionalCIDRs {
				out = addRange(out, cidr)
			}
		}
	}
	if on {
		out = append(out, metadataRanges...)
	}
	return out
}

func (i *intent) isBlocked(pod, e *Endpoint) bool {
	return slices.ContainsFunc(i.blockedRanges(pod), func(p netip.Prefix) bool { return p.Contains(e.Address) })
}

func (i *intent) isInside(pod *Endpoint, cidr v1alpha1.CIDR) bool {
	inner := netip.MustParsePrefix(string(cidr))
	return slices.ContainsFunc(i.blockedRanges(pod), func(p netip.Prefix) bool { return p.Contains(inner.Addr()) && p.Bits() <= inner.Bits() })
}

func (i *intent) isEnd(end *v1alpha1.Peer, pod *Endpoint) bool {
	return end.CIDR == "" && selects(end.NamespaceSelector, i.namespaceLabels) && selects(end.PodSelector, pod.Labels)
}

// oneOf says whether the endpoint is one of the peers.
func (i *intent) oneOf(peers []v1alpha1.Peer, e *Endpoint) bool {
	return slices.ContainsFunc(peers, func(p v1alpha1.Peer) bool {
		if p.CIDR != "" {
			return (i.reading != Cilium || !e.IsPod() && !e.Node) && inRange(&p, e.Address)
		}
		return e.IsPod() && (p.NamespaceSelector != nil || e.Namespace == i.namespace) &&
			selects(p.NamespaceSelector, e.NamespaceLabels) && selects(p.PodSelector, e.Labels)
	})
}

// metadataRanges are the addresses that clouds serve metadata at, written out once more: what the code blocks must
// hold all of them.
var metadataRanges = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("192.0.0.192/32"), netip.MustParsePrefix("fd00:ec2::254/128"), netip.MustParsePrefix("fd00:ec2::23/128"),
	netip.MustParsePrefix("fd20:ce::254/128"), netip.MustParsePrefix("fd00:100::100:200/128"), netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"),
	netip.MustParsePrefix("fe80::a9fe:a9fe/128"), netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"), netip.MustParsePrefix("fd00:42::42/128"),
}

func isMetadata(a netip.Addr) bool {
	return slices.ContainsFunc(metadataRanges, func(p netip.Prefix) bool { return p.Contains(a) })
}

func inRange(p *v1alpha1.Peer, a netip.Addr) bool {
	contains := func(cidr v1alpha1.CIDR) bool { return netip.MustParsePrefix(string(cidr)).Contains(a) }
	return contains(p.CIDR) && !slices.ContainsFunc(p.Except, contains)
}

func denies(b *v1alpha1.NetworkBaseline, d v1alpha1.Direction) bool {
	return b.Spec.Profile.DefaultDeny != nil && toward(b.Spec.Profile.DefaultDeny.Directions, d)
}

// toward reads a list of directions, where none means both.
func toward(all []v1alpha1.Direction, d v1alpha1.Direction) bool {
	return len(all) == 0 || slices.Contains(all, d)
}

func selects(s *v1alpha1.LabelSelector, set map[string]string) bool {
	selector, err := s.Selector()
	if err != nil {
		panic(err)
	}
	return selector.Matches(labels.Set(set))
}

// onPort says whether the port is one of the list, where none means all, at this destination.
func onPort(list []v1alpha1.Port, port Port, destination *Endpoint) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(p v1alpha1.Port) bool {
		switch {
		case p.Protocol != port.Protocol && (p.Protocol != "" || port.Protocol != corev1.ProtocolTCP):
			return false
		case p.Port.Type == intstr.String:
			return destination.Named[p.Port.StrVal] == port
		case p.EndPort != nil:
			return p.Port.IntVal <= port.Number && port.Number <= *p.EndPort
		default:
			return p.Port.IntVal == port.Number
		}
	})
}
