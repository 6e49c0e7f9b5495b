// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fakeCache answers with what it was given.
type fakeCache struct {
	client.Reader
	services  []corev1.Service
	endpoints []discoveryv1.EndpointSlice
	err       error
}

func (f *fakeCache) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	switch list := list.(type) {
	case *corev1.ServiceList:
		for _, s := range f.services {
			if s.Namespace == o.Namespace {
				list.Items = append(list.Items, s)
			}
		}
	case *discoveryv1.EndpointSliceList:
		for _, s := range f.endpoints {
			if s.Namespace == o.Namespace {
				list.Items = append(list.Items, s)
			}
		}
	}
	return f.err
}

type tracked struct {
	*Tracker
	cache *fakeCache
	clock time.Time
}

func track(t *testing.T, services ...string) *tracked {
	t.Helper()
	tr := &tracked{cache: &fakeCache{services: parse[corev1.Service](t, services...)}, clock: time.Unix(1_000_000, 0)}
	tr.Tracker = NewTracker(tr.cache)
	tr.now = func() time.Time { return tr.clock }
	return tr
}

func (tr *tracked) apiServerAt(t *testing.T, addresses ...string) {
	t.Helper()
	tr.cache.endpoints = parse[discoveryv1.EndpointSlice](t, slice("default/kubernetes", "kubernetes", "{addresses: ["+strings.Join(addresses, ", ")+"]}", "{port: 6443, protocol: TCP}"))
}

// refreshed looks again and checks what came of it.
func (tr *tracked) refreshed(t *testing.T, step string, wantChanged bool, wantAgain time.Duration, wantAPIServer ...string) {
	t.Helper()
	changed, again, err := tr.Refresh(t.Context())
	if err != nil || changed != wantChanged || again != wantAgain {
		t.Errorf("%s: changed %v, again in %s, %v; want %v, %s", step, changed, again, err, wantChanged, wantAgain)
	}
	found, _ := tr.Current(t.Context())
	if got := Describe(found.KubeAPIServer, 32); !slices.Equal(got, wantAPIServer) {
		t.Errorf("%s: got %q, want %q", step, got, wantAPIServer)
	}
}

func TestTrackerKeepsTheLastKnownGood(t *testing.T) {
	tr := track(t, kubeDNS, kubernetes)
	before, version := tr.Current(t.Context())
	if len(before.DNS) != 2 || version != 1 {
		t.Fatalf("got %+v, version %d", before, version)
	}
	services := tr.cache.services
	tr.cache.services = nil
	tr.refreshed(t, "everything is gone", false, 0, "10.96.0.1 on TCP 443")
	after, version := tr.Current(t.Context())
	if !slices.Equal(Describe(after.DNS, 32), Describe(before.DNS, 32)) || version != 1 {
		t.Errorf("got %+v, version %d; want %+v still", after, version, before)
	}
	tr.cache.services = services
	tr.cache.err = errors.New("no")
	if _, _, err := tr.Refresh(t.Context()); err == nil {
		t.Error("an error of the cache is lost")
	}
	tr.cache.err = nil
	tr.cache.services = parse[corev1.Service](t, kubernetes, strings.ReplaceAll(kubeDNS, "10.96.0.10", "10.96.0.11"))
	tr.refreshed(t, "DNS comes back elsewhere", true, 5*time.Minute, "10.96.0.1 on TCP 443")
	after, version = tr.Current(t.Context())
	if got := Describe(after.DNS, 32); got[1] != "10.96.0.11 on UDP 53, TCP 53" || version != 2 {
		t.Errorf("got %q, version %d", got, version)
	}
}

func TestTrackerKeepsWithdrawnAddressesForAWhile(t *testing.T) {
	tr := track(t, kubernetes)
	const service, a, b, c = "10.96.0.1 on TCP 443", "192.0.2.1 on TCP 6443", "192.0.2.2 on TCP 6443", "192.0.2.3 on TCP 6443"
	tr.apiServerAt(t, "192.0.2.1", "192.0.2.2")
	tr.refreshed(t, "the first look changes nothing", false, 0, service, a, b)
	tr.apiServerAt(t, "192.0.2.2", "192.0.2.3")
	tr.refreshed(t, "one address for another", true, 5*time.Minute, service, b, c, a)
	tr.clock = tr.clock.Add(2 * time.Minute)
	tr.apiServerAt(t, "192.0.2.3")
	tr.refreshed(t, "a second one goes", true, 3*time.Minute, service, c, a, b)
	tr.clock = tr.clock.Add(3 * time.Minute)
	tr.refreshed(t, "the grace of the first is over", true, 2*time.Minute, service, c, b)
	tr.apiServerAt(t, "192.0.2.2", "192.0.2.3")
	tr.refreshed(t, "the second comes back", true, 0, service, b, c)
	tr.clock = tr.clock.Add(time.Hour)
	tr.refreshed(t, "and is not dropped", false, 0, service, b, c)
	if _, version := tr.Current(t.Context()); version != 5 {
		t.Errorf("version %d, want 5", version)
	}
}

// A slice that loses its ports while it is replaced, and NodeLocal DNSCache whose Service is replaced, take no port and no
// address away at once.
func TestTrackerKeepsEachLostItemForAWhile(t *testing.T) {
	upstream := `{metadata: {namespace: kube-system, name: kube-dns-upstream}, spec: {clusterIPs: [10.96.0.77], selector: {k8s-app: kube-dns}, ports: [{port: 53}]}}`
	tr := track(t, kubeDNS, upstream)
	tr.cache.endpoints = parse[discoveryv1.EndpointSlice](t, slice("kube-system/kube-dns", "a", "{addresses: [10.244.0.2]}", "{name: dns, protocol: UDP, port: 5353}"))
	before, _ := tr.Current(t.Context())
	want := Describe(before.DNS, 32)
	tr.cache.services = parse[corev1.Service](t, kubeDNS)
	tr.cache.endpoints = nil
	tr.refreshed(t, "both are lost", false, 5*time.Minute)
	after, _ := tr.Current(t.Context())
	if got := Describe(after.DNS, 32); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("got %q, want %q", got, want)
	}
	tr.clock = tr.clock.Add(5 * time.Minute)
	tr.refreshed(t, "the grace is over", true, 0)
	after, _ = tr.Current(t.Context())
	if got := Describe(after.DNS, 32); !slices.Equal(got, []string{"pods k8s-app=kube-dns in kube-system on UDP 53, TCP 53", "10.96.0.10 on UDP 53, TCP 53"}) {
		t.Errorf("got %q", got)
	}
}
