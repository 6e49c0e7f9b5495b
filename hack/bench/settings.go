// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings come from the environment.
type settings struct {
	// Namespaces of the largest cluster, and Growth: smaller ones for comparison. Each is a cluster of its own in which
	// convergence, removal, repair, new namespaces, restarts, memory and CPU time are measured.
	Namespaces int   `json:"namespaces"`
	Growth     []int `json:"growth"`
	// Detail is the size at which everything else is measured: what needs twice as many namespaces, or minutes.
	Detail int `json:"detail"`
	// Rounds of ceiling and convergence, one after the other; medians are reported.
	Rounds int `json:"rounds"`
	// Repairs is the number of tries of each kind of harm, Newcomers that of new namespaces.
	Repairs   int           `json:"repairs"`
	Newcomers int           `json:"newcomers"`
	Storm     int           `json:"storm"`
	Idle      time.Duration `json:"idleNanoseconds"`
	Soak      time.Duration `json:"soakNanoseconds"`
	// Writers is the number of parallel writers of the ceiling: the default of the operator's -workers.
	Writers int `json:"writers"`
	// Profile stores CPU profiles of the convergence.
	Profile bool `json:"profile"`
	// Out is the folder of the report.
	Out string `json:"-"`

	profiles string
}

// mostDetail is the default of Detail in larger clusters.
const mostDetail = 5000

func readSettings(env func(string) string) (settings, error) {
	var err error
	number := func(name string, otherwise, least int) int {
		text := env(name)
		if text == "" {
			return otherwise
		}
		n, parseErr := strconv.Atoi(text)
		if err == nil && (parseErr != nil || n < least) {
			err = fmt.Errorf("%s=%s: want a whole number, at least %d", name, text, least)
		}
		return n
	}
	seconds := func(name string, otherwise, least int) time.Duration {
		return time.Duration(number(name, otherwise, least)) * time.Second
	}
	s := settings{
		Namespaces: number("NAMESPACES", 1000, 2),
		Rounds:     number("ROUNDS", 3, 1),
		Repairs:    number("REPAIRS", 200, 1),
		Newcomers:  number("NEWCOMERS", 100, 1),
		Storm:      number("STORM", 1000, 1),
		Idle:       seconds("IDLE", 60, 1),
		Soak:       seconds("SOAK", 120, 8),
		Writers:    number("WRITERS", 8, 1),
		Profile:    env("PPROF") != "",
		Out:        env("OUT"),
	}
	growth := env("GROWTH")
	if growth == "" {
		growth = "100 500 1000 5000"
	}
	for text := range strings.FieldsSeq(growth) {
		n, parseErr := strconv.Atoi(text)
		if parseErr != nil || n < 2 {
			return s, fmt.Errorf("GROWTH=%s: want whole numbers, at least 2", growth)
		}
		s.Growth = append(s.Growth, n)
	}
	// Up to 5000, so that a run with more is compared, row by row, with one of 5000.
	s.Detail = number("DETAIL", min(s.Namespaces, mostDetail), 2)
	if s.Out == "" {
		s.Out = "docs"
	}
	if err == nil && !slices.Contains(s.sizes(), s.Detail) {
		err = fmt.Errorf("DETAIL=%d: want one of the sizes, which are %v", s.Detail, s.sizes())
	}
	return s, err
}

// sizes are the numbers of namespaces to measure with, from small to large; the last is Namespaces.
func (s settings) sizes() []int {
	sizes := []int{s.Namespaces}
	for _, n := range s.Growth {
		if n < s.Namespaces {
			sizes = append(sizes, n)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}
