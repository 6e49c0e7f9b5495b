// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRefusalOf(t *testing.T) {
	forbidden := func(why string) error { return apierrors.NewForbidden(policiesResource, "p", errors.New(why)) }
	going := apierrors.NewForbidden(policiesResource, "p", errors.New("because it is being terminated"))
	going.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for _, tc := range []struct {
		err  error
		want refusal
	}{
		{forbidden("exceeded quota: team, requested: count/networkpolicies.networking.k8s.io=1"), refusalQuota},
		{forbidden(`User "system:serviceaccount:a:b" cannot create resource "networkpolicies"`), refusalRBAC},
		{forbidden(`ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`), refusalAdmission},
		{apierrors.NewBadRequest(`admission webhook "check.example.com" denied the request: no`), refusalAdmission},
		{apierrors.NewInternalError(errors.New(`failed calling webhook "check.example.com": connection refused`)), refusalAdmission},
		{forbidden("for another reason"), refusalOther},
		{apierrors.NewConflict(policiesResource, "p", errors.New("the object has been modified")), refusalConflict},
		{apierrors.NewAlreadyExists(policiesResource, "p"), refusalConflict},
		{apierrors.NewNotFound(policiesResource, "p"), refusalTerminating},
		{going, refusalTerminating},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "NetworkPolicy"}, "p", nil), refusalInvalid},
		{apierrors.NewTooManyRequests("later", 1), refusalUnavailable},
		{apierrors.NewInternalError(errors.New("etcdserver: request timed out")), refusalUnavailable},
		{context.DeadlineExceeded, refusalUnavailable},
		{errors.New("connection refused"), refusalUnavailable},
	} {
		if got := refusalOf(fmt.Errorf("creating: %w", tc.err)); got != tc.want {
			t.Errorf("%v: got %s, want %s", tc.err, got, tc.want)
		}
	}
}

func TestRemedy(t *testing.T) {
	for refusal, want := range map[string]string{
		`creating: networkpolicies.networking.k8s.io "a" is forbidden: exceeded quota: team`:                            "raise the quota",
		`creating: admission webhook "check.example.com" denied the request: no`:                                        "let whoever refuses admit",
		`creating: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`:                                   "let whoever refuses admit",
		`creating: networkpolicies is forbidden: User "system:x" cannot create resource "networkpolicies" in API group`: "give the operator that right",
		`creating: etcdserver: request timed out`:                                                                       "",
	} {
		got := remedy(refusal)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", refusal, got, want)
		}
	}
}
