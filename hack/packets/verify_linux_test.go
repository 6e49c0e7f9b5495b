// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/verify"
	"github.com/netbaseline/netbaseline/hack/packets/cluster"
)

// verifier is the ServiceAccount of config/verify: netbaseline verify runs here with the rights of its Job.
const verifier = "system:serviceaccount:netbaseline-verify:netbaseline-verify"

func TestVerifyEnforced(t *testing.T) {
	code, got, _ := shared.verify(t, "--timeout=30s")
	if code != 0 || got.Verdict != verify.Enforced {
		t.Errorf("exit code %d, %+v", code, got)
	}
	wantChecks(t, got, "Ingress Enforced", "Egress Enforced", "Metadata Enforced")
}

func TestVerifyNotEnforced(t *testing.T) {
	open, err := newScene(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := open.close(); err != nil {
			t.Error(err)
		}
	}()
	code, got, _ := open.verify(t, "--timeout=10s")
	if code != 1 || got.Verdict != verify.NotEnforced {
		t.Errorf("exit code %d, %+v", code, got)
	}
	wantChecks(t, got, "Ingress NotEnforced", "Egress NotEnforced", "Metadata NotEnforced")
}

// TestVerifyInconclusive has a node that drops what pods send to each other, policy or not: a network that is broken and
// not one that enforces.
func TestVerifyInconclusive(t *testing.T) {
	// Not in the table filter, where kube-router keeps its own rules first, and accepts.
	rule := []string{"FORWARD", "-i", "br0", "-o", "br0", "-p", "tcp", "--dport", "8080", "-j", "DROP"}
	if err := shared.Network.Node.Run("", "iptables", append([]string{"-w", "10", "-t", "mangle", "-I"}, rule...)...); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := shared.Network.Node.Run("", "iptables", append([]string{"-w", "10", "-t", "mangle", "-D"}, rule...)...); err != nil {
			t.Error(err)
		}
	}()
	code, got, _ := shared.verify(t, "--timeout=10s")
	if code != 3 || got.Verdict != verify.Inconclusive {
		t.Errorf("exit code %d, %+v", code, got)
	}
	wantChecks(t, got, "Ingress Inconclusive", "Egress Inconclusive", "Metadata Inconclusive")
	if !strings.Contains(got.Checks[0].Reason, "cannot connect without a policy") || !strings.Contains(got.Checks[0].Reason, "TIMEOUT") {
		t.Errorf("the reason is %q", got.Checks[0].Reason)
	}
}

// TestVerifyUnderABaseline: a baseline that selects every namespace denies the control, unless it excludes the run's.
func TestVerifyUnderABaseline(t *testing.T) {
	if err := shared.operator.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shared.operator.Kill)
	for name, test := range map[string]struct {
		selector string
		code     int
	}{
		"every":    {"{}", 3},
		"excluded": {"{matchExpressions: [{key: netbaseline.io/verify, operator: DoesNotExist}]}", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1alpha1.NetworkBaseline{}
			b.Name = name
			merge(t, &b.Spec, "{namespaceSelector: "+test.selector+", profile: {defaultDeny: {}}}")
			if err := shared.Client.Create(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { shared.baselineGone(t, b.Name) })
			if err := shared.wait(t.Context(), "Ready", func() error { return shared.ready(t.Context(), b.Name) }); err != nil {
				t.Fatal(err)
			}
			if code, got, _ := shared.verify(t, "--timeout=30s"); code != test.code {
				t.Errorf("exit code %d, want %d: %+v", code, test.code, got)
			}
		})
	}
}

func TestVerifyWithoutItsImage(t *testing.T) {
	code, got, _ := shared.verify(t, "--timeout=10s", "--image=registry.example.com/missing:1")
	if code != 3 || len(got.Checks) != 1 || !strings.Contains(got.Checks[0].Reason, "ErrImagePull") {
		t.Errorf("exit code %d, %+v", code, got)
	}
}

// TestVerifyInterrupted: Ctrl-C leaves nothing behind, and says that there is no result.
func TestVerifyInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	var out strings.Builder
	code := verify.Run(ctx, []string{"--kubeconfig", shared.verifier(t)}, nil, &out, &interrupter{"a policy denies it", interrupt})
	if code != 2 || out.Len() > 0 {
		t.Errorf("exit code %d, and wrote %q", code, out.String())
	}
	shared.noVerifyNamespaces(t)
}

// TestVerifyLeftovers: a namespace of a run that was killed is removed, one of a run that may still go on is not.
func TestVerifyLeftovers(t *testing.T) {
	ctx := t.Context()
	until := map[string]time.Duration{"verify-leftover": -time.Minute, "verify-running": time.Hour}
	for name, d := range until {
		if err := shared.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"netbaseline.io/verify": "true"},
			Annotations: map[string]string{"netbaseline.io/verify-until": time.Now().Add(d).Format(time.RFC3339)},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	_, _, messages := shared.verify(t, "--timeout=10s", "--image=registry.example.com/missing:1")
	for _, want := range []string{"removing namespace verify-leftover", "namespace verify-running belongs to another run"} {
		if !strings.Contains(messages, want) {
			t.Errorf("it did not say %q:\n%s", want, messages)
		}
	}
	running := &corev1.Namespace{}
	if err := shared.Client.Get(ctx, client.ObjectKey{Name: "verify-running"}, running); err != nil || running.DeletionTimestamp != nil {
		t.Errorf("the namespace of the other run: %v, %v", err, running.DeletionTimestamp)
	}
	if err := shared.Client.Delete(ctx, running); err != nil {
		t.Error(err)
	}
	shared.noVerifyNamespaces(t)
}

// verify runs netbaseline verify with the rights of its Job, and returns what it says. Nothing of it may be left.
func (s *scene) verify(t *testing.T, args ...string) (int, verify.Result, string) {
	t.Helper()
	var out, messages strings.Builder
	code := verify.Run(t.Context(), append([]string{"--kubeconfig", s.verifier(t), "-o", "json"}, args...), nil, &out, &messages)
	t.Log(messages.String())
	var got verify.Result
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, out.String())
	}
	for _, check := range got.Checks {
		t.Logf("%+v", check)
	}
	if !strings.Contains(messages.String(), "verify-running") {
		s.noVerifyNamespaces(t)
	}
	return code, got, messages.String()
}

// verifier is a kubeconfig with the rights of config/verify and no others.
func (s *scene) verifier(t *testing.T) string {
	t.Helper()
	for _, file := range []string{"namespace.yaml", "rbac.yaml"} {
		objects, err := cluster.Read(filepath.Join(root, "config", "verify", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if err := client.IgnoreAlreadyExists(s.Client.Create(t.Context(), o)); err != nil {
				t.Fatal(err)
			}
		}
	}
	kubeconfig, err := s.Control.AddUser(verifier)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

func (s *scene) noVerifyNamespaces(t *testing.T) {
	t.Helper()
	if err := s.wait(t.Context(), "clean-up", func() error {
		var left corev1.NamespaceList
		if err := s.Client.List(t.Context(), &left, client.HasLabels{"netbaseline.io/verify"}); err != nil {
			return err
		}
		for i := range left.Items {
			return s.absent(t.Context(), &left.Items[i])
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func wantChecks(t *testing.T, got verify.Result, want ...string) {
	t.Helper()
	var checks []string
	for _, c := range got.Checks {
		checks = append(checks, c.Name+" "+string(c.Verdict))
	}
	if strings.Join(checks, ", ") != strings.Join(want, ", ") {
		t.Errorf("got %q, want %q", checks, want)
	}
}

// interrupter calls f when something is said.
type interrupter struct {
	when string
	f    func()
}

func (i *interrupter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.when) {
		i.f()
	}
	return len(p), nil
}
