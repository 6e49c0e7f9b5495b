// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// runLabel is on every namespace of a run.
	runLabel = "netbaseline.io/verify"
	// untilAnnotation is when a run is over at the latest: what is left of it then is a leftover.
	untilAnnotation = "netbaseline.io/verify-until"

	poll = 500 * time.Millisecond
	// startup is how long a pod may take to be scheduled, pulled and started.
	startup = 2 * time.Minute
	// cleanup is how long the clean-up may take.
	cleanup = 30 * time.Second
)

// run is one run, in a namespace of its own.
type run struct {
	client    kubernetes.Interface
	image     string
	timeout   time.Duration // of each check until it is denied
	say       func(format string, args ...any)
	namespace string
}

// all makes the namespace, runs the checks in it, and removes it, in every case.
func (r *run) all(ctx context.Context) (_ Result, err error) {
	if err := r.removeLeftovers(ctx); err != nil {
		return Result{}, err
	}
	if err := r.createNamespace(ctx); err != nil {
		return Result{}, err
	}
	defer func() {
		// Also after Ctrl-C, when ctx has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
		defer cancel()
		if e := r.removeNamespace(ctx, r.namespace); e != nil {
			err = errors.Join(err, fmt.Errorf("namespace %s is left behind, and the next run removes it: %w", r.namespace, e))
		}
	}()
	addresses := map[string]string{}
	for _, role := range []string{ingressTarget, egressTarget, metadataTarget} {
		r.say("starting server %s", role)
		if addresses[role], err = r.serve(ctx, server(role, r.image)); err != nil {
			if ctx.Err() != nil {
				return Result{}, ctx.Err()
			}
			return Result{Verdict: Inconclusive, Checks: []Check{{"Servers", Inconclusive, err.Error()}}}, nil
		}
	}
	var checks []Check
	for _, p := range plans(addresses) {
		checks = append(checks, r.check(ctx, p))
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
	}
	return result(checks), nil
}

// removeLeftovers removes what a run left that was killed. Runs that may still be going on are left alone.
func (r *run) removeLeftovers(ctx context.Context) error {
	namespaces, err := r.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: runLabel})
	if err != nil {
		return fmt.Errorf("looking for leftovers: %w", err)
	}
	for i := range namespaces.Items {
		ns := &namespaces.Items[i]
		if ns.DeletionTimestamp != nil {
			continue
		}
		if until, err := time.Parse(time.RFC3339, ns.Annotations[untilAnnotation]); err == nil && time.Now().Before(until) {
			r.say("namespace %s belongs to another run, which ends by %s: left alone", ns.Name, until.Format(time.RFC3339))
			continue
		}
		r.say("removing namespace %s, a leftover of an earlier run", ns.Name)
		if err := r.removeNamespace(ctx, ns.Name); err != nil {
			return fmt.Errorf("removing the leftover namespace %s: %w", ns.Name, err)
		}
	}
	return nil
}

func (r *run) createNamespace(ctx context.Context) error {
	// Three servers, and for each check three probes, the longest of which polls.
	longest := 12*startup + 3*r.timeout
	ns, err := r.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "netbaseline-verify-",
		Labels:       map[string]string{runLabel: "true", "pod-security.kubernetes.io/enforce": "restricted"},
		Annotations:  map[string]string{untilAnnotation: time.Now().Add(longest).Format(time.RFC3339)},
	}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a namespace: %w", err)
	}
	r.namespace = ns.Name
	r.say("created namespace %s", ns.Name)
	return nil
}

func (r *run) removeNamespace(ctx context.Context, name string) error {
	err := r.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// apply creates a policy, unless there is a pod in the namespace that is not this run's.
func (r *run) apply(ctx context.Context, p *networkingv1.NetworkPolicy) error {
	pods, err := r.client.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: "!" + roleLabel})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	if len(pods.Items) > 0 {
		return fmt.Errorf("no policy is written: pod %s/%s is not of this run", r.namespace, pods.Items[0].Name)
	}
	if _, err := r.client.NetworkingV1().NetworkPolicies(r.namespace).Create(ctx, p, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating NetworkPolicy %s: %w", p.Name, err)
	}
	return nil
}

// serve starts a server and returns its address when it is ready.
func (r *run) serve(ctx context.Context, p *corev1.Pod) (address string, err error) {
	err = r.await(ctx, p, startup, func(p *corev1.Pod) (bool, error) {
		if p.Status.Phase == corev1.PodFailed {
			_, err := outcomeOf(p)
			return true, err
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				address = p.Status.PodIP
			}
		}
		return address != "", nil
	})
	return address, err
}

// ask runs a probe to its end.
func (r *run) ask(ctx context.Context, p *corev1.Pod) (o outcome, err error) {
	err = r.await(ctx, p, startup+r.timeout, func(p *corev1.Pod) (bool, error) {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			return false, nil
		}
		var err error
		o, err = outcomeOf(p)
		return true, err
	})
	return o, err
}

// await creates a pod and reads it until done.
func (r *run) await(ctx context.Context, p *corev1.Pod, within time.Duration, done func(*corev1.Pod) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	pods := r.client.CoreV1().Pods(r.namespace)
	if _, err := pods.Create(ctx, p, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating pod %s: %w", p.Name, err)
	}
	for {
		got, err := pods.Get(ctx, p.Name, metav1.GetOptions{})
		if err == nil {
			if why := stuck(got); why != "" {
				return fmt.Errorf("pod %s does not start: %s", p.Name, why)
			}
			if ok, err := done(got); ok || err != nil {
				return err
			}
		} else if ctx.Err() == nil {
			return fmt.Errorf("reading pod %s: %w", p.Name, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pod %s: not done within %s", p.Name, within)
		case <-time.After(poll):
		}
	}
}
