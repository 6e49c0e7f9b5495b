// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// poll is the time between two looks.
const poll = 20 * time.Millisecond

// root is the repository's.
var root = filepath.Join("..", "..")

// world is a cluster with an operator.
type world struct {
	cluster *localcluster.Cluster
	// client reads and writes past every cache.
	client client.WithWatch
	// hold lets writes of policies wait.
	hold *hold

	dir, binary string
	kubeconfig  string // the operator's
	operator    *localcluster.Operator
}

// newWorld starts a control plane and the operator of this tree, and creates the pods that a preflight looks for.
// Close it in every case but an error.
func newWorld(ctx context.Context) (_ *world, err error) {
	w := &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "netbaseline-gitops-"); err != nil {
		return nil, err
	}
	// The build and the start of the control plane take their time side by side.
	built := make(chan error, 1)
	go func() { built <- w.build(ctx) }()
	//nolint:contextcheck // its life is not a context's: close ends it
	w.cluster, err = localcluster.Start(localcluster.Options{ControllerManager: true})
	if err := errors.Join(err, <-built); err != nil {
		return nil, err
	}
	if w.kubeconfig, err = w.cluster.InstallOperator(ctx, root); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if w.client, err = client.NewWithWatch(w.cluster.Config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	for namespace, label := range map[string]string{"kube-system": "k8s-app=kube-dns", "ingress-nginx": "app.kubernetes.io/name=ingress-nginx"} {
		if err := w.standIn(ctx, namespace, label); err != nil {
			return nil, err
		}
	}
	if w.hold, err = newHold(ctx, w.client); err != nil {
		return nil, err
	}
	if err := w.start(); err != nil { //nolint:contextcheck // its life is not a context's: stop ends it
		return nil, err
	}
	return w, nil
}

// build builds the operator from this tree.
func (w *world) build(ctx context.Context) (err error) {
	w.binary, err = localcluster.BuildOperator(ctx, root, w.dir)
	return err
}

// standIn creates a pod that nothing runs, for selectors to find.
func (w *world) standIn(ctx context.Context, namespace, label string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := client.IgnoreAlreadyExists(w.client.Create(ctx, ns)); err != nil {
		return err
	}
	labels, err := metav1.ParseToLabelSelector(label)
	if err != nil {
		return err
	}
	return w.client.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stand-in", Labels: labels.MatchLabels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "stand-in", Image: "stand-in"}}},
	})
}

// start starts the operator; its output goes to a file that a failure prints.
func (w *world) start() (err error) {
	w.operator, err = localcluster.StartOperator(localcluster.OperatorOptions{Binary: w.binary, Kubeconfig: w.kubeconfig, LogFile: w.log()})
	return err
}

func (w *world) log() string { return filepath.Join(w.dir, "operator.log") }

// stop ends the operator. What it has done stays.
func (w *world) stop() error {
	if w.operator == nil {
		return nil
	}
	err := errors.Join(w.operator.Alive(), w.operator.Stop())
	w.operator = nil
	return err
}

func (w *world) close() error {
	var errs []error
	if w.hold != nil {
		w.hold.close()
	}
	errs = append(errs, w.stop())
	if w.cluster != nil {
		errs = append(errs, w.cluster.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// kubectl runs kubectl and returns what it prints.
func (w *world) kubectl(ctx context.Context, args ...string) (string, error) {
	//nolint:gosec // our own binary
	out, err := exec.CommandContext(ctx, localcluster.Binary("kubectl"), append(args, "--kubeconfig", w.cluster.Kubeconfig)...).CombinedOutput()
	return string(out), err
}
