// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyFlows: a text shows as many flows as a baseline holds, and says that there are more; -o flows has all.
func TestManyFlows(t *testing.T) {
	var cut []*Group
	for i := range 70 {
		cut = append(cut, cutGroup(pods("a", fmt.Sprintf("x%d", i)), pods("b", fmt.Sprintf("y%d", i)), 1))
	}
	r := &Report{Cut: cut, Totals: map[Class]int64{ClassCut: 70}}
	r.Flows, _ = suggestFlows(cut, func(string) []string { return []string{"production"} }, nil)
	shown, err := r.text()
	if err != nil || strings.Count(shown, "- name: ") != maxFlows || !strings.Contains(shown, "and 6 more flows; -o flows has all") || !strings.Contains(shown, "70 flows, and a baseline holds at most 64") {
		t.Errorf("%v\n%s", err, shown)
	}
	var all strings.Builder
	if err := r.Write(&all, "flows"); err != nil || strings.Count(all.String(), "- name: ") != 70 {
		t.Errorf("%v\n%s", err, all.String())
	}
}
