// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy decides which NetworkPolicies a namespace holds and in which order they come and go. It is pure:
// plain values in and out, no client, context or logger.
//
//	Select   which baselines govern a namespace
//	Render   which policies their profiles ask for
//	Compare  what is live: ours, somebody else's, in conflict
//	Plan     the writes that lead from live to rendered, without a gap
package policy
