// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/hack/packets/table"
)

// TestKubelet asks of our kubelet what the other tests, and netbaseline verify, rely on.
func TestKubelet(t *testing.T) {
	t.Cleanup(func() { shared.clear(t, "kubelet") })
	if err := shared.populate(t.Context(), map[string]*table.Namespace{"kubelet": {
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}); err != nil {
		t.Fatal(err)
	}
	t.Run("a container that succeeds", func(t *testing.T) { ends(t, "exit 0", "Succeeded 0 ") })
	t.Run("the log is the message of one that fails", func(t *testing.T) { ends(t, "echo why >&2; exit 7", "Failed 7 why") })
	t.Run("a process that is killed", func(t *testing.T) { ends(t, "kill -9 $$", "Failed 137 ") })
	t.Run("the user is the pod's, without capabilities", func(t *testing.T) {
		ends(t, "id -u; grep CapEff /proc/self/status | tr -d '\\t'; exit 1", "Failed 1 1000 CapEff:0000000000000000")
	})
	t.Run("nobody listens", func(t *testing.T) { ends(t, "exec agnhost connect --timeout=3s 8.8.4.4:9", "Failed 1 REFUSED") })
	t.Run("nobody answers", func(t *testing.T) { ends(t, "exec agnhost connect --timeout=1s 240.0.0.1:9", "Failed 1 TIMEOUT") })
	t.Run("a container is started again until it succeeds", restarts)
	t.Run("a server is ready when it listens", ready)
	t.Run("an image that is not there", noImage)
}

var ended int

func ends(t *testing.T, script, want string) {
	t.Helper()
	ended++
	if got := shared.runPod(t, agnhostPod("kubelet", fmt.Sprintf("ends-%d", ended), script)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func restarts(t *testing.T) {
	pod := agnhostPod("kubelet", "restarts", "d=/tmp/$HOSTNAME-$MARK; if [ -d $d ]; then rmdir $d; else mkdir $d; exit 3; fi")
	pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MARK", Value: fmt.Sprint(time.Now().UnixNano())}}
	if got := shared.runPod(t, pod); got != "Succeeded 0 " {
		t.Fatal(got)
	}
	s := pod.Status.ContainerStatuses[0]
	if s.RestartCount != 1 || s.LastTerminationState.Terminated == nil || s.LastTerminationState.Terminated.ExitCode != 3 {
		t.Errorf("got %+v", s)
	}
}

func ready(t *testing.T) {
	ctx := t.Context()
	pod := agnhostPod("kubelet", "server", "")
	c := &pod.Spec.Containers[0]
	c.Command, c.Args = nil, []string{"netexec", "--http-port=8080", "--udp-port=8081"}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt(8080)}}}
	if err := shared.Client.Create(ctx, pod); err != nil {
		t.Fatal(err)
	}
	if err := shared.podsReady(ctx, "kubelet", client.MatchingFields{"metadata.name": pod.Name}); err != nil {
		t.Fatal(err)
	}
	if err := shared.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
		t.Fatal(err)
	}
	ends(t, "exec agnhost connect --timeout=3s "+pod.Status.PodIP+":8080", "Succeeded 0 ")
	ends(t, "exec agnhost connect --protocol=udp --timeout=3s "+pod.Status.PodIP+":8081", "Succeeded 0 ")
	start := time.Now()
	if err := shared.Client.Delete(ctx, pod); err != nil {
		t.Fatal(err)
	}
	if err := shared.wait(ctx, "gone", func() error { return shared.absent(ctx, pod) }); err != nil {
		t.Fatal(err)
	}
	if spent := time.Since(start); spent > 15*time.Second {
		t.Errorf("a server that ends when it is asked to took %s", spent)
	}
}

func noImage(t *testing.T) {
	ctx := t.Context()
	pod := agnhostPod("kubelet", "no-image", "")
	pod.Spec.Containers[0].Image = "registry.example.com/missing:1"
	if err := shared.Client.Create(ctx, pod); err != nil {
		t.Fatal(err)
	}
	if err := shared.wait(ctx, "the reason", func() error {
		if err := shared.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Waiting != nil && s.State.Waiting.Reason == "ErrImagePull" {
				return nil
			}
		}
		return fmt.Errorf("status %+v", pod.Status)
	}); err != nil {
		t.Error(err)
	}
	if err := shared.Client.Delete(ctx, pod, client.GracePeriodSeconds(0)); err != nil {
		t.Error(err)
	}
}

// words are those of a message, on one line.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }
