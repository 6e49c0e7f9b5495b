// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const baseline = "config/samples/netbaseline_v1alpha1_networkbaseline.yaml"

// tell is the story, step by step.
func (s *story) tell() error {
	for _, step := range []func() error{
		s.install, s.apply, s.look, s.arrive, s.intrude, s.remove, s.deselect, s.sum,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) install() error {
	caption("Install: the CRD, a ServiceAccount and its rights. (No kubelet here: the operator runs as a process, with just these rights.)")
	if err := s.kubectl("apply", "-k", "config/default"); err != nil {
		return err
	}
	if err := s.kubectlQuietly("wait", "--for=condition=Established", "crd/networkbaselines.netbaseline.io"); err != nil {
		return err
	}
	if err := s.startOperator(); err != nil {
		return err
	}
	caption("A small cluster: stand-ins for the DNS, ingress and Prometheus pods, and three namespaces, two of them production.")
	return s.kubectl("apply", "-f", "hack/demo/cluster.yaml")
}

func (s *story) apply() error {
	caption("One NetworkBaseline.")
	fmt.Println(string(mustRead(baseline)))
	if err := s.kubectl("apply", "-f", baseline); err != nil {
		return err
	}
	return s.kubectl("wait", "--for=condition=Ready", "networkbaseline/production", "--timeout=60s")
}

func (s *story) look() error {
	caption("Every production namespace now holds the policies of the profile; sandbox holds none.")
	if err := s.kubectl("get", "networkpolicies", "--all-namespaces", "-L", "netbaseline.io/component"); err != nil {
		return err
	}
	caption("One of them in full.")
	return s.kubectl("get", "networkpolicy", "-n", "shop", "production-allow-dns", "-o", "yaml")
}

func (s *story) arrive() error {
	caption("A namespace arrives later, and is covered.")
	created := time.Now()
	if err := s.kubectl("create", "-f", "hack/demo/late-namespace.yaml"); err != nil {
		return err
	}
	covered, err := s.watchFor("payments", "production-default-deny", created, func(e watch.Event, p *networkingv1.NetworkPolicy) bool {
		return e.Type != watch.Deleted && len(p.Spec.Egress) == 0 && len(p.Spec.Ingress) == 0
	})
	if err != nil {
		return err
	}
	fmt.Printf("covered %d ms after this command was started, kubectl's own start included\n", covered.Milliseconds())
	return s.kubectl("get", "networkpolicies", "-n", "payments")
}

func (s *story) intrude() error {
	caption("An intruder opens all egress in the default-deny policy …")
	return s.heals("patched", func(client kubernetes.Interface) (time.Time, error) {
		fmt.Println(`$ kubectl patch networkpolicy -n shop production-default-deny --type=merge -p '{"spec":{"egress":[{}]}}'`)
		at := time.Now()
		_, err := client.NetworkingV1().NetworkPolicies("shop").Patch(s.ctx, "production-default-deny", types.MergePatchType,
			[]byte(`{"spec":{"egress":[{}]}}`), metav1.PatchOptions{FieldManager: "intruder"})
		return at, err
	})
}

func (s *story) remove() error {
	caption("… and deletes it.")
	return s.heals("deleted", func(client kubernetes.Interface) (time.Time, error) {
		fmt.Println(`$ kubectl delete networkpolicy -n shop production-default-deny`)
		at := time.Now()
		return at, client.NetworkingV1().NetworkPolicies("shop").Delete(s.ctx, "production-default-deny", metav1.DeleteOptions{})
	})
}

// heals does harm to the default-deny policy of shop and measures how long it lasts. The watch begins before the harm.
func (s *story) heals(what string, harm func(kubernetes.Interface) (time.Time, error)) error {
	client, err := kubernetes.NewForConfig(s.cluster.Config)
	if err != nil {
		return err
	}
	harmed := false
	var at time.Time
	took, err := s.watchAfter("shop", "production-default-deny", func() (time.Time, error) {
		at, err = harm(client)
		return at, err
	}, func(e watch.Event, p *networkingv1.NetworkPolicy) bool {
		open := e.Type == watch.Deleted || len(p.Spec.Egress) > 0
		harmed = harmed || open
		return harmed && !open
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s, and right again %.1f ms after the intruder's request was sent\n", what, float64(took.Microseconds())/1000)
	return s.kubectl("get", "networkpolicy", "-n", "shop", "production-default-deny", "-o", `jsonpath={.spec}{"\n"}`)
}

func (s *story) deselect() error {
	caption("A namespace is deselected: its policies go, and on the way nothing is cut that was allowed.")
	if err := s.kubectl("label", "namespace", "blog", "environment-"); err != nil {
		return err
	}
	if err := s.kubectlQuietly("wait", "--for=delete", "networkpolicy", "-n", "blog", "--all", "--timeout=60s"); err != nil {
		return err
	}
	return s.kubectl("get", "networkpolicies", "-n", "blog")
}

func (s *story) sum() error {
	caption("What the baseline says of itself, who changed what, and nothing left to do.")
	// Status is written at most once a second.
	if err := s.kubectlQuietly("wait", "--for=jsonpath={.status.repairs.total}=2", "networkbaseline/production", "--timeout=60s"); err != nil {
		return err
	}
	if err := s.kubectlQuietly("wait", "--for=jsonpath={.status.namespaces.selected}=2", "networkbaseline/production", "--timeout=60s"); err != nil {
		return err
	}
	if err := s.kubectl("get", "events.events.k8s.io", "-o", "custom-columns=REASON:.reason,NOTE:.note"); err != nil {
		return err
	}
	if err := s.kubectl("get", "networkbaselines"); err != nil {
		return err
	}
	return s.kubectl("get", "networkbaselines", "-o", "wide")
}

// watchFor returns when a policy first fulfils the condition, counted from since.
func (s *story) watchFor(namespace, name string, since time.Time, fulfilled func(watch.Event, *networkingv1.NetworkPolicy) bool) (time.Duration, error) {
	return s.watchAfter(namespace, name, func() (time.Time, error) { return since, nil }, fulfilled)
}

func (s *story) watchAfter(namespace, name string, act func() (time.Time, error), fulfilled func(watch.Event, *networkingv1.NetworkPolicy) bool) (time.Duration, error) {
	client, err := kubernetes.NewForConfig(s.cluster.Config)
	if err != nil {
		return 0, err
	}
	w, err := client.NetworkingV1().NetworkPolicies(namespace).Watch(s.ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return 0, fmt.Errorf("watching %s/%s: %w", namespace, name, err)
	}
	defer w.Stop()
	since, err := act()
	if err != nil {
		return 0, err
	}
	timeout := time.After(patience)
	for {
		select {
		case e := <-w.ResultChan():
			if p, ok := e.Object.(*networkingv1.NetworkPolicy); ok && fulfilled(e, p) {
				return time.Since(since), nil
			}
		case <-timeout:
			return 0, fmt.Errorf("policy %s/%s is not as it should be after %s", namespace, name, patience)
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
	}
}

func (s *story) kubectl(args ...string) error {
	fmt.Println("$ kubectl " + quoted(args))
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kubectl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (s *story) kubectlQuietly(args ...string) error {
	cmd := s.command(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, &out)
	}
	return nil
}

func (s *story) command(args ...string) *exec.Cmd {
	return exec.CommandContext(s.ctx, localcluster.Binary("kubectl"), append([]string{"--kubeconfig", s.cluster.Kubeconfig}, args...)...)
}

// quoted is the command line as one would type it.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, arg := range args {
		if out[i] = arg; strings.ContainsAny(arg, `{}"*`) {
			out[i] = "'" + arg + "'"
		}
	}
	return strings.Join(out, " ")
}

func mustRead(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return data
}

func caption(text string) { fmt.Printf("\n── %s\n", text) }
