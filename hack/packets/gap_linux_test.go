// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/packets/probe"
	"github.com/netbaseline/netbaseline/hack/packets/table"
)

// steadyBaseline allows DNS and the own namespace in all of its versions. What else there is changes.
const steadyBaseline = `
namespaceSelector: {matchLabels: {baseline: steady}}
profile:
  defaultDeny: {}
  allowDNS: {}
  allowSameNamespace: {}
`

// steadyChanges are the rest of the profile, one after another: components come and go, and the deny changes its directions.
var steadyChanges = []string{
	`{blockMetadata: {}}`,
	`{blockMetadata: {}, allowMonitoring: {stacks: [Prometheus]}}`,
	`{defaultDeny: {directions: [Egress]}}`,
	`{allowIngressController: {controllers: [IngressNginx]}}`,
	`{defaultDeny: {directions: [Ingress]}, blockMetadata: {}}`,
	`{}`,
}

// kills are how long after each change the operator is killed.
var kills = []time.Duration{0, 5, 10, 20, 40, 80}

// TestNoGap opens a new connection every few milliseconds, to the cluster's DNS and within the namespace, while a baseline
// arrives, changes, and goes, and while the operator is killed in the midst of each change. None of them may be lost.
func TestNoGap(t *testing.T) {
	ctx := t.Context()
	tab := &table.Table{Namespaces: map[string]*table.Namespace{"steady": {
		Labels: map[string]string{"baseline": "steady"},
		Pods:   map[string]*table.Pod{"client": {}, "server": {}},
	}}}
	t.Cleanup(func() { shared.clear(t, "steady") })
	if err := shared.populate(ctx, tab.Namespaces); err != nil {
		t.Fatal(err)
	}
	all := shared.steady(t, tab)
	canary := tries{{name: "steady/client -> internet TCP/443", Connection: probe.Connection{
		NS: shared.Pod("steady", "client").NS, Network: "tcp", To: netip.AddrPortFrom(shared.world.Addresses["internet"], 443),
	}}}
	if err := shared.wait(ctx, "control", canary.allConnect); err != nil {
		t.Fatal(err)
	}
	beating, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, s := range all {
		running.Go(func() { s.Run(beating) })
	}
	defer running.Wait()
	defer stop()
	since := func(phase string) { reportLosses(t, phase, all) }

	b := shared.steadyLife(t, canary, since)
	if t.Failed() {
		return
	}
	shared.steadyEnd(t, b, canary, since)
	stop()
	running.Wait()
	since("after the last connection")
	for _, s := range all {
		t.Logf("%-50s %6d connections, %d lost, the slowest took %s", s.Name, s.Tried(), s.Lost(), s.Slowest().Round(time.Millisecond))
		if s.Tried() < 100 {
			t.Errorf("%s: only %d connections: this shows nothing", s.Name, s.Tried())
		}
	}
}

// TestGapIsSeen shows that TestNoGap could fail: a deny without its allows is seen within moments.
func TestGapIsSeen(t *testing.T) {
	ctx := t.Context()
	t.Cleanup(func() { shared.clear(t, "steady") })
	tab := &table.Table{Namespaces: map[string]*table.Namespace{"steady": {Pods: map[string]*table.Pod{"client": {}, "server": {}}}}}
	if err := shared.populate(ctx, tab.Namespaces); err != nil {
		t.Fatal(err)
	}
	all := shared.steady(t, tab)
	beating, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, s := range all {
		running.Go(func() { s.Run(beating) })
	}
	defer running.Wait()
	defer stop()
	deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "steady", Name: "deny"}}
	deny.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	if err := shared.Client.Create(ctx, deny); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Client.Delete(context.WithoutCancel(ctx), deny); err != nil {
			t.Error(err)
		}
	})
	for _, s := range all {
		if err := shared.wait(ctx, s.Name, func() error {
			if s.Lost() == 0 {
				return errors.New("nothing is lost")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// steady are the connections that every version of the baseline allows.
func (s *scene) steady(t *testing.T, tab *table.Table) (out []*probe.Steady) {
	t.Helper()
	for _, line := range []string{
		"steady/client -> service kube-system/kube-dns, kube-system/coredns UDP/53, TCP/53",
		"steady/client -> steady/server 8080",
	} {
		connections, err := table.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range connections {
			resolved, err := s.resolve(t.Context(), tab, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range resolved {
				out = append(out, &probe.Steady{
					Name: fmt.Sprintf("%s (%s)", c, r.To), Connection: r, Beat: 10 * time.Millisecond, Timeout: timeout,
				})
			}
		}
	}
	return out
}

// steadyLife applies the baseline and changes it, with the operator running and with the operator killed.
func (s *scene) steadyLife(t *testing.T, canary tries, since func(string)) *v1alpha1.NetworkBaseline {
	t.Helper()
	ctx := t.Context()
	if err := s.operator.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.operator.Kill)
	b := &v1alpha1.NetworkBaseline{}
	b.Name = "steady"
	merge(t, &b.Spec, steadyBaseline)
	if err := s.Client.Create(ctx, b); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.baselineGone(t, b.Name) })
	s.inForce(t, b.Name, canary, true)
	since("the baseline arrives")
	for _, change := range steadyChanges {
		s.change(t, b, change)
		s.inForce(t, b.Name, canary, denies(b))
		since("changed to " + change)
	}
	for i, change := range steadyChanges {
		s.change(t, b, change)
		<-time.After(kills[i] * time.Millisecond)
		s.operator.Kill()
		if err := s.operator.Start(); err != nil {
			t.Fatal(err)
		}
		s.inForce(t, b.Name, canary, denies(b))
		since(fmt.Sprintf("changed to %s, and the operator killed after %d ms", change, kills[i]))
	}
	return b
}

// steadyEnd deletes the baseline, and kills the operator meanwhile.
func (s *scene) steadyEnd(t *testing.T, b *v1alpha1.NetworkBaseline, canary tries, since func(string)) {
	t.Helper()
	ctx := t.Context()
	if err := s.Client.Delete(ctx, b); err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Millisecond)
	s.operator.Kill()
	since("deleted, and the operator killed")
	if err := s.operator.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(ctx, "the end", canary.allConnect); err != nil {
		t.Fatal(err)
	}
	since("deleted")
}

// change replaces the profile by the steady one with a change.
func (s *scene) change(t *testing.T, b *v1alpha1.NetworkBaseline, change string) {
	t.Helper()
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(b), b); err != nil {
		t.Fatal(err)
	}
	before := b.DeepCopy()
	b.Spec.Profile = v1alpha1.Profile{}
	merge(t, &b.Spec, steadyBaseline)
	merge(t, &b.Spec.Profile, change)
	if err := s.Client.Patch(t.Context(), b, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// inForce waits until the baseline is Ready and the canary connects or not.
func (s *scene) inForce(t *testing.T, name string, canary tries, denied bool) {
	t.Helper()
	if err := s.wait(t.Context(), "in force", func() error {
		if err := s.ready(t.Context(), name); err != nil {
			return err
		}
		canary[0].allowed = !denied
		return canary.asTable()
	}); err != nil {
		t.Fatal(err)
	}
}

// denies returns whether the baseline denies egress to the internet.
func denies(b *v1alpha1.NetworkBaseline) bool {
	d := b.Spec.Profile.DefaultDeny
	return d != nil && (len(d.Directions) == 0 || strings.Contains(fmt.Sprint(d.Directions), "Egress"))
}

func merge(t *testing.T, into any, text string) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

func reportLosses(t *testing.T, phase string, all []*probe.Steady) {
	t.Helper()
	var lost []string
	for _, s := range all {
		lost = append(lost, s.Take()...)
	}
	if len(lost) > 0 {
		t.Errorf("%s: %d connections lost:\n  %s", phase, len(lost), strings.Join(lost[:min(len(lost), 20)], "\n  "))
	}
}
