// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Verdict is the result of a check, and of a run.
type Verdict string

// The verdicts.
const (
	Enforced     Verdict = "Enforced"
	NotEnforced  Verdict = "NotEnforced"
	Inconclusive Verdict = "Inconclusive"
)

// Check is the result of one check.
type Check struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
}

// Result is the result of a run.
type Result struct {
	Verdict Verdict `json:"verdict"`
	Checks  []Check `json:"checks"`
}

// result sums up. A check that shows a leak decides. Without a metadata service there is nothing to block: that check alone
// makes no run inconclusive.
func result(checks []Check) Result {
	r := Result{Verdict: Enforced, Checks: checks}
	for _, c := range checks {
		switch {
		case c.Verdict == NotEnforced:
			r.Verdict = NotEnforced
		case c.Verdict == Inconclusive && c.Name != metadata && r.Verdict == Enforced:
			r.Verdict = Inconclusive
		}
	}
	if len(checks) == 0 {
		r.Verdict = Inconclusive
	}
	return r
}

// outcome is how a probe pod ended.
type outcome struct {
	connected bool
	word      string // of agnhost: TIMEOUT, REFUSED, or OTHER with the error
}

func (o outcome) String() string {
	if o.connected {
		return "connected"
	}
	return o.word
}

// outcomeOf reads the outcome from the status of a pod that has ended. An error means that the pod says nothing about the
// network.
func outcomeOf(pod *corev1.Pod) (outcome, error) {
	for _, s := range pod.Status.ContainerStatuses {
		ended := s.State.Terminated
		if s.Name != containerName || ended == nil {
			continue
		}
		// Of a probe that polls, the last line is the last connection's.
		lines := strings.Split(strings.TrimSpace(ended.Message), "\n")
		last := lines[len(lines)-1]
		word, _, _ := strings.Cut(last, ":")
		switch {
		case ended.ExitCode == 0:
			return outcome{connected: true}, nil
		case ended.ExitCode == 1 && (word == "TIMEOUT" || word == "REFUSED" || word == "OTHER"):
			return outcome{word: last}, nil
		}
		return outcome{}, fmt.Errorf("pod %s ended with exit code %d (%s) and said %q", pod.Name, ended.ExitCode, ended.Reason, ended.Message)
	}
	return outcome{}, fmt.Errorf("pod %s ended as %s without a status of its container: %s", pod.Name, pod.Status.Phase, pod.Status.Message)
}

// stuck is why a pod will not start, as far as its status shows that waiting is of no use; empty otherwise.
func stuck(pod *corev1.Pod) string {
	for _, s := range pod.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil {
			switch w.Reason {
			case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError":
				return w.Reason + ": " + w.Message
			}
		}
	}
	return ""
}
