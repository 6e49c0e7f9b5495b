// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// container is the first container of a DaemonSet for which is holds, with its DaemonSet; nil if there is none.
func (in Input) container(is func(*appsv1.DaemonSet, *corev1.Container) bool) (*appsv1.DaemonSet, *corev1.Container) {
	for i := range in.DaemonSets {
		d := &in.DaemonSets[i]
		for j := range d.Spec.Template.Spec.Containers {
			if c := &d.Spec.Template.Spec.Containers[j]; is(d, c) {
				return d, c
			}
		}
	}
	return nil, nil
}

func (in Input) daemonSet(namespace, name string) *appsv1.DaemonSet {
	for i := range in.DaemonSets {
		if d := &in.DaemonSets[i]; d.Namespace == namespace && d.Name == name {
			return d
		}
	}
	return nil
}

// configMap is the data of a ConfigMap in kube-system; nil if there is none.
func (in Input) configMap(name string) map[string]string {
	for i := range in.ConfigMaps {
		if c := &in.ConfigMaps[i]; c.Namespace == "kube-system" && c.Name == name {
			if c.Data == nil {
				return map[string]string{}
			}
			return c.Data
		}
	}
	return nil
}

func (in Input) node(is func(*corev1.Node) bool) *corev1.Node {
	for i := range in.Nodes {
		if is(&in.Nodes[i]) {
			return &in.Nodes[i]
		}
	}
	return nil
}

func of(d *appsv1.DaemonSet) string { return fmt.Sprintf("DaemonSet %s/%s", d.Namespace, d.Name) }

// running is the answer for a network that enforces wherever its DaemonSet runs. c may be nil, where the name of the
// DaemonSet is evidence enough.
func running(name string, d *appsv1.DaemonSet, c *corev1.Container) (Network, bool) {
	if d == nil {
		return Network{}, false
	}
	n := Network{Name: name, Enforces: Yes, Evidence: of(d)}
	if c != nil {
		n.Evidence += ", container " + c.Name
	}
	switch {
	case d.Status.ObservedGeneration > 0 && d.Status.DesiredNumberScheduled == 0:
		n.Enforces, n.Evidence = Unknown, n.Evidence+", which is to run on no node"
	case d.Status.DesiredNumberScheduled > 0 && d.Status.NumberReady == 0:
		n.Enforces, n.Evidence = Unknown, n.Evidence+", which is ready on no node"
	}
	return n, true
}

// unless is running, but No where the network is switched off, by a flag.
func unless(off bool, name string, d *appsv1.DaemonSet, c *corev1.Container, flag string) (Network, bool) {
	n, ok := running(name, d, c)
	if ok && off {
		n.Enforces, n.Evidence = No, fmt.Sprintf("%s: container %s has %s", of(d), c.Name, flag)
	}
	return n, ok
}

// platform is a platform that enforces only with a network that would have been found.
func platform(in Input, name, label, without string) (Network, bool) {
	n := in.node(func(n *corev1.Node) bool { _, has := n.Labels[label]; return has })
	if n == nil {
		return Network{}, false
	}
	return Network{name, No, fmt.Sprintf("node %s has label %s, and %s", n.Name, label, without)}, true
}

// flagIs returns whether a container's boolean flag is set, to a value. A flag without a value is true, and the last of
// several counts.
func flagIs(c *corev1.Container, flag string, want bool) bool {
	if c == nil {
		return false
	}
	set, value := false, false
	for _, arg := range append(append([]string{}, c.Command...), c.Args...) {
		name, given, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") || name != flag {
			continue
		}
		parsed, err := strconv.ParseBool(given)
		set, value = !has || err == nil, !has || parsed
	}
	return set && value == want
}
