// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"encoding/xml"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/controllers/cli/clitest"
)

const (
	cluster      = "../explain/testdata/cluster.yaml"
	baseline     = "../explain/testdata/baseline.yaml"
	expectations = "testdata/expectations.yaml"
)

// run runs the command and returns its exit code, its output and its messages.
func run(t *testing.T, in string, args ...string) (code int, out, messages string) {
	t.Helper()
	return clitest.Run(t, Run, in, args...)
}

// TestGolden: each format, to the byte, of expectations that hold, fail, and cannot be judged.
func TestGolden(t *testing.T) {
	for _, format := range []string{"text", "json", "yaml", "junit"} {
		t.Run(format, func(t *testing.T) {
			code, got, messages := run(t, "", "-f", cluster, "-f", baseline, "-f", expectations, "-o", format)
			if code != 2 {
				t.Fatalf("exit %d: %s", code, messages)
			}
			clitest.Golden(t, "results.golden."+format, got)
		})
	}
}

// TestFormats: JSON, YAML and JUnit tell the same numbers.
func TestFormats(t *testing.T) {
	args := []string{"-f", cluster, "-f", baseline, "-f", expectations, "-o"}
	for _, format := range []string{"json", "yaml"} {
		_, out, _ := run(t, "", append(args, format)...)
		var r results
		if err := yaml.UnmarshalStrict([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r.Passed != 7 || r.Failed != 2 || r.Errors != 1 || len(r.Checks) != 10 {
			t.Errorf("%s: %d passed, %d failed, %d errors", format, r.Passed, r.Failed, r.Errors)
		}
	}
	_, out, _ := run(t, "", append(args, "junit")...)
	var suite junitSuite
	if err := xml.Unmarshal([]byte(out), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 10 || suite.Failures != 2 || suite.Errors != 1 || len(suite.Cases) != 10 {
		t.Errorf("%+v", suite)
	}
}

// TestExitCodes: what CI sees.
func TestExitCodes(t *testing.T) {
	one := func(fields string) string { return "expectations:\n- {" + fields + "}\n" }
	for _, tc := range []struct {
		name, in string
		args     []string
		code     int
		want     string
	}{
		{"holds", one("from: shop/web, to: db/postgres:5432, expect: allow"), nil, 0, "1 of 1 connections are as expected\n"},
		{"fails", one("from: shop/web, to: db/postgres:5432, expect: deny, why: secret"), nil, 1, "why: secret"},
		{"one of two ports", one("from: shop/web, to: db/postgres-0, ports: [5432, 5433], expect: allow"), nil, 1, "1 of 2 connections are as expected, 1 are not"},
		{"not certain is neither", one("from: lab/exporter-abc, to: db/postgres-0:5432, expect: deny"), nil, 1, "Not certain"},
		{"no such pod", one("from: shop/nobody, to: db/postgres:5432, expect: deny"), nil, 2, "1 could not be judged"},
		{"no port", one("from: shop/web, to: db/postgres, expect: deny"), nil, 2, "has no port"},
		{"IPv6", one("from: shop/web, to: '2001:db8::1', port: 443, expect: allow"), nil, 0, ""},
		{"with the baseline", one("from: shop/web, to: 'db/postgres:5432', expect: allow"), []string{"-f", baseline}, 1, "production-default-deny"},
		{"a field", one("from: shop/web, too: db/postgres:5432, expect: allow"), nil, 2, `standard input:1, expectations[0]: unknown field "too"`},
		{"a word", one("from: shop/web, to: db/postgres:5432, expect: allowed"), nil, 2, "write allow or deny"},
		{"no source", one("to: db/postgres:5432, expect: allow"), nil, 2, "from: write the source"},
		{"no destination", one("from: shop/web, expect: allow"), nil, 2, "to: write the destination"},
		{"a map", one("from: {a: b}, to: 'x:1', expect: allow"), nil, 2, "write a text, a number, or a list of them"},
		{"none", "", nil, 2, "no expectations in"},
		{"an argument", "", []string{"x"}, 2, `unexpected argument "x"`},
		{"help", "", []string{"-h"}, 0, "Usage: netbaseline test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, messages := run(t, tc.in, append([]string{"-f", cluster, "-f", "-"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out+messages, tc.want) {
				t.Errorf("exit %d, want %d and %q:\n%s%s", code, tc.code, tc.want, out, messages)
			}
		})
	}
	if code, _, messages := run(t, ""); code != 2 || !strings.Contains(messages, "write netbaseline test -f expectations.yaml") {
		t.Errorf("exit %d: %s", code, messages)
	}
}
