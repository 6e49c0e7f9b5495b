// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"errors"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/netbaseline/netbaseline/controllers/policy"
)

// writeError is a write that failed: the API server refused it, or stored something else.
type writeError struct {
	reason refusal
	err    error
}

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// refusal is why a write failed, as metrics call it.
type refusal string

const (
	refusalQuota     refusal = "Quota"
	refusalAdmission refusal = "Admission" // a webhook or a ValidatingAdmissionPolicy
	refusalRBAC      refusal = "RBAC"
	// refusalConflict: a race was lost; it is tried again at once.
	refusalConflict refusal = "Conflict"
	// refusalGone: the policy or its namespace is going, or gone, which is no problem.
	refusalGone refusal = "Terminating"
	// refusalInvalid: the API server does not take what was rendered.
	refusalInvalid refusal = "Invalid"
	// refusalUnavailable: the API server did not answer, or was too busy to.
	refusalUnavailable refusal = "Unavailable"
	// refusalAltered: the API server stored something else than what was written.
	refusalAltered refusal = "Altered"
	// refusalBudget: the namespace has used up its writes for now.
	refusalBudget refusal = "Budget"
	refusalOther  refusal = "Other"
)

// refusalOf says why the write of a policy was refused. A conflict or an absence is one only when the API server's details
// name the policy: a webhook may answer with any code.
func refusalOf(err error, namespace, name string) refusal {
	said := refusalIn(err.Error())
	named := said != refusalAdmission && (names(err, "networkpolicies", name) || names(err, "namespaces", namespace))
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), named && apierrors.IsNotFound(err):
		return refusalGone
	case named && (apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)):
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

// names reports whether the API server's answer is about this object.
func names(err error, resource, name string) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Kind == resource && details.Name == name
}

// passing reports whether a failure is over by itself, or tried again at once, so that nobody has to be told.
func (r refusal) passing() bool { return r == refusalConflict || r == refusalGone }

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
	case strings.Contains(words, "forbidden: User "): // not " cannot ", which a conflict has too
		return refusalRBAC
	}
	return refusalOther
}

// refused is a write that failed, and is not tried again before its time unless something else is wanted.
type refused struct {
	verb  policy.Verb
	want  *networkingv1.NetworkPolicy
	err   *writeError
	count int
	until time.Time
}

// The pause after a failed write doubles from the first to the last.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Minute
)

// held returns the error of a write that failed lately, with the time at which it may be tried again.
func (r *Records) held(namespace string, s *policy.Step) (*writeError, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.of(namespace).refused[s.Rendered]
	if !ok || !r.now().Before(known.until) || !known.same(s) {
		return nil, time.Time{}
	}
	return known.err, known.until
}

// same reports whether a step would do again what failed, perhaps under another name. What was altered makes other plans,
// whose writes would be altered too.
func (f *refused) same(s *policy.Step) bool {
	if f.err.reason == refusalAltered {
		return s.Want != nil
	}
	return f.verb == s.Verb && (f.want == s.Want || f.want != nil && s.Want != nil && policy.Same(f.want, s.Want))
}

// failed notes a failure, and says when the write may be tried again, and whether it failed in the same way before.
func (r *Records) failed(namespace string, s *policy.Step, err *writeError) (until time.Time, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.of(namespace)
	known := rec.refused[s.Rendered]
	again = known.err != nil && known.err.Error() == err.Error()
	if known.err != nil && !known.same(s) {
		known.count = 0
	}
	pause := min(firstPause<<min(known.count, 16), lastPause)
	until = r.now().Add(pause)
	rec.refused[s.Rendered] = refused{s.Verb, s.Want, err, known.count + 1, until}
	return until, again
}

// keepRefused forgets the failures of policies that are not among those named.
func (r *Records) keepRefused(namespace string, names map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.of(namespace).refused, func(name string, _ refused) bool { return !names[name] })
}
