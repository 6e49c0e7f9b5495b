// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install installs netbaseline in every way that users do, on a clean control plane each, with their own tools:
// kubectl and Helm. No kubelet runs there, so the operator is started as the pod would be: with the arguments and the
// environment of the Deployment, as the ServiceAccount that the manifests create.
//
// It also says whether the operator's rights are the least that work (least_test.go), and whether the Helm chart is what
// config/default is (chart_test.go).
package install
