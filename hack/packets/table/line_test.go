// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"shop/web -> internet 443", "shop/web -> internet TCP/443"},
		{"a/b, c -> d/e, service f/g 80, UDP/53", "a/b -> d/e TCP/80; a/b -> d/e UDP/53; a/b -> service f/g TCP/80; a/b -> service f/g UDP/53; " +
			"c -> d/e TCP/80; c -> d/e UDP/53; c -> service f/g TCP/80; c -> service f/g UDP/53"},
		{"shop/web internet 443", "error"},
		{"shop/web -> internet", "error"},
		{"shop/web -> internet https", "error"},
		{"shop/web -> internet SCTP/80", "error"},
		{"shop/web -> internet 0", "error"},
		{"shop/web -> a, b", "error"},
	} {
		var got []string
		connections, err := Parse(test.line)
		for _, c := range connections {
			got = append(got, fmt.Sprint(c))
		}
		if err != nil {
			got = []string{"error"}
		}
		if joined := strings.Join(got, "; "); joined != test.want {
			t.Errorf("%q: got %s (%v), want %s", test.line, joined, err, test.want)
		}
	}
}
