// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubelet is a small kubelet for tests. It schedules pending pods to its node, gives each pod a network
// namespace, runs the containers as processes in it, and reports what a kubelet reports: addresses, readiness, restarts,
// exit codes and termination messages. It isolates nothing but the network, the user and the capabilities: containers see
// this machine's files.
//
// It knows: init containers, restart policies, command, args, env (values and field references), runAsUser, the network
// of the node, readiness probes by TCP and HTTP, grace periods, terminationMessagePolicy FallbackToLogsOnError. It does
// not know: volumes, the termination log file, other probes, hooks, sidecars, ephemeral containers.
package kubelet
