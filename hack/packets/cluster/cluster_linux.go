// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
	"github.com/netbaseline/netbaseline/hack/packets/kubelet"
	"github.com/netbaseline/netbaseline/hack/packets/node"
)

const nodeName = "packets"

// Options says what to start.
type Options struct {
	// Root is the root of the repository.
	Root string
	// Assets holds the binaries kube-router, agnhost and standin.
	Assets map[string]string
	// OnNode and Outside are addresses of the node itself and of what is outside of the cluster.
	OnNode, Outside []netip.Addr
}

// Cluster is a running cluster.
type Cluster struct {
	Control *localcluster.Cluster
	Client  client.Client
	Network *node.Network
	// Dir holds the logs of everything that runs.
	Dir string

	options  Options
	kubelet  *kubelet.Kubelet
	firewall *node.Firewall
	cancel   context.CancelFunc
	running  sync.WaitGroup
	logs     []*os.File
}

// Start starts a cluster, without a network that enforces. Stop it in every case.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{options: o}
	ctx, c.cancel = context.WithCancel(ctx)
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	if c.Dir, err = os.MkdirTemp("", "netbaseline-packets-"); err != nil {
		return err
	}
	// Containers run as other users, too.
	if err := os.Chmod(c.Dir, 0o755); err != nil { //nolint:gosec // see above
		return err
	}
	c.Control, err = localcluster.Start(localcluster.Options{ //nolint:contextcheck // Stop ends it, and no context
		CRDs:              []string{filepath.Join(c.options.Root, "config", "crd", "bases")},
		ControllerManager: true,
		APIServerArgs: map[string]string{
			"service-cluster-ip-range": node.ServiceRange,
			// The EndpointSlice of the API server names an address that pods can reach: see furnish.
			"endpoint-reconciler-type": "none",
		},
	})
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if c.Client, err = client.New(c.Control.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if c.Network, err = node.New(c.options.OnNode, c.options.Outside); err != nil {
		return err
	}
	return c.startKubelet(ctx)
}

func (c *Cluster) startKubelet(ctx context.Context) error {
	clientset, err := kubernetes.NewForConfig(c.Control.Config)
	if err != nil {
		return err
	}
	c.kubelet = &kubelet.Kubelet{Client: clientset, NodeName: nodeName, Network: c.Network, Images: c.options.Assets, Dir: filepath.Join(c.Dir, "pods")}
	failed := make(chan error, 1)
	c.running.Go(func() { failed <- c.kubelet.Run(ctx) })
	select {
	case err := <-failed:
		return err
	case <-c.kubelet.Ready():
		return nil
	}
}

// Pod returns where a pod is in the network, or nil.
func (c *Cluster) Pod(namespace, name string) *node.Pod { return c.kubelet.Find(namespace, name) }

// StartFirewall makes the network enforce NetworkPolicies.
func (c *Cluster) StartFirewall(ctx context.Context) error {
	api, err := url.Parse(c.Control.Config.Host)
	if err != nil {
		return err
	}
	// The same address in the node: the kubeconfig and the certificate fit.
	if err := node.Forward(ctx, c.Network.Node, api.Host, api.Host); err != nil {
		return err
	}
	log, err := c.Log("kube-router")
	if err != nil {
		return err
	}
	c.firewall, err = c.Network.StartFirewall(ctx, c.options.Assets["kube-router"], c.Control.Kubeconfig, nodeName, log)
	if err != nil {
		return fmt.Errorf("%w: see %s", err, log.Name())
	}
	return nil
}

// Log makes a file for what something says.
func (c *Cluster) Log(name string) (*os.File, error) {
	f, err := os.Create(filepath.Join(c.Dir, name+".log")) //nolint:gosec // our own folder
	if err == nil {
		c.logs = append(c.logs, f)
	}
	return f, err
}

// Stop ends everything that Start started. The logs stay when KEEP is set.
func (c *Cluster) Stop() error {
	var errs []error
	c.cancel()
	c.running.Wait()
	if c.firewall != nil {
		errs = append(errs, c.firewall.Stop())
	}
	if c.Network != nil {
		errs = append(errs, c.Network.Close())
	}
	if c.Control != nil {
		errs = append(errs, c.Control.Stop())
	}
	for _, f := range c.logs {
		errs = append(errs, f.Close())
	}
	if os.Getenv("KEEP") == "" {
		errs = append(errs, os.RemoveAll(c.Dir))
	}
	return errors.Join(errs...)
}
