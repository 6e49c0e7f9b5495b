// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func pod(called, ip string, owner ...string) *corev1.Pod {
	yes := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: called, Labels: map[string]string{"app": called}}}
	p.Status.PodIPs = []corev1.PodIP{{IP: ip}}
	if len(owner) > 0 {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: owner[0], Name: owner[1], Controller: &yes}}
		p.Labels["pod-template-hash"] = "5d8c"
	}
	return p
}

// TestWorkloads: the workload of a pod, by its owner.
func TestWorkloads(t *testing.T) {
	for _, tc := range []struct {
		p    *corev1.Pod
		want Workload
	}{
		{pod("web-5d8c-x", "", "ReplicaSet", "web-5d8c"), Workload{"Deployment", "web"}},
		{pod("db-0", "", "StatefulSet", "db"), Workload{"StatefulSet", "db"}},
		{pod("backup-29000000-x", "", "Job", "backup-29000000"), Workload{"CronJob", "backup"}},
		{pod("migrate-7-x", "", "Job", "migrate-7"), Workload{"Job", "migrate-7"}},
		{pod("alone", ""), Workload{"Pod", "alone"}},
	} {
		if got := workloadOf(tc.p); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.p.Name, got, tc.want)
		}
	}
}

// TestAddresses: what has an address, and what does not.
func TestAddresses(t *testing.T) {
	var i Inventory
	i.AddNamespace("a", map[string]string{"team": "x"})
	i.AddPod(pod("web", "10.0.0.1"))
	done := pod("done", "10.0.0.2")
	done.Status.Phase = corev1.PodSucceeded
	i.AddPod(done)
	host := pod("host", "192.168.0.1")
	host.Spec.HostNetwork = true
	i.AddPod(host)
	i.AddNode(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.9.0.0/16"}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Address: "192.168.0.1"}, {Address: "node.example"}}}})
	i.AddService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}, Spec: corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.1", "None"}}})
	for address, want := range map[string]struct {
		pod, node, service string
		podRange           bool
	}{
		"10.0.0.1":        {pod: "web", podRange: true},
		"::ffff:10.0.0.1": {pod: "web", podRange: true},
		"10.0.0.2":        {podRange: true},
		"10.9.9.9":        {podRange: true},
		"192.168.0.1":     {node: "node"},
		"10.96.0.1":       {service: "a/web"},
		"8.8.8.8":         {},
	} {
		a := netip.MustParseAddr(address)
		got, service := "", ""
		if e := i.At(a); e != nil {
			got = e.Name
		}
		if s := i.ServiceAt(a); s != nil {
			service = s.Namespace + "/" + s.Name
		}
		if got != want.pod || i.Node(a) != want.node || service != want.service || i.IsPodRange(a) != want.podRange {
			t.Errorf("%s: pod %q, node %q, service %q, pod range %v", a, got, i.Node(a), service, i.IsPodRange(a))
		}
	}
	if got := i.Pod("a", "web").NamespaceLabels; got["team"] != "x" || got[corev1.LabelMetadataName] != "a" {
		t.Errorf("labels of the namespace: %v", got)
	}
	if got := i.Select("a", map[string]string{"app": "done"}); len(got) != 1 || got[0].Name != "done" {
		t.Errorf("selected: %v", got)
	}
}

// TestTemplates: a workload in a manifest stands for its pods, until there are some.
func TestTemplates(t *testing.T) {
	var i Inventory
	i.AddPod(pod("web-5d8c-x", "10.0.0.1", "ReplicaSet", "web-5d8c"))
	i.AddTemplate("Deployment", "a", "web", &corev1.PodTemplateSpec{})
	i.AddTemplate("Deployment", "a", "api", &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "api"}}})
	if got := i.Workload("a", "api"); len(got) != 1 || got[0].Labels["app"] != "api" || len(got[0].Addresses) != 0 {
		t.Errorf("template: %v", got)
	}
	if got := i.Workload("a", "web"); len(got) != 1 || got[0].Name != "web-5d8c-x" {
		t.Errorf("workload: %v", got)
	}
}
