// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

var (
	policies       = schema.GroupResource{Group: "networking.k8s.io", Resource: "networkpolicies"}
	namespacesKind = schema.GroupResource{Resource: "namespaces"}
)

// answer is an answer of the API server with a code and reason that a webhook may choose, and without details.
func answer(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}}
}

func TestRefusalOf(t *testing.T) {
	forbidden := func(why string) error { return apierrors.NewForbidden(policies, "p", errors.New(why)) }
	going := apierrors.NewForbidden(policies, "p", errors.New("because it is being terminated"))
	going.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	hook := `admission webhook "check.example.com" denied the request: `
	detailed := apierrors.NewConflict(policies, "p", errors.New("no"))
	detailed.ErrStatus.Message = hook + "Operation cannot be fulfilled"
	for _, tc := range []struct {
		err  error
		want string
	}{
		{forbidden("exceeded quota: team, requested: count/networkpolicies.networking.k8s.io=1"), "Quota"},
		{forbidden(`User "system:serviceaccount:a:b" cannot create resource "networkpolicies"`), "RBAC"},
		{forbidden(`ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`), "Admission"},
		{apierrors.NewBadRequest(hook + "no"), "Admission"},
		{apierrors.NewInternalError(errors.New(`failed calling webhook "check.example.com": connection refused`)), "Admission"},
		{forbidden("for another reason"), "Other"},
		// Conflicts and absences are those of which the details name the policy, or its namespace.
		{apierrors.NewConflict(policies, "p", errors.New("the object has been modified")), "Conflict"},
		{apierrors.NewAlreadyExists(policies, "p"), "Conflict"},
		{apierrors.NewNotFound(policies, "p"), "Terminating"},
		{apierrors.NewNotFound(namespacesKind, "shop"), "Terminating"},
		{going, "Terminating"},
		// A webhook may answer with any code, reason and details.
		{answer(http.StatusConflict, metav1.StatusReasonConflict, hook+"no"), "Admission"},
		{answer(http.StatusConflict, metav1.StatusReasonAlreadyExists, hook+"no"), "Admission"},
		{answer(http.StatusNotFound, metav1.StatusReasonNotFound, hook+"no"), "Admission"},
		{detailed, "Admission"},
		// Without details, or with those of another object, it is not known what is missing.
		{answer(http.StatusConflict, metav1.StatusReasonConflict, "changed"), "Other"},
		{answer(http.StatusNotFound, metav1.StatusReasonNotFound, "gone"), "Other"},
		{apierrors.NewConflict(policies, "q", errors.New("changed")), "Other"},
		{apierrors.NewNotFound(policies, "q"), "Other"},
		{apierrors.NewConflict(schema.GroupResource{Resource: "resourcequotas"}, "team", errors.New("the object has been modified")), "Other"},
		{apierrors.NewNotFound(namespacesKind, "blog"), "Other"},
		{apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, "p"), "Other"},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "NetworkPolicy"}, "p", nil), "Invalid"},
		{apierrors.NewTooManyRequests("later", 1), "Unavailable"},
		{apierrors.NewInternalError(errors.New("etcdserver: request timed out")), "Unavailable"},
		{context.DeadlineExceeded, "Unavailable"},
		{errors.New("connection refused"), "Unavailable"},
	} {
		err := fmt.Errorf("creating: %w", tc.err)
		if got := refusalOf(err, "shop", "p"); string(got) != tc.want {
			t.Errorf("%v: got %s, want %s", err, got, tc.want)
		}
	}
}

var refusals = []refusal{refusalQuota, refusalAdmission, refusalRBAC, refusalConflict, refusalGone, refusalInvalid, refusalUnavailable, refusalAltered, refusalBudget, refusalOther}

func TestPassing(t *testing.T) {
	for _, r := range refusals {
		if want := r == "Conflict" || r == "Terminating"; r.passing() != want {
			t.Errorf("%s: passing %t, want %t", r, r.passing(), want)
		}
	}
}

// docs/runbook.md has a row for every reason that netbaseline_policy_writes_refused_total may have.
func TestRunbookHasEveryRefusal(t *testing.T) {
	runbook, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refusals {
		if !strings.Contains(string(runbook), "| `"+string(r)+"` |") {
			t.Errorf("docs/runbook.md does not say what refusal %s means", r)
		}
	}
}

// selecting is a step that writes a policy for the pods of an app.
func selecting(verb policy.Verb, app string) *policy.Step {
	s := &policy.Step{Verb: verb, Name: "deny", Rendered: "deny", Baseline: "a"}
	if verb != policy.Delete {
		s.Want = &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}}
	}
	return s
}

// The pause after a failed write doubles, up to a minute, and holds back that write alone.
func TestBackoff(t *testing.T) {
	r := newRecords()
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	quota := &writeError{refusalQuota, errors.New("exceeded quota")}
	if err, _ := r.held("shop", selecting(policy.Create, "web")); err != nil {
		t.Fatalf("held before it failed: %v", err)
	}
	for i, want := range []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond,
		3200 * time.Millisecond, 6400 * time.Millisecond, 12800 * time.Millisecond, 25600 * time.Millisecond, 51200 * time.Millisecond,
		time.Minute, time.Minute, time.Minute,
	} {
		until, again := r.failed("shop", selecting(policy.Create, "web"), quota)
		if got := until.Sub(now); got != want || again != (i > 0) {
			t.Errorf("failure %d: a pause of %s, again %t; want %s", i+1, got, again, want)
		}
		now = until.Add(-time.Millisecond)
		if err, at := r.held("shop", selecting(policy.Create, "web")); err != quota || !at.Equal(until) {
			t.Errorf("failure %d: just before its time: %v at %s", i+1, err, at)
		}
		now = until
		if err, _ := r.held("shop", selecting(policy.Create, "web")); err != nil {
			t.Errorf("failure %d: held at its time", i+1)
		}
	}
}

func TestBackoffIsOfOneWrite(t *testing.T) {
	r := newRecords()
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	quota, hook := &writeError{refusalQuota, errors.New("exceeded quota")}, &writeError{refusalAdmission, errors.New("webhook")}
	for range 3 {
		r.failed("shop", selecting(policy.Update, "web"), quota)
	}
	other := selecting(policy.Update, "web")
	other.Name, other.Rendered = "dns", "dns"
	for what, s := range map[string]*policy.Step{"another form": selecting(policy.Update, "db"), "another verb": selecting(policy.Create, "web"), "a delete": selecting(policy.Delete, ""), "another policy": other} {
		if err, _ := r.held("shop", s); err != nil {
			t.Errorf("%s is held: %v", what, err)
		}
	}
	if err, _ := r.held("blog", selecting(policy.Update, "web")); err != nil {
		t.Errorf("another namespace is held: %v", err)
	}
	if _, again := r.failed("shop", selecting(policy.Update, "web"), hook); again {
		t.Error("another error is said to be the same")
	}
	if until, again := r.failed("shop", selecting(policy.Update, "db"), hook); !again || until.Sub(now) != 100*time.Millisecond {
		t.Errorf("another form that fails in the same way: again %t, a pause of %s; want the first pause, and that it is no news", again, until.Sub(now))
	}
	r.keepRefused("shop", map[string]bool{"deny": true})
	if err, _ := r.held("shop", selecting(policy.Update, "db")); err == nil {
		t.Error("the failure of a policy that is still to be written is forgotten")
	}
	r.keepRefused("shop", map[string]bool{"dns": true})
	if err, _ := r.held("shop", selecting(policy.Update, "db")); err != nil {
		t.Error("the failure of a policy that is not to be written any more is remembered")
	}
	r.failed("shop", selecting(policy.Delete, ""), quota)
	if err, _ := r.held("shop", selecting(policy.Delete, "")); err != quota {
		t.Errorf("a delete that failed is not held: %v", err)
	}
}
