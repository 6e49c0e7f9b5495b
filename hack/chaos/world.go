// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	poll = 10 * time.Millisecond
	// patience is how long all may take to be in place again after a fault: an operator's backoff ends at a minute.
	patience = 150 * time.Second
	tierKey  = "tier"
	tenants  = 6
)

// root is the repository's.
var root = filepath.Join("..", "..")

// world is a cluster with an operator, and what is known of both.
type world struct {
	cluster    *localcluster.Cluster
	client     client.Client // never disturbed but by what disturbs the API server itself
	recorder   *recorder
	proxy      *proxy
	binary     string
	kubeconfig string
	logFile    string
	replicas   []*replica
	namespaces []string
	decoys     map[string]string // the revision of each policy of somebody else
	tamperer   *tamperer
}

func newWorld(ctx context.Context, dir string) (*world, error) {
	w := &world{decoys: map[string]string{}, logFile: filepath.Join(dir, "operator.log"), tamperer: newTamperer()}
	var err error
	if w.binary, err = localcluster.BuildOperator(ctx, root, dir); err != nil {
		return nil, err
	}
	//nolint:contextcheck // its life is not a context's: close ends it
	w.cluster, err = localcluster.Start(localcluster.Options{ControllerManager: true})
	if err != nil {
		return nil, err
	}
	if err := w.furnish(ctx, dir); err != nil {
		return nil, fmt.Errorf("%w\n%w", err, w.close())
	}
	return w, nil
}

// furnish makes what every test finds: the operator's rights, the namespaces, decoys in them, what preflight looks for.
func (w *world) furnish(ctx context.Context, dir string) error {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	var err error
	if w.client, err = client.New(w.cluster.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if w.recorder, err = newRecorder(ctx, w.cluster.EtcdURL()); err != nil {
		return err
	}
	if err := w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ingress-nginx"}}); err != nil {
		return err
	}
	kubeconfig, err := w.cluster.InstallOperator(ctx, root)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	if w.proxy, err = newProxy(ctx, config); err != nil {
		return err
	}
	w.kubeconfig = filepath.Join(dir, "operator.kubeconfig")
	if err := w.proxy.kubeconfig(w.kubeconfig); err != nil {
		return err
	}
	if err := w.appear(ctx); err != nil {
		return err
	}
	for i := range tenants {
		if err := w.tenant(ctx, fmt.Sprintf("tenant-%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// tenant creates a namespace, and policies of somebody else in it: one is plain, one a copy of ours with its labels.
// They select no pod that is asked about.
func (w *world) tenant(ctx context.Context, name string) error {
	if err := w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return err
	}
	w.namespaces = append(w.namespaces, name)
	for decoy, labels := range map[string]map[string]string{
		"theirs": nil,
		"copied": {"app.kubernetes.io/managed-by": "netbaseline", "netbaseline.io/baseline": "one", "netbaseline.io/component": "default-deny"},
	} {
		p := &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: decoy, Labels: labels},
			Spec: networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "theirs"}},
				PolicyTypes: []networkingv1.PolicyType{"Ingress"},
			},
		}
		if err := w.client.Create(ctx, p); err != nil {
			return err
		}
		w.decoys[name+"/"+decoy] = p.ResourceVersion
	}
	return nil
}

// start starts replicas of the operator; more than one elect a leader.
func (w *world) start(replicas int) {
	o := localcluster.OperatorOptions{Binary: w.binary, Kubeconfig: w.kubeconfig, LogFile: w.logFile}
	if replicas > 1 {
		o.Args = []string{"--leader-elect", "--leader-election-namespace", localcluster.OperatorNamespace}
	}
	for range replicas {
		w.replicas = append(w.replicas, startReplica(o))
	}
}

func (w *world) stop() {
	for _, r := range w.replicas {
		r.stop()
	}
	w.replicas = nil
}

func (w *world) close() error {
	w.stop()
	if w.proxy != nil {
		_ = w.proxy.close()
	}
	return w.cluster.Stop()
}
