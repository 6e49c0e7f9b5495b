// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package localcluster starts a real Kubernetes control plane on loopback: etcd, kube-apiserver and, on demand,
// kube-controller-manager. The tests, the demo and the benchmark run on it. The binaries come from
// KUBEBUILDER_ASSETS, which hack/controlplane/assets.sh fills.
package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Options says what to start.
type Options struct {
	// CRDs are files or folders of CustomResourceDefinitions to install.
	CRDs []string
	// ControllerManager starts kube-controller-manager too: namespaces then terminate and garbage is collected.
	ControllerManager bool
	// APIServerArgs are further arguments of kube-apiserver, without the dashes.
	APIServerArgs map[string]string
	// Log receives the output of kube-controller-manager; discarded when nil.
	Log *os.File
}

// Cluster is a running control plane.
type Cluster struct {
	// Config has the rights of system:masters.
	Config *rest.Config
	// Kubeconfig is a file with the same rights.
	Kubeconfig string

	env     *envtest.Environment
	dir     string
	manager *exec.Cmd
}

// Binary is the path of a binary of the control plane, or of kubectl.
func Binary(name string) string { return filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), name) }

// Start starts a control plane; it takes some seconds. Stop it in every case.
func Start(o Options) (*Cluster, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New(`KUBEBUILDER_ASSETS is not set: run this through make, or export KUBEBUILDER_ASSETS="$(hack/controlplane/assets.sh)"`)
	}
	c := &Cluster{env: &envtest.Environment{
		CRDDirectoryPaths:        o.CRDs,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStopTimeout:  20 * time.Second,
		ControlPlaneStartTimeout: time.Minute,
	}}
	if err := c.start(o); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(o Options) (err error) {
	if c.dir, err = os.MkdirTemp("", "netbaseline-cluster-"); err != nil {
		return err
	}
	// A folder of ours: envtest removes its own when the API server stops, and then it cannot be started again.
	certs := filepath.Join(c.dir, "apiserver")
	if err := os.Mkdir(certs, 0o700); err != nil {
		return err
	}
	c.env.ControlPlane.GetAPIServer().CertDir = certs
	for name, value := range o.APIServerArgs {
		c.env.ControlPlane.GetAPIServer().Configure().Append(name, value)
	}
	if c.Config, err = c.env.Start(); err != nil {
		return fmt.Errorf("starting etcd and kube-apiserver: %w", err)
	}
	// Only the API server itself should limit the tests.
	c.Config.QPS = -1
	c.Kubeconfig, err = c.AddUser("admin", "system:masters")
	if err != nil {
		return err
	}
	if o.ControllerManager {
		return c.startControllerManager(o.Log)
	}
	return nil
}

// AddUser returns the path of a kubeconfig with which one is the user, in the groups.
func (c *Cluster) AddUser(name string, groups ...string) (string, error) {
	user, err := c.env.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return "", fmt.Errorf("adding user %s: %w", name, err)
	}
	data, err := user.KubeConfig()
	if err != nil {
		return "", fmt.Errorf("kubeconfig of user %s: %w", name, err)
	}
	path := filepath.Join(c.dir, filepath.Base(name)+".kubeconfig")
	return path, os.WriteFile(path, data, 0o600)
}

func (c *Cluster) startControllerManager(log *os.File) error {
	// Who it is matters to admission: as in a real cluster, itself, and each of its controllers a ServiceAccount.
	kubeconfig, err := c.AddUser("system:kube-controller-manager")
	if err != nil {
		return err
	}
	// Its life is that of the cluster, which Stop ends, and not of a context.
	c.manager = exec.CommandContext(context.Background(), Binary("kube-controller-manager"),
		"--kubeconfig="+kubeconfig,
		"--use-service-account-credentials",
		"--controllers=namespace-controller,garbage-collector-controller",
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
		"--secure-port=0",
		"--kube-api-qps=200", "--kube-api-burst=400",
	)
	c.manager.Stdout, c.manager.Stderr = log, log
	if err := c.manager.Start(); err != nil {
		return fmt.Errorf("starting kube-controller-manager: %w", err)
	}
	return nil
}

// Stop ends everything that Start started and removes its files. It may be called again.
func (c *Cluster) Stop() error {
	var errs []error
	if c.manager != nil && c.manager.Process != nil {
		_ = c.manager.Process.Signal(syscall.SIGTERM)
		// Ended by our signal: its exit status says nothing.
		_ = c.manager.Wait()
		c.manager = nil
	}
	errs = append(errs, c.env.Stop())
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}
