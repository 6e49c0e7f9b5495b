// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chaos runs the operator as a process against a real control plane, does harm to both, and checks after each
// change that no state in between denied what the states before and after it allow, that nothing foreign was touched,
// and that all is in place and said to be.
//
// CHAOS_SECONDS is how long the random part runs, CHAOS_SEED what it follows: the same seed takes the same actions and
// makes the same faults; when they meet is up to the machine.
package chaos
