// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package netns
