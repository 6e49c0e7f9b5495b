// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package packets proves with real packets what the baselines promise: each sample's allowed and denied connections, that
// no connection is lost while baselines change and the operator is killed, and that the metadata service is out of reach.
// `make packets` runs it; it needs Linux, root, iptables, ipset and iproute2.
package packets
