// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/netbaseline/netbaseline/controllers/cli/input"
)

// expectation as it is written: each source to each destination on each port.
type expectation struct {
	From     texts  `json:"from"`
	To       texts  `json:"to"`
	Ports    texts  `json:"ports,omitempty"`
	Port     texts  `json:"port,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Expect   string `json:"expect"`
	Why      string `json:"why,omitempty"`

	at string // where it is written
}

// texts is a text, a number, or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if !bytes.HasPrefix(data, []byte("[")) {
		data = fmt.Appendf(nil, "[%s]", data)
	}
	var all []any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		return err
	}
	for _, one := range all {
		switch one := one.(type) {
		case string:
			*t = append(*t, one)
		case json.Number:
			*t = append(*t, one.String())
		default:
			return fmt.Errorf("%v: write a text, a number, or a list of them", one)
		}
	}
	return nil
}

// readAll reads the documents with expectations, strictly, and reports all that is wrong in them.
func readAll(documents []input.Document) ([]expectation, error) {
	var out []expectation
	var errs []error
	for _, d := range documents {
		var file struct {
			Expectations []json.RawMessage `json:"expectations"`
		}
		at := d.File
		if d.Line > 0 {
			at += ":" + strconv.Itoa(d.Line)
		}
		if err := strict(d.Data, &file); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			continue
		}
		for i, text := range file.Expectations {
			e := expectation{at: fmt.Sprintf("%s, expectations[%d]", at, i)}
			err := strict(text, &e)
			if err == nil {
				err = e.validate()
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", e.at, err))
				continue
			}
			out = append(out, e)
		}
	}
	return out, errors.Join(errs...)
}

func strict(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: the fields of an expectation are from, to, ports, protocol, expect and why", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func (e *expectation) validate() error {
	e.Ports = append(e.Ports, e.Port...)
	switch {
	case len(e.From) == 0:
		return errors.New("from: write the source, for example shop/web")
	case len(e.To) == 0:
		return errors.New("to: write the destination, for example db/postgres:5432")
	case e.Expect != "allow" && e.Expect != "deny":
		return fmt.Errorf("expect: %q: write allow or deny", e.Expect)
	}
	return nil
}

// destinations are those of the expectation with their ports.
func (e *expectation) destinations() []string {
	if len(e.Ports) == 0 {
		return withProtocol(e.To, e.Protocol)
	}
	var out []string
	for _, to := range e.To {
		for _, port := range e.Ports {
			if strings.Count(to, ":") > 1 && !strings.HasPrefix(to, "[") {
				to = "[" + to + "]"
			}
			out = append(out, to+":"+port)
		}
	}
	return withProtocol(out, e.Protocol)
}

// withProtocol adds the protocol to the ports that have none of their own.
func withProtocol(destinations []string, protocol string) []string {
	if protocol == "" {
		return destinations
	}
	var out []string
	for _, d := range destinations {
		if port := d[strings.LastIndexByte(d, ':')+1:]; strings.Contains(d, ":") && !strings.Contains(port, "/") {
			d += "/" + protocol
		}
		out = append(out, d)
	}
	return out
}
