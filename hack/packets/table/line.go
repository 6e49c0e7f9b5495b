// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"errors"
	"fmt"
	"strings"

	"github.com/netbaseline/netbaseline/hack/packets/standin"
)

// Connection is one connection of a line.
type Connection struct {
	From    string // namespace/pod, or a node or an address
	To      string // the same; empty where Service is set
	Service string // namespace/name
	Port    standin.Port
}

func (c Connection) String() string {
	to := c.To
	if c.Service != "" {
		to = "service " + c.Service
	}
	return fmt.Sprintf("%s -> %s %s", c.From, to, c.Port)
}

// IsPod returns whether an end of a connection is a pod.
func IsPod(end string) bool { return strings.Contains(end, "/") }

// Parse reads "from -> to port", in which commas make lists: each of from to each of to on each port.
func Parse(line string) ([]Connection, error) {
	left, right, ok := strings.Cut(line, " -> ")
	last := strings.LastIndexByte(right, ' ')
	if !ok || last < 0 {
		return nil, errors.New("want: from -> to port")
	}
	// The ports are behind the last space that no comma comes before.
	for last > 0 && right[last-1] == ',' {
		last = strings.LastIndexByte(right[:last], ' ')
	}
	if last < 0 {
		return nil, errors.New("there is no port")
	}
	var out []Connection
	for _, from := range list(left) {
		for _, to := range list(right[:last]) {
			for _, text := range list(right[last+1:]) {
				port, err := standin.ParsePort(text)
				if err != nil {
					return nil, err
				}
				c := Connection{From: from, To: to, Port: port}
				if service, is := strings.CutPrefix(to, "service "); is {
					c.To, c.Service = "", service
				}
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func list(s string) []string {
	var out []string
	for item := range strings.SplitSeq(s, ",") {
		out = append(out, strings.TrimSpace(item))
	}
	return out
}
