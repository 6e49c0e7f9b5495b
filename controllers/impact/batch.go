// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"io"
	"runtime"
)

// batchLines are parsed together: enough that handing them over costs nothing beside.
const batchLines = 512

// batch is some lines of a file. Parsing takes nearly all of the time, so batches are parsed in parallel; they are taken
// in their order.
type batch struct {
	lines   []rawLine
	text    []byte
	records []Record
	parsed  chan struct{}
}

// rawLine is a line, or what is wrong with the file there.
type rawLine struct {
	number, begin, end int
	bad                *BadLine
}

// newBatch has room for as much text as the one before had.
func newBatch(size int) *batch {
	return &batch{lines: make([]rawLine, 0, batchLines), text: make([]byte, 0, size), parsed: make(chan struct{})}
}

func (b *batch) add(number int, line []byte) {
	begin := len(b.text)
	b.text = append(b.text, line...)
	b.lines = append(b.lines, rawLine{number: number, begin: begin, end: len(b.text)})
}

// parse parses the lines of the batch.
func (b *batch) parse(file string) {
	b.records = make([]Record, len(b.lines))
	for i := range b.lines {
		l := &b.lines[i]
		if l.bad != nil {
			continue
		}
		record, err := parse(b.text[l.begin:l.end])
		if err != nil {
			l.bad = &BadLine{file, l.number, err}
		}
		b.records[i] = record
	}
	close(b.parsed)
}

// eachBatch reads a file in batches and calls f with each once it is parsed, in their order.
func eachBatch(file string, r io.Reader, f func(*batch)) {
	workers := runtime.GOMAXPROCS(0)
	work, inOrder := make(chan *batch), make(chan *batch, 2*workers)
	for range workers {
		go func() {
			for b := range work {
				b.parse(file)
			}
		}()
	}
	go func() {
		defer close(inOrder)
		defer close(work)
		current := newBatch(0)
		flush := func() {
			size := len(current.text) + len(current.text)/8
			inOrder <- current
			work <- current
			current = newBatch(size)
		}
		eachLine(file, r, func(number int, line []byte) {
			if current.add(number, line); len(current.lines) == batchLines {
				flush()
			}
		}, func(bad BadLine) { current.lines = append(current.lines, rawLine{bad: &bad}) })
		flush()
	}()
	for b := range inOrder {
		<-b.parsed
		f(b)
	}
}
