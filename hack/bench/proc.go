// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// clockTick is the unit of CPU times in /proc: 1/100 s on every architecture that Go supports.
const clockTick = 0.01

// memory is the resident memory of a process, now and at its peak, in bytes.
func memory(pid int) (rss, peak int64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	return kibibytes(data, "VmRSS:") << 10, kibibytes(data, "VmHWM:") << 10, nil
}

// kibibytes is the number on the line of a key in the format of /proc; 0 when there is none.
func kibibytes(data []byte, key string) int64 {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == key {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n
		}
	}
	return 0
}

// cpu is the CPU time that a process has used, in seconds.
func cpu(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return cpuOf(string(data))
}

// cpuOf reads user and system time; the name of the program, in parentheses, may hold spaces.
func cpuOf(stat string) (float64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/*/stat: %q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return float64(user+system) * clockTick, err
}

// otherPrograms is what the rest of the machine uses: on one that is not left alone, numbers mean less.
const otherPrograms = "other programs"

// cpuByProcess is the CPU time, in seconds, that this process and its children have used, by the name of the program,
// and what everything else has. Only differences say anything.
func cpuByProcess() (map[string]float64, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	own := os.Getpid()
	out := map[string]float64{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		stat := string(data)
		pid, name, parent, err := identify(stat)
		if err != nil {
			return nil, err
		}
		if pid != own && parent != own {
			continue
		}
		used, err := cpuOf(stat)
		if err != nil {
			return nil, err
		}
		out[name] += used
	}
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil, err
	}
	busy, err := busyOf(string(data))
	if err != nil {
		return nil, err
	}
	for _, used := range out {
		busy -= used
	}
	out[otherPrograms] = busy
	return out, nil
}

// busyOf reads the CPU time of the whole machine, in seconds: what was neither idle, nor waiting, nor a guest's.
func busyOf(stat string) (float64, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat: %q", line)
	}
	sum := 0.0
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += float64(ticks) * clockTick
	}
	return sum, nil
}

// identify reads whose line of /proc/*/stat this is.
func identify(stat string) (pid int, name string, parent int, err error) {
	from, to := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if from < 1 || to < from {
		return 0, "", 0, fmt.Errorf("/proc/*/stat: %q", stat)
	}
	name = stat[from+1 : to]
	_, err = fmt.Sscanf(stat[:from], "%d", &pid)
	if err == nil {
		var state string
		_, err = fmt.Sscanf(stat[to+1:], "%s %d", &state, &parent)
	}
	return pid, name, parent, err
}

// spent is the difference of two readings.
func spent(after, before map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for name, used := range after {
		if used -= before[name]; used > 0 {
			out[name] = math.Round(used*1000) / 1000
		}
	}
	return out
}

// machine is where a run was made.
type machine struct {
	Cores      int     `json:"cores"`
	MemoryGiB  float64 `json:"memoryGiB"`
	OS         string  `json:"os"`
	Go         string  `json:"go"`
	Kubernetes string  `json:"kubernetes"`
}

func describeMachine() (machine, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return machine{}, fmt.Errorf("the benchmark reads /proc, so it runs on Linux only: %w", err)
	}
	return machine{
		Cores:     runtime.NumCPU(),
		MemoryGiB: float64(kibibytes(data, "MemTotal:")) / (1 << 20),
		OS:        runtime.GOOS + "/" + runtime.GOARCH,
		Go:        runtime.Version(),
	}, nil
}
