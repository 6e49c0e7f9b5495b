// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/packets/probe"
	"github.com/netbaseline/netbaseline/hack/packets/table"
)

// TestMetadata has pods ask the metadata service on their node, with agnhost as everybody else does: those of a namespace
// that blocks it are refused, and those of a namespace beside it get their answer.
func TestMetadata(t *testing.T) {
	ctx := t.Context()
	t.Cleanup(func() { shared.clear(t, "blocked", "open") })
	if err := shared.populate(ctx, map[string]*table.Namespace{
		"blocked": {Labels: map[string]string{"metadata": "blocked"}, Pods: map[string]*table.Pod{"web": {}}},
		"open":    {Pods: map[string]*table.Pod{"web": {}}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := shared.operator.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shared.operator.Kill)
	b := &v1alpha1.NetworkBaseline{}
	b.Name = "metadata"
	merge(t, &b.Spec, "{namespaceSelector: {matchLabels: {metadata: blocked}}, profile: {blockMetadata: {}}}")
	if err := shared.Client.Create(ctx, b); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shared.baselineGone(t, b.Name) })
	if err := shared.wait(ctx, "Ready", func() error { return shared.ready(ctx, b.Name) }); err != nil {
		t.Fatal(err)
	}
	imdsPort := netip.AddrPortFrom(imds, 80)
	// A new pod is open for a moment, until the network knows it: one that runs already shows when that is over.
	web := tries{{name: "blocked/web -> imds", Connection: probe.Connection{NS: shared.Pod("blocked", "web").NS, Network: "tcp", To: imdsPort}}}
	if err := shared.wait(ctx, "enforcement", web.asTable); err != nil {
		t.Fatal(err)
	}
	for namespace, want := range map[string]string{"blocked": "Failed 1 REFUSED", "open": "Succeeded 0 "} {
		script := "sleep 2; exec agnhost connect --timeout=3s " + imdsPort.String()
		got := shared.runPod(t, agnhostPod(namespace, "ask", script))
		if got != want {
			t.Errorf("a pod of namespace %s that asks the metadata service: %q, want %q", namespace, got, want)
		}
	}
}

// TestKnownLimits shows what kube-router does not enforce, which docs/profile.md says. When it fails, because kube-router
// does now, the document is to be changed.
func TestKnownLimits(t *testing.T) {
	ctx := t.Context()
	t.Cleanup(func() { shared.clear(t, "limits") })
	if err := shared.populate(ctx, map[string]*table.Namespace{"limits": {Pods: map[string]*table.Pod{"web": {}}}}); err != nil {
		t.Fatal(err)
	}
	web := shared.Pod("limits", "web")
	from := func(name string, a netip.Addr, source netip.Addr, allowed bool) *try {
		return &try{name: name, allowed: allowed, Connection: probe.Connection{NS: web.NS, Network: "tcp", From: source, To: netip.AddrPortFrom(a, 443)}}
	}
	all := tries{
		from("fc00::/7 is an exception of ::/0, and is allowed within fd00::/8", shared.world.Addresses["private6"], netip.Addr{}, true),
		from("the node by link-local address, from the pod's own", openstack, netip.Addr{}, true),
		from("the node by link-local address, from the pod's address", openstack, web.IPv6, false),
		from("the internet by IPv6", shared.world.Addresses["internet6"], netip.Addr{}, true),
		from("the internet by IPv4", shared.world.Addresses["internet"], netip.Addr{}, false),
	}
	if err := shared.wait(ctx, "control", all.allConnect); err != nil {
		t.Fatal(err)
	}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "limits", Name: "internet6"}}
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{
		IPBlock: &networkingv1.IPBlock{CIDR: "::/0", Except: []string{"fc00::/7", "fe80::/10"}},
	}}}}
	if err := shared.Client.Create(ctx, policy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Client.Delete(context.WithoutCancel(ctx), policy); err != nil {
			t.Error(err)
		}
	})
	if err := shared.wait(ctx, "as known", all.asTable); err != nil {
		t.Fatal(err)
	}
	// Exceptions that are narrower than fd00::/8 win over it.
	policy.Spec.Egress[0].To[0].IPBlock.Except = []string{"fc00::/7", "fd00::/9", "fd80::/9", "fe80::/10"}
	if err := shared.Client.Update(ctx, policy); err != nil {
		t.Fatal(err)
	}
	all[0].allowed = false
	if err := shared.wait(ctx, "with narrower exceptions", all.asTable); err != nil {
		t.Fatal(err)
	}
}

// agnhostPod is a pod that Pod Security restricted admits.
func agnhostPod(namespace, name, script string) *corev1.Pod {
	yes, no, user := true, false, int64(1000)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy:   corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "agnhost", Image: "registry.k8s.io/e2e-test-images/agnhost:2.66.1", Command: []string{"/bin/sh", "-c", script},
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				SecurityContext:          &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}
}

// runPod runs a pod to its end and returns its phase, exit code and message.
func (s *scene) runPod(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	ctx := t.Context()
	if err := s.Client.Create(ctx, pod); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(ctx, "end of pod "+pod.Name, func() error {
		if err := s.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			return fmt.Errorf("status %+v", pod.Status)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ended := pod.Status.ContainerStatuses[0].State.Terminated
	return fmt.Sprintf("%s %d %s", pod.Status.Phase, ended.ExitCode, words(ended.Message))
}
