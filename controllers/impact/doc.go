// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package impact says what a change of policies would cut: it joins connections that were observed with the pods of a
// cluster, and judges each with the policies of today and with those of tomorrow. It is pure.
//
//	lines.go    files, line by line, gzipped or not; batch.go: in parallel
//	record.go   what one line says
//	hubble.go   Hubble's JSON lines; plain.go: those of our own format
//	join.go     which pod or address each end is
//	analysis.go counting and judging; report.go: the result
//	flows.go    the flows that would keep what is cut
//	text.go, html.go  the result for people
//
// Memory is bounded by the number of distinct connections that are kept, and not by the length of a file.
package impact
