// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	poll = 10 * time.Millisecond
	// patience is how long all may take to be in place again after a fault: an operator's backoff ends at a minute.
	patience = 150 * time.Second
	tierKey  = "tier"
	tenants  = 6
	home     = "netbaseline-system"
)

// world is a cluster with an operator, and what is known of both.
type world struct {
	cluster    *localcluster.Cluster
	client     client.Client // never disturbed but by what disturbs the API server itself
	recorder   *recorder
	proxy      *proxy
	binary     string
	kubeconfig string
	log        *os.File
	replicas   []*replica
	namespaces []string
	decoys     map[string]string // the revision of each policy of somebody else
}

func newWorld(ctx context.Context, dir string) (*world, error) {
	w := &world{decoys: map[string]string{}}
	var err error
	if w.log, err = os.Create(filepath.Join(dir, "operator.log")); err != nil { //nolint:gosec // our own folder
		return nil, err
	}
	if w.binary, err = localcluster.BuildOperator(ctx, filepath.Join("..", ".."), dir); err != nil {
		return nil, err
	}
	//nolint:contextcheck // its life is not a context's: close ends it
	w.cluster, err = localcluster.Start(localcluster.Options{CRDs: []string{filepath.Join("..", "..", "config", "crd", "bases")}, ControllerManager: true})
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
	for _, name := range []string{home, "ingress-nginx"} {
		if err := w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	config, err := w.operatorUser(ctx)
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
	for namespace, labels := range map[string]map[string]string{"kube-system": {"k8s-app": "kube-dns"}, "ingress-nginx": {"app.kubernetes.io/name": "ingress-nginx"}} {
		if err := w.client.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stand-in", Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "stand-in", Image: "stand-in"}}},
		}); err != nil {
			return err
		}
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

// operatorUser has the rights of config/rbac and no others.
func (w *world) operatorUser(ctx context.Context) (*rest.Config, error) {
	const user = "netbaseline-under-chaos"
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	role, leader := &rbacv1.ClusterRole{}, &rbacv1.Role{}
	for file, o := range map[string]client.Object{"role.yaml": role, "leader_election_role.yaml": leader} {
		data, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", file))
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(data, o); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	leader.Namespace = home
	for _, o := range []client.Object{
		role, leader,
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}, Subjects: subjects},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: home}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: leader.Name}, Subjects: subjects},
	} {
		if err := w.client.Create(ctx, o); err != nil {
			return nil, err
		}
	}
	kubeconfig, err := w.cluster.AddUser(user)
	if err != nil {
		return nil, err
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// start starts replicas of the operator; more than one elect a leader.
func (w *world) start(replicas int) {
	args := []string{"--kubeconfig", w.kubeconfig}
	if replicas > 1 {
		args = append(args, "--leader-elect", "--leader-election-namespace", home)
	}
	for range replicas {
		w.replicas = append(w.replicas, startReplica(w.binary, w.log, args...))
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
