// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// refusal is why a write was refused, as metrics call it.
type refusal string

const (
	refusalQuota     refusal = "Quota"
	refusalAdmission refusal = "Admission" // a webhook or a ValidatingAdmissionPolicy
	refusalRBAC      refusal = "RBAC"
	// refusalConflict: a race was lost; it is tried again at once.
	refusalConflict refusal = "Conflict"
	// refusalTerminating: the namespace is going, which is no problem.
	refusalTerminating refusal = "Terminating"
	// refusalInvalid: the API server does not take what was rendered.
	refusalInvalid refusal = "Invalid"
	// refusalUnavailable: the API server did not answer, or was too busy to.
	refusalUnavailable refusal = "Unavailable"
	refusalOther       refusal = "Other"
)

// refusalOf goes by the kind of the error first, and by the API server's words where one kind has several reasons.
func refusalOf(err error) refusal {
	said := refusalIn(err.Error())
	switch {
	case terminating(err):
		return refusalTerminating
	case stale(err):
		return refusalConflict
	case said != refusalOther:
		return said
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return refusalInvalid
	case !answered(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err),
		apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err):
		return refusalUnavailable
	}
	return refusalOther
}

// answered says whether the API server said anything, or the connection broke, or took too long.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// refusalIn reads the API server's words, which tell quota, admission and RBAC apart: all of them may be Forbidden.
func refusalIn(words string) refusal {
	switch {
	case strings.Contains(words, "exceeded quota"):
		return refusalQuota
	case strings.Contains(words, "webhook"), strings.Contains(words, "ValidatingAdmissionPolicy"):
		return refusalAdmission
	case strings.Contains(words, " cannot "):
		return refusalRBAC
	}
	return refusalOther
}

// remedy is what helps against a refusal, as far as the API server's words tell what it was.
func remedy(words string) string {
	switch refusalIn(words) {
	case refusalQuota:
		return "; raise the quota, or name the namespace in spec.excludedNamespaces. It is tried again by itself"
	case refusalAdmission:
		return "; let whoever refuses admit the user that the operator runs as. It is tried again by itself"
	case refusalRBAC:
		return "; give the operator that right: config/rbac/role.yaml has them all. It is tried again by itself"
	default:
		return ""
	}
}
