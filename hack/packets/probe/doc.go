// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package probe opens connections from inside of network namespaces and says what became of them.
package probe
