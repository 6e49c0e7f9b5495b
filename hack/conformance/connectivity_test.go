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

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

// TestConnectivityOnRandomPolicies holds controllers/connectivity against both evaluators: on random policies of any
// shape that the API accepts, for each side of each connection, in each address family, as Calico and as Cilium read
// them. CONFORMANCE_SEED repeats one case; CONFORMANCE_TIME=1m looks longer.
func TestConnectivityOnRandomPolicies(t *testing.T) {
	first, limit := firstSeed(t, 6*time.Second)
	start, cases, total := time.Now(), uint64(0), tally{}
	for ; cases == 0 || time.Since(start) < limit && !t.Failed(); cases++ {
		r := random{rand.New(rand.NewPCG(first+cases, 1))}
		c := newComparison(t, first+cases, r, r.rawCluster())
		c.check()
		total.add(c.tally)
	}
	t.Logf("seeds %d to %d: %d sides judged, %d of them isolated, %d allowed by a rule", first, first+cases-1, total.asked, total.isolated, total.allowed)
	if limit > 0 && (total.isolated*10 < total.asked || total.allowed*20 < total.isolated || total.allowed*10 > total.isolated*9) {
		t.Error("the cases are one-sided, and prove little")
	}
}

// TestConnectivityOnRandomBaselines does the same with what random baselines render.
func TestConnectivityOnRandomBaselines(t *testing.T) {
	first, limit := firstSeed(t, time.Second)
	for start, i := time.Now(), uint64(0); i == 0 || time.Since(start) < limit; i++ {
		c := newCase(t, first+i)
		var policies []*networkingv1.NetworkPolicy
		for _, namespace := range slices.Sorted(maps.Keys(c.cluster.Rendered)) {
			for _, rendered := range c.cluster.Rendered[namespace].Policies {
				p := rendered.DeepCopy()
				p.Namespace = namespace
				policies = append(policies, p)
			}
		}
		sets := compile(t, policies)
		for _, pod := range c.pods {
			for _, peer := range c.peers {
				for _, direction := range bothDirections {
					q := Question{direction, pod, peer, pick(c.random, questionPorts...)}
					for _, reading := range []Reading{ByIP, Cilium} {
						want := c.ask(reading, q, nil) || pod == peer
						if got := allows(sets[reading].Judge(connectionOf(q)), q, q.Peer.Address); got != want {
							c.wrong("%s, read %s: the evaluators say %v, connectivity %v", describe(q), reading, want, got)
						}
					}
				}
			}
		}
	}
}

// firstSeed is the first of the seeds, and how long to take more of them: only one if the environment names it.
func firstSeed(t *testing.T, usual time.Duration) (uint64, time.Duration) {
	t.Helper()
	if text := os.Getenv("CONFORMANCE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CONFORMANCE_SEED: %v", err)
		}
		return seed, 0
	}
	if text := os.Getenv("CONFORMANCE_TIME"); text != "" {
		limit, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("CONFORMANCE_TIME: %v", err)
		}
		usual = limit
	}
	return uint64(time.Now().UnixNano()), usual
}

type tally struct{ asked, isolated, allowed int }

func (t *tally) add(o tally) {
	t.asked, t.isolated, t.allowed = t.asked+o.asked, t.isolated+o.isolated, t.allowed+o.allowed
}

// comparison asks everybody about one cluster.
type comparison struct {
	*testing.T
	seed      uint64
	random    random
	cluster   *rawCluster
	enforcers []enforcer
	sets      map[Reading]*connectivity.Set
	tally
}

func newComparison(t *testing.T, seed uint64, r random, cluster *rawCluster) *comparison {
	t.Helper()
	c := &comparison{T: t, seed: seed, random: r, cluster: cluster, sets: compile(t, cluster.policies)}
	for _, e := range Evaluators {
		c.enforcers = append(c.enforcers, newEnforcer(e, defaulted(cluster.policies)))
	}
	return c
}

func compile(t *testing.T, policies []*networkingv1.NetworkPolicy) map[Reading]*connectivity.Set {
	t.Helper()
	out := map[Reading]*connectivity.Set{}
	for reading, network := range map[Reading]connectivity.Network{ByIP: connectivity.ByAddress, Cilium: connectivity.ByIdentity} {
		s, err := connectivity.Compile(policies, network)
		if err != nil {
			t.Fatal(err)
		}
		out[reading] = s
	}
	return out
}

// defaulted sets policyTypes as the API server does before an evaluator sees the policy: both evaluators read it
// literally, and take a policy without it for one that isolates nothing.
func defaulted(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, p := range policies {
		p = p.DeepCopy()
		if p.Spec.PolicyTypes == nil {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if len(p.Spec.Egress) > 0 {
				p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
			}
		}
		out = append(out, p)
	}
	return out
}

var rawPortsAsked = []Port{{"TCP", 80}, {"TCP", 443}, {"UDP", 53}, {"UDP", 80}, {"TCP", 8080}, {"SCTP", 2905}, {"TCP", 200}, {"SCTP", 80}}

func (c *comparison) check() {
	c.Helper()
	for _, pod := range c.cluster.pods {
		for _, direction := range bothDirections {
			for _, peer := range c.cluster.pods {
				c.ask(direction, pod, &peer.Endpoint, peer.addresses)
			}
			for _, address := range c.cluster.outside {
				c.ask(direction, pod, &Endpoint{Name: address.String()}, []netip.Addr{address})
			}
		}
	}
}

// ask asks about one side: once of connectivity for all families, and of the evaluators in each.
func (c *comparison) ask(direction networkingv1.PolicyType, pod *rawPod, peer *Endpoint, addresses []netip.Addr) {
	c.Helper()
	port := pick(c.random, rawPortsAsked...)
	q := Question{direction, &pod.Endpoint, peer, port}
	for _, reading := range []Reading{ByIP, Cilium} {
		verdict := c.sets[reading].Judge(dualStack(q, pod.addresses, addresses))
		for _, address := range addresses {
			if !slices.ContainsFunc(pod.addresses, func(a netip.Addr) bool { return a.Is4() == address.Is4() }) {
				continue
			}
			c.asked++
			// No policy can block a pod's access to itself (kubernetes.io/docs/concepts/services-networking/network-policies).
			// Both evaluators look at the rules alone: they were not asked whether they apply.
			loopback := peer.Name == pod.Name
			got := allows(verdict, q, address)
			for i, e := range c.enforcers {
				asked := q
				withAddress := *peer
				withAddress.Address = address
				asked.Peer = &withAddress
				if want := loopback || e.allows(reading, asked, nil); got != want {
					c.wrong(asked, reading, Evaluators[i].Name, want, got)
				}
			}
			c.count(&verdict, direction, loopback, got)
		}
	}
}

func (c *comparison) count(v *connectivity.Verdict, direction networkingv1.PolicyType, loopback, allowed bool) {
	side := &v.Ingress
	if direction == networkingv1.PolicyTypeEgress {
		side = &v.Egress
	}
	if side.Isolated {
		c.isolated++
		if allowed {
			c.allowed++
		}
	}
	if loopback != (side.Basis == connectivity.Loopback) {
		c.Fatalf("loopback %v, and the side rests on %s", loopback, side.Basis)
	}
}

func (c *comparison) wrong(q Question, reading Reading, evaluator string, want, got bool) {
	c.Helper()
	var text strings.Builder
	for _, p := range c.cluster.policies {
		if p.Namespace == q.Pod.Namespace {
			spec, _ := yaml.Marshal(p.Spec)
			fmt.Fprintf(&text, "%s/%s:\n%s", p.Namespace, p.Name, spec)
		}
	}
	c.Fatalf("repeat it with CONFORMANCE_SEED=%d\n%s (%s), read %s: %s says %v, connectivity %v\npod: %+v\npeer: %+v\n%s",
		c.seed, describe(q), q.Peer.Address, reading, evaluator, want, got, *q.Pod, *q.Peer, text.String())
}

// allows returns the verdict of the side that the question is about.
func allows(v connectivity.Verdict, q Question, address netip.Addr) bool {
	side := &v.Ingress
	if q.Direction == networkingv1.PolicyTypeEgress {
		side = &v.Egress
	}
	return side.Allowed&connectivity.FamilyOf(address) != 0
}

func connectionOf(q Question) *connectivity.Connection {
	// The pods of these worlds have one address, and some peers one of the other family: only the peer's counts.
	return dualStack(q, []netip.Addr{q.Peer.Address}, []netip.Addr{q.Peer.Address})
}

// dualStack is the question as a connection of a pod and a peer with these addresses.
func dualStack(q Question, pod, peer []netip.Addr) *connectivity.Connection {
	c := &connectivity.Connection{Protocol: q.Port.Protocol, Port: q.Port.Number}
	own, other := &c.Destination, &c.Source
	if q.Direction == networkingv1.PolicyTypeEgress {
		own, other = other, own
	}
	*own, *other = endOf(q.Pod, pod), endOf(q.Peer, peer)
	return c
}

func endOf(e *Endpoint, addresses []netip.Addr) connectivity.Endpoint {
	if !e.IsPod() {
		out := connectivity.Endpoint{Address: addresses[0]}
		if e.Node {
			out.Node = e.Name
		}
		return out
	}
	p := &connectivity.Pod{Namespace: e.Namespace, NamespaceLabels: e.NamespaceLabels, Name: e.Name, Labels: e.Labels, Addresses: addresses}
	for name, port := range e.Named {
		p.Ports = append(p.Ports, connectivity.NamedPort{Name: name, Protocol: port.Protocol, Number: port.Number})
	}
	return connectivity.Endpoint{Pod: p}
}
