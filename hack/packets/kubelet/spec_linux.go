// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"os"
	"path/filepath"
)

// argv is what the container runs: the image's binary is its entry point.
func (c *container) argv() []string {
	binary := c.kubelet.binary(c.spec.Image)
	if len(c.spec.Command) == 0 {
		return append([]string{binary}, c.spec.Args...)
	}
	argv := append(append([]string{}, c.spec.Command...), c.spec.Args...)
	if filepath.Base(argv[0]) == filepath.Base(binary) {
		argv[0] = binary
	}
	return argv
}

// env is the container's environment. In its PATH are the images' binaries, as if they were in the image.
func (c *container) env() []string {
	env := []string{"PATH=" + filepath.Join(c.kubelet.Dir, "bin") + ":" + os.Getenv("PATH"), "HOSTNAME=" + c.pod.Name}
	for _, e := range c.spec.Env {
		value := e.Value
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			value = c.field(e.ValueFrom.FieldRef.FieldPath)
		}
		env = append(env, e.Name+"="+value)
	}
	return env
}

func (c *container) field(path string) string {
	switch path {
	case "metadata.name":
		return c.pod.Name
	case "metadata.namespace":
		return c.pod.Namespace
	case "spec.nodeName":
		return c.kubelet.NodeName
	case "spec.serviceAccountName":
		return c.pod.Spec.ServiceAccountName
	case "status.podIP":
		return c.ips[0].IP
	}
	return ""
}

// user is the user of the container; 0 is root, which is whoever runs the test.
func (c *container) user() uint32 {
	var user int64
	if s := c.pod.Spec.SecurityContext; s != nil && s.RunAsUser != nil {
		user = *s.RunAsUser
	}
	if s := c.spec.SecurityContext; s != nil && s.RunAsUser != nil {
		user = *s.RunAsUser
	}
	return uint32(user) //nolint:gosec // the API server refuses others
}
