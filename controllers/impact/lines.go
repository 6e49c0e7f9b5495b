// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxLine is much more than a flow needs. A longer line is something else, and reading on would cost memory.
const maxLine = 1 << 20

// BadLine is a line that could not be read.
type BadLine struct {
	File string
	Line int
	Err  error
}

func (b BadLine) Error() string { return fmt.Sprintf("%s:%d: %v", b.File, b.Line, b.Err) }

func (b BadLine) Unwrap() error { return b.Err }

// eachLine calls f with each line that is not empty, and its number. What is wrong with the file itself is reported, and
// ends it. The line is only valid during the call.
func eachLine(file string, r io.Reader, f func(number int, line []byte), report func(BadLine)) {
	in := bufio.NewReaderSize(r, 1<<17)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			report(BadLine{file, 1, fmt.Errorf("reading gzip: %w", err)})
			return
		}
		in = bufio.NewReaderSize(unzipped, 1<<17)
	}
	var long []byte
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long, err = readLong(in, append(long[:0], line...))
			line = long
		}
		last := err != nil
		switch {
		case errors.Is(err, errLong):
			report(BadLine{file, number, err})
			last = false
		case err != nil && !errors.Is(err, io.EOF):
			report(BadLine{file, number, fmt.Errorf("reading: %w", err)})
			return
		default:
			if line = bytes.TrimSpace(line); len(line) > 0 {
				f(number, line)
			}
		}
		if last {
			return
		}
	}
}

var errLong = fmt.Errorf("the line is longer than %d bytes: flows come one in a line", maxLine)

// readLong reads the rest of a line that is longer than the buffer. Beyond the limit, it is read and dropped.
func readLong(in *bufio.Reader, line []byte) ([]byte, error) {
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			long = true
		} else {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && err == nil {
			err = errLong
		}
		return line, err
	}
}
