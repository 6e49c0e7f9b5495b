// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// operator is a replica of the Deployment.
type operator struct {
	cmd    *exec.Cmd
	exited chan error
	// addresses are where the container's ports are, by name.
	addresses map[string]string
}

var bindAddress = regexp.MustCompile(`^(--[a-z-]+-bind-address=):(\d+)$`)

// run starts a replica as the pod would be, and waits until it is ready by the pod's own probe. What differs is what a
// process on a shared machine has to do without: it listens on loopback, on ports that are free; and it finds the API
// server, and its namespace, by flags, because they are not mounted.
func (c *cluster) run(t *testing.T, d *appsv1.Deployment, env ...string) *operator {
	t.Helper()
	pod := d.Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("the pod has %d containers", len(pod.Containers))
	}
	main := pod.Containers[0]
	o := &operator{exited: make(chan error, 1), addresses: map[string]string{}}
	args := []string{"--kubeconfig", c.kubeconfigOf(t, d.Namespace, pod.ServiceAccountName), "--leader-election-namespace", d.Namespace}
	for _, arg := range main.Args {
		if m := bindAddress.FindStringSubmatch(arg); m != nil {
			port, _ := strconv.Atoi(m[2])
			address := freeAddress(t)
			o.addresses[portName(t, &main, int32(port))] = address //nolint:gosec // a port
			arg = m[1] + address
		}
		args = append(args, arg)
	}

	logFile := filepath.Join(t.TempDir(), "operator.log")
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the child has its own handle
	printWhenFailed(t, logFile)
	// Stopped by stop, as a kubelet does it, and not by a context, which kills.
	o.cmd = exec.CommandContext(context.Background(), operatorBinary, args...)
	o.cmd.Env = append(environment(t, d, &main), env...)
	o.cmd.Stdout, o.cmd.Stderr = log, log
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { o.exited <- o.cmd.Wait() }()
	t.Cleanup(func() { _ = o.cmd.Process.Kill() })
	o.waitReady(t, main.ReadinessProbe.HTTPGet)
	return o
}

// environment is that of the container.
func environment(t *testing.T, d *appsv1.Deployment, main *corev1.Container) []string {
	t.Helper()
	env := []string{} // and not nil, which would be ours
	for _, e := range main.Env {
		switch {
		case e.ValueFrom == nil:
			env = append(env, e.Name+"="+e.Value)
		case e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.namespace":
			env = append(env, e.Name+"="+d.Namespace)
		default:
			t.Fatalf("this test does not know what a kubelet would make of %v", e)
		}
	}
	return env
}

func portName(t *testing.T, main *corev1.Container, number int32) string {
	t.Helper()
	for _, p := range main.Ports {
		if p.ContainerPort == number {
			return p.Name
		}
	}
	t.Fatalf("the container listens on %d, which is not among its ports", number)
	return ""
}

func (o *operator) waitReady(t *testing.T, probe *corev1.HTTPGetAction) {
	t.Helper()
	url := "http://" + o.addresses[probe.Port.StrVal] + probe.Path
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		select {
		case err := <-o.exited:
			t.Fatalf("the operator ended by itself: %v", err)
		default:
		}
		if status, _ := get(t, url, ""); status == http.StatusOK {
			return
		}
		<-time.After(poll)
	}
	t.Fatalf("the operator is not ready: %s", url)
}

// stop asks the operator to stop, as a kubelet does, and waits.
func (o *operator) stop(t *testing.T) {
	t.Helper()
	if err := o.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-o.exited:
		if err != nil {
			t.Errorf("the operator ended badly: %v", err)
		}
	case <-time.After(patience):
		t.Error("the operator did not stop")
	}
}

// get returns the status code, 0 when there is no answer, and the body. The operator signs its own certificate.
func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	addresses, err := localcluster.FreeAddresses(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return addresses[0]
}
