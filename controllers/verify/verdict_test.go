// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestResult(t *testing.T) {
	for _, test := range []struct {
		ingress, egress, metadata Verdict
		want                      Verdict
		code                      int
	}{
		{Enforced, Enforced, Enforced, Enforced, 0},
		{Enforced, Enforced, Inconclusive, Enforced, 0},
		{Enforced, Enforced, NotEnforced, NotEnforced, 1},
		{NotEnforced, Enforced, Enforced, NotEnforced, 1},
		{Inconclusive, NotEnforced, Enforced, NotEnforced, 1},
		{NotEnforced, Inconclusive, Inconclusive, NotEnforced, 1},
		{Inconclusive, Enforced, Enforced, Inconclusive, 3},
		{Enforced, Inconclusive, Enforced, Inconclusive, 3},
		{Inconclusive, Inconclusive, Inconclusive, Inconclusive, 3},
	} {
		got := result([]Check{{ingress, test.ingress, ""}, {egress, test.egress, ""}, {metadata, test.metadata, ""}})
		if got.Verdict != test.want || exitCode(got.Verdict) != test.code {
			t.Errorf("%+v: got %s, exit code %d", test, got.Verdict, exitCode(got.Verdict))
		}
	}
	if got := result(nil).Verdict; got != Inconclusive {
		t.Errorf("without a check: %s", got)
	}
}

func TestOutcomeOf(t *testing.T) {
	ended := func(name string, code int32, message string) *corev1.Pod {
		p := &corev1.Pod{}
		p.Name = "probe"
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: name, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message, Reason: "Error"},
		}}}
		return p
	}
	for _, test := range []struct {
		name string
		pod  *corev1.Pod
		want string // the outcome, or "error"
	}{
		{"connected", ended("agnhost", 0, ""), "connected"},
		{"a poll that was refused before it ended well", ended("agnhost", 0, "REFUSED\n"), "connected"},
		{"dropped", ended("agnhost", 1, "TIMEOUT\n"), "TIMEOUT"},
		{"the last line counts", ended("agnhost", 1, "REFUSED\nTIMEOUT\nTIMEOUT\n"), "TIMEOUT"},
		{"rejected by another ICMP code", ended("agnhost", 1, "OTHER: dial tcp 10.0.0.1:80: connect: no route to host\n"), "OTHER: dial tcp 10.0.0.1:80: connect: no route to host"},
		{"UDP's words have details", ended("agnhost", 1, "TIMEOUT: read udp: i/o timeout"), "TIMEOUT: read udp: i/o timeout"},
		{"a name that does not resolve says nothing about policies", ended("agnhost", 1, "DNS: no such host"), "error"},
		{"bad arguments", ended("agnhost", 1, "UNKNOWN: missing port"), "error"},
		{"no shell in the image", ended("agnhost", 128, "exec: /bin/sh: no such file"), "error"},
		{"no agnhost in the image", ended("agnhost", 1, "/bin/sh: agnhost: not found"), "error"},
		{"killed", ended("agnhost", 137, ""), "error"},
		{"another container, a sidecar", ended("istio-proxy", 0, ""), "error"},
		{"evicted", &corev1.Pod{}, "error"},
	} {
		o, err := outcomeOf(test.pod)
		got := o.String()
		if err != nil {
			got = "error"
		}
		if got != test.want {
			t.Errorf("%s: got %q (%v), want %q", test.name, got, err, test.want)
		}
	}
}

// TestPlans: the policies of a check select the pods of that check and of no other.
func TestPlans(t *testing.T) {
	all := plans(map[string]string{ingressTarget: "10.0.0.1", egressTarget: "10.0.0.2", metadataTarget: "fd00::3"})
	selected := map[string]string{}
	for _, p := range all {
		role := p.policy.Spec.PodSelector.MatchLabels[roleLabel]
		if role == "" || selected[role] != "" {
			t.Errorf("%s: the policy selects role %q, which %q selects, too", p.name, role, selected[role])
		}
		selected[role] = p.name
		if len(p.policy.Spec.PolicyTypes) != 1 {
			t.Errorf("%s: policy types %v", p.name, p.policy.Spec.PolicyTypes)
		}
	}
	if got := all[1].allowedTarget; got != "[fd00::3]:8080" {
		t.Errorf("an IPv6 address is written as %s", got)
	}
	for _, role := range []string{egressTarget, metadataTarget} {
		if selected[role] != "" {
			t.Errorf("%s selects the server %s", selected[role], role)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		says string
	}{
		{"--help", 0, "Usage: netbaseline verify"},
		{"-o xml", 2, "text, json or yaml"},
		{"--timeout 1s", 2, "at least 10s"},
		{"--timeout soon", 2, "soon"},
		{"shop", 2, "unexpected argument \"shop\""},
		{"--kubeconfig /nowhere", 2, "/nowhere"},
	} {
		var out, messages strings.Builder
		if code := Run(t.Context(), strings.Fields(test.args), nil, &out, &messages); code != test.code || !strings.Contains(messages.String(), test.says) {
			t.Errorf("%q: exit code %d, and said %q", test.args, code, messages.String())
		}
		if out.Len() > 0 {
			t.Errorf("%q: there is no result, and it wrote %q", test.args, out.String())
		}
	}
}

func TestWrite(t *testing.T) {
	r := Result{Verdict: NotEnforced, Checks: []Check{{"Ingress", NotEnforced, "it connects"}}}
	for format, want := range map[string]string{
		"text": "CHECK     VERDICT       REASON\nIngress   NotEnforced   it connects\nall       NotEnforced   \n",
		"json": "{\n  \"verdict\": \"NotEnforced\",\n  \"checks\": [\n    {\n      \"name\": \"Ingress\",\n      \"verdict\": \"NotEnforced\",\n      \"reason\": \"it connects\"\n    }\n  ]\n}\n",
		"yaml": "checks:\n- name: Ingress\n  reason: it connects\n  verdict: NotEnforced\nverdict: NotEnforced\n",
	} {
		var out strings.Builder
		if err := write(&out, format, r); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
}
