// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"github.com/netbaseline/netbaseline/controllers/cli/explain"
	"github.com/netbaseline/netbaseline/controllers/cli/resolve"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

// results of all expectations.
type results struct {
	Passed int      `json:"passed"`
	Failed int      `json:"failed"`
	Errors int      `json:"errors"`
	Checks []*check `json:"checks"`
}

// checkResult is how a check ended.
type checkResult string

const (
	passed  checkResult = "Passed"
	failed  checkResult = "Failed"
	errored checkResult = "Error"
)

// check is one connection that an expectation is about.
type check struct {
	At     string      `json:"at"`
	From   string      `json:"from"`
	To     string      `json:"to"`
	Expect string      `json:"expect"`
	Why    string      `json:"why,omitempty"`
	Result checkResult `json:"result"`
	Error  string      `json:"error,omitempty"`
	// Answer is that of netbaseline explain, of a check that failed.
	Answer *explain.Answer `json:"answer,omitempty"`
}

func checkAll(w *explain.World, expectations []expectation, namespace string) *results {
	out := &results{Checks: []*check{}}
	for i := range expectations {
		e := &expectations[i]
		for _, from := range e.From {
			for _, to := range e.destinations() {
				c := &check{At: e.at, From: from, To: to, Expect: e.Expect, Why: e.Why}
				c.run(w, namespace)
				out.add(c)
			}
		}
	}
	return out
}

func (r *results) add(c *check) {
	r.Checks = append(r.Checks, c)
	switch c.Result {
	case passed:
		r.Passed++
	case failed:
		r.Failed++
	default:
		r.Errors++
	}
}

// run asks, and compares: what is not certain, or holds in one address family only, is not as expected.
func (c *check) run(w *explain.World, namespace string) {
	answer, err := c.ask(w, namespace)
	switch expected := c.expected(); {
	case err != nil:
		c.Result, c.Error = errored, err.Error()
	case answer.Outcome == string(expected):
		c.Result = passed
	default:
		c.Result, c.Answer = failed, answer
	}
}

func (c *check) ask(w *explain.World, namespace string) (*explain.Answer, error) {
	from, err := resolve.Parse(c.From, namespace)
	if err != nil {
		return nil, err
	}
	to, port, err := resolve.ParseDestination(c.To, namespace)
	if err != nil {
		return nil, err
	}
	return w.AskWhether(from, to, port, c.expected())
}

func (c *check) expected() connectivity.Outcome {
	if c.Expect == "deny" {
		return connectivity.Denied
	}
	return connectivity.Allowed
}
