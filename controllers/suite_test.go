// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

var (
	ctx     context.Context
	cluster *localcluster.Cluster
	// k8s reads and writes past every cache, as nobody in particular: never as the operator.
	k8s client.WithWatch
	// operatorConfig has the rights of config/rbac/role.yaml and no others.
	operatorConfig *rest.Config
	scheme         = runtime.NewScheme()
	// steady is how long something must hold still to be believed.
	steady time.Duration
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "controllers")
}

var _ = BeforeSuite(func() {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	steady = duration("NETBASELINE_TEST_STEADY", 300*time.Millisecond)
	SetDefaultEventuallyTimeout(duration("NETBASELINE_TEST_TIMEOUT", 30*time.Second))
	SetDefaultEventuallyPollingInterval(duration("NETBASELINE_TEST_POLLING", 20*time.Millisecond))
	SetDefaultConsistentlyDuration(steady)
	SetDefaultConsistentlyPollingInterval(duration("NETBASELINE_TEST_POLLING", 50*time.Millisecond))

	var cancel context.CancelFunc
	ctx, cancel = context.WithCancel(context.Background()) //nolint:fatcontext // made once, for all specs
	DeferCleanup(cancel)
	Expect(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))).To(Succeed())

	var err error
	cluster, err = localcluster.Start(localcluster.Options{CRDs: []string{filepath.Join("..", "config", "crd", "bases")}, ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return cluster.Stop() })
	k8s, err = client.NewWithWatch(cluster.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	operatorConfig = operatorUser()
	standIns()
})

// standIns are the pods that the plain profile's preflight looks for. Nothing runs them.
func standIns() {
	Expect(k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ingress-nginx"}})).To(Succeed())
	for namespace, labels := range map[string]map[string]string{
		"kube-system":   {"k8s-app": "kube-dns"},
		"ingress-nginx": {"app.kubernetes.io/name": "ingress-nginx"},
	} {
		Expect(k8s.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stand-in", Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "stand-in", Image: "stand-in"}}},
		})).To(Succeed())
	}
}

// duration is an environment variable's, for machines slower than ours.
func duration(variable string, otherwise time.Duration) time.Duration {
	value := os.Getenv(variable)
	if value == "" {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	Expect(err).NotTo(HaveOccurred(), variable)
	return d
}

// ownNamespace is the operator's.
const ownNamespace = "netbaseline-system"

// operatorUser binds the generated roles to a user, so that a missing right fails a test and not a cluster.
func operatorUser() *rest.Config {
	const user = "netbaseline-under-test"
	Expect(k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ownNamespace}})).To(Succeed())
	data, err := os.ReadFile(filepath.Join("..", "config", "rbac", "role.yaml"))
	Expect(err).NotTo(HaveOccurred())
	documents := strings.Split(string(data), "\n---\n")
	Expect(documents).To(HaveLen(2))
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	clusterRole, role := &rbacv1.ClusterRole{}, &rbacv1.Role{}
	Expect(yaml.UnmarshalStrict([]byte(documents[0]), clusterRole)).To(Succeed())
	Expect(yaml.UnmarshalStrict([]byte(documents[1]), role)).To(Succeed())
	role.Namespace = ownNamespace
	Expect(k8s.Create(ctx, clusterRole)).To(Succeed())
	Expect(k8s.Create(ctx, role)).To(Succeed())
	Expect(k8s.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole.Name},
		Subjects:   subjects,
	})).To(Succeed())
	Expect(k8s.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   subjects,
	})).To(Succeed())
	kubeconfig, err := cluster.AddUser(user)
	Expect(err).NotTo(HaveOccurred())
	out, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// operator is a running one.
type operator struct {
	// requests that it sends.
	requests *requests
	cancel   context.CancelFunc
	ended    chan error
}

// running is the operator that runs now, if any: one at a time.
var running *operator

// startOperator runs the operator, wired as main.go does, until the spec ends or stop is called. It does not wait for
// anything: what a spec waits for is what the operator does.
func startOperator(change ...func(*controllers.Options)) *operator {
	GinkgoHelper()
	Expect(running).To(BeNil(), "an operator runs already")
	o := &operator{requests: &requests{}, ended: make(chan error, 1)}
	own := rest.CopyConfig(operatorConfig)
	own.QPS = -1
	own.Wrap(o.requests.count)
	unique := true // the names of controllers are, within one of the operators that this process runs in turn
	graceful := 10 * time.Second
	mgr, err := ctrl.NewManager(own, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   controllers.CacheOptions(ownNamespace),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              config.Controller{SkipNameValidation: &unique},
		GracefulShutdownTimeout: &graceful,
	})
	Expect(err).NotTo(HaveOccurred())
	var runCtx context.Context
	runCtx, o.cancel = context.WithCancel(ctx)
	settings := controllers.Options{Namespace: ownNamespace, Protection: policy.DefaultProtection, Workers: 8}
	for _, c := range change {
		c(&settings)
	}
	Expect(controllers.SetupWithManager(runCtx, mgr, settings)).To(Succeed())
	go func() { o.ended <- mgr.Start(runCtx) }()
	running = o
	DeferCleanup(o.stop)
	return o
}

// stop ends the operator and waits. It may be called again.
func (o *operator) stop() {
	GinkgoHelper()
	if running != o {
		return
	}
	running = nil
	o.cancel()
	Eventually(o.ended).Should(Receive(BeNil()))
}
