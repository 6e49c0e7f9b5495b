// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

func (r *results) write(out io.Writer, format string) error {
	var text []byte
	var err error
	switch format {
	case "json":
		text, err = json.MarshalIndent(r, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(r)
	case "junit":
		text, err = r.junit()
	default:
		text = []byte(r.text())
	}
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

func (r *results) text() string {
	var out strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&out, "%-6s %s %s -> %s\n", c.Result, c.Expect, c.From, c.To)
		for line := range strings.Lines(c.detail()) {
			out.WriteString(strings.TrimRight("       "+line, " \n") + "\n")
		}
	}
	fmt.Fprintf(&out, "%d of %d connections are as expected", r.Passed, len(r.Checks))
	if r.Failed > 0 {
		fmt.Fprintf(&out, ", %d are not", r.Failed)
	}
	if r.Errors > 0 {
		fmt.Fprintf(&out, ", %d could not be judged", r.Errors)
	}
	out.WriteString("\n")
	return out.String()
}

// detail is what is wrong, and where; empty for a check that passed.
func (c *check) detail() string {
	if c.Result == passed {
		return ""
	}
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("at %s", c.At)
	if c.Why != "" {
		line("why: %s", c.Why)
	}
	if c.Result == errored {
		line("%s", c.Error)
		return out.String()
	}
	a := c.Answer
	line("expected: %s", c.expected())
	line("found:    %s", a.Summary())
	out.WriteString(a.Reasons())
	return out.String()
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junit is what CI systems read.
func (r *results) junit() ([]byte, error) {
	suite := junitSuite{Name: "netbaseline test", Tests: len(r.Checks), Failures: r.Failed, Errors: r.Errors}
	for _, c := range r.Checks {
		file, _, _ := strings.Cut(c.At, ", ")
		one := junitCase{Name: fmt.Sprintf("%s %s -> %s", c.Expect, c.From, c.To), Class: file}
		switch c.Result {
		case failed:
			one.Failure = &junitProblem{c.Answer.Summary(), c.detail()}
		case errored:
			one.Error = &junitProblem{c.Error, c.detail()}
		}
		suite.Cases = append(suite.Cases, one)
	}
	text, err := xml.MarshalIndent(suite, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}
