// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

var errInterrupted = errors.New("interrupted")

// standIns are the namespaces and pods that a preflight looks for.
const standIns = "hack/demo/cluster.yaml"

// groupLabel says which baseline selects a namespace: first or second.
const groupLabel = "bench.netbaseline.io/group"

// scene is a cluster with n namespaces, and what is known of it.
type scene struct {
	set     settings
	n       int
	binary  string
	dir     string
	cluster *localcluster.Cluster
	version string

	admin kubernetes.Interface
	// plain has the operator's rights, and its place in API priority and fairness.
	plain     kubernetes.Interface
	neighbour kubernetes.Interface
	baselines client.WithWatch

	operatorConfig string
	operator       *operator
	policies       *recorder
	register       *register
	random         *rand.Rand

	names []string
	forms forms
}

// newScene starts a control plane and installs the operator's CRD and rights in it. Close it in every case.
func newScene(ctx context.Context, set settings, binary, dir string, n int) (*scene, error) {
	s := &scene{set: set, n: n, binary: binary, dir: dir, random: rand.New(rand.NewPCG(uint64(n), 1))}
	defer s.progress("starting a control plane", 1, func() int { return 0 })()
	var err error
	//nolint:contextcheck // its life is ended by Stop and not by a context, which kills
	if s.cluster, err = localcluster.Start(localcluster.Options{}); err != nil {
		return nil, err
	}
	if err := s.furnish(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// furnish makes the clients and everything that exists before the first measurement.
func (s *scene) furnish(ctx context.Context) (err error) {
	if s.admin, err = kubernetes.NewForConfig(protobuf(s.cluster.Config)); err != nil {
		return err
	}
	if err := s.addUsers(ctx); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	if s.baselines, err = client.NewWithWatch(s.cluster.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	version, err := s.admin.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	s.version = version.GitVersion
	for _, args := range [][]string{
		{"apply", "-f", standIns},
		{"apply", "-f", "hack/bench/neighbour.yaml"},
	} {
		if err := s.cluster.Kubectl(ctx, args...); err != nil {
			return err
		}
	}
	if s.policies, err = newRecorder(ctx, s.admin); err != nil {
		return err
	}
	s.register, err = newRegister(ctx, s.baselines)
	return err
}

func (s *scene) addUsers(ctx context.Context) (err error) {
	if s.operatorConfig, err = s.cluster.InstallOperator(ctx, "."); err != nil {
		return err
	}
	if s.plain, err = clientOf(s.operatorConfig); err != nil {
		return err
	}
	path, err := s.cluster.AddUser("system:serviceaccount:neighbour:default", "system:serviceaccounts", "system:serviceaccounts:neighbour")
	if err != nil {
		return err
	}
	s.neighbour, err = clientOf(path)
	return err
}

func clientOf(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(protobuf(config))
}

// protobuf is what a fast client uses, controller-runtime's among them, without a limit of its own.
func protobuf(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.DisableCompression = true
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config
}

func (s *scene) close() error {
	errs := []error{s.stop()}
	if s.policies != nil {
		s.policies.stop()
	}
	if s.register != nil {
		s.register.stop()
	}
	return errors.Join(append(errs, s.cluster.Stop())...)
}

func (s *scene) logFile() string { return filepath.Join(s.dir, fmt.Sprintf("operator-%d.log", s.n)) }

// addNamespaces creates namespaces of a group.
func (s *scene) addNamespaces(ctx context.Context, group string, names []string) error {
	return parallel(ctx, 32, len(names), func(ctx context.Context, i int) error {
		_, err := s.admin.CoreV1().Namespaces().Create(ctx, namespaceOf(group, names[i]), metav1.CreateOptions{})
		return err
	})
}

func namespaceOf(group, name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{groupLabel: group}}}
}

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%05d", prefix, i)
	}
	return names
}

func (s *scene) countNamespaces(ctx context.Context) (int, error) {
	list, err := s.admin.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	return len(list.Items), nil
}

// patience is how long anything may take before the benchmark gives up.
func (s *scene) patience() time.Duration {
	return time.Minute + time.Duration(s.n)*100*time.Millisecond
}

// poll asks until the answer is yes.
func (s *scene) poll(ctx context.Context, every time.Duration, what string, ask func() (bool, error)) error {
	deadline := time.Now().Add(s.patience())
	for {
		yes, err := ask()
		if err != nil || yes {
			return err
		}
		if err := s.alive(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s", s.patience(), what)
		}
		if err := sleep(ctx.Done(), every); err != nil {
			return err
		}
	}
}
