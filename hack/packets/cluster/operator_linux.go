// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const home = "netbaseline-system"

// Operator is the operator as a process, with the rights of its ServiceAccount, in a namespace of its own.
type Operator struct {
	cluster            *Cluster
	binary, kubeconfig string
	log                *os.File

	mu      sync.Mutex
	process *exec.Cmd
}

// NewOperator builds the operator and grants its rights.
func (c *Cluster) NewOperator(ctx context.Context) (*Operator, error) {
	o := &Operator{cluster: c}
	var err error
	if o.log, err = c.Log("operator"); err != nil {
		return nil, err
	}
	if o.binary, err = localcluster.BuildOperator(ctx, c.options.Root, c.Dir); err != nil {
		return nil, err
	}
	if err := c.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}}); err != nil {
		return nil, err
	}
	account, err := c.grant(ctx, filepath.Join(c.options.Root, "config", "rbac"))
	if err != nil {
		return nil, err
	}
	o.kubeconfig, err = c.Control.AddUser("system:serviceaccount:" + home + ":" + account)
	return o, err
}

// grant creates every object of a folder in the operator's namespace, and returns the name of its one ServiceAccount.
func (c *Cluster) grant(ctx context.Context, folder string) (account string, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		objects, err := Read(file)
		if err != nil {
			return "", err
		}
		for _, o := range objects {
			if o.GetNamespace() != "" {
				o.SetNamespace(home)
			}
			if o.GetKind() == "ServiceAccount" {
				account = o.GetName()
			}
			if err := moveSubjects(o); err != nil {
				return "", fmt.Errorf("%s: %w", file, err)
			}
			if err := c.Client.Create(ctx, o); err != nil {
				return "", fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	if account == "" {
		return "", fmt.Errorf("%s has no ServiceAccount", folder)
	}
	return account, nil
}

// moveSubjects does what kustomize does when it sets the namespace.
func moveSubjects(o *unstructured.Unstructured) error {
	subjects, found, err := unstructured.NestedSlice(o.Object, "subjects")
	if err != nil || !found {
		return err
	}
	for i := range subjects {
		if s, ok := subjects[i].(map[string]any); ok && s["kind"] == "ServiceAccount" {
			s["namespace"] = home
		}
	}
	return unstructured.SetNestedSlice(o.Object, subjects, "subjects")
}

// Read reads the objects of a YAML file.
func Read(file string) ([]*unstructured.Unstructured, error) {
	data, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}

// Start starts the operator.
func (o *Operator) Start() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	// Its life is not a context's: Kill ends it.
	o.process = exec.CommandContext(context.Background(), o.binary, "--kubeconfig", o.kubeconfig) //nolint:gosec // our own
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "KUBECONFIG=") {
			o.process.Env = append(o.process.Env, e)
		}
	}
	o.process.Env = append(o.process.Env, "POD_NAMESPACE="+home)
	o.process.Stdout, o.process.Stderr = o.log, o.log
	o.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return o.process.Start()
}

// Kill ends the operator without warning, and waits.
func (o *Operator) Kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.process != nil && o.process.Process != nil {
		_ = o.process.Process.Kill()
		_ = o.process.Wait()
	}
	o.process = nil
}
