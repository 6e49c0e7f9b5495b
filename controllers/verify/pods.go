// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	containerName = "agnhost"
	port          = 8080
	// roleLabel is by which the policies of a run select its pods.
	roleLabel = "netbaseline.io/verify-role"
	// nobody is a user without rights.
	nobody = 65532
)

// pod is one that Pod Security restricted admits.
func pod(name, role, image string, c corev1.Container) *corev1.Pod {
	yes, no, user := true, false, int64(nobody)
	c.Name, c.Image = containerName, image
	// The verdict is in the pod's status: nobody needs the right to read logs, or to exec.
	c.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	c.SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{roleLabel: role}},
		Spec: corev1.PodSpec{
			RestartPolicy:                corev1.RestartPolicyNever,
			AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{c},
		},
	}
}

func server(role, image string) *corev1.Pod {
	return pod(role, role, image, corev1.Container{
		Args: []string{"netexec", fmt.Sprintf("--http-port=%d", port), "--udp-port=-1"},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)}},
			PeriodSeconds: 1,
		},
	})
}

// once is a probe that connects once. A connection that fails for a reason that is none of the network's, because a new pod
// has no network for a moment, is tried again.
func once(name, role, image, target string) *corev1.Pod {
	return probe(name, role, image, fmt.Sprintf(
		`n=0; until agnhost connect --timeout=3s %s; do n=$((n+1)); if [ $n -ge 3 ]; then exit 1; fi; sleep 1; done`, target))
}

// untilDenied is a probe that connects every second, until three connections in a row fail, and then fails. It succeeds
// when connections still succeed at the deadline. Some networks leave a new pod open for seconds: to try once is too early.
func untilDenied(name, role, image, target string, within time.Duration) *corev1.Pod {
	return probe(name, role, image, fmt.Sprintf(
		`end=$(($(date +%%s)+%d)); n=0; while [ $(date +%%s) -lt $end ]; do `+
			`if agnhost connect --timeout=3s %s; then n=0; else n=$((n+1)); if [ $n -ge 3 ]; then exit 1; fi; fi; sleep 1; done`,
		int(within.Seconds()), target))
}

func probe(name, role, image, script string) *corev1.Pod {
	// In the image agnhost is in the root folder.
	return pod(name, role, image, corev1.Container{Command: []string{"/bin/sh", "-c", "PATH=/:$PATH; " + script}})
}

// policy selects the pods of a role.
func policy(name, role string, spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
	spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{roleLabel: role}}
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

func peer(role string) []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{roleLabel: role}}}}
}
