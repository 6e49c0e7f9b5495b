// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/go-logr/logr"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	sample = root + "/config/samples/netbaseline_v1alpha1_networkbaseline.yaml"
	// patience is how long anything may take.
	patience = time.Minute
	poll     = 20 * time.Millisecond
)

// cluster is a control plane of one test.
type cluster struct {
	*localcluster.Cluster
	client client.WithWatch
	typed  *kubernetes.Clientset
}

func start(t *testing.T, o localcluster.Options) *cluster {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	local, err := localcluster.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Stop(); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	c := &cluster{Cluster: local}
	if c.client, err = client.NewWithWatch(local.Config, client.Options{}); err != nil {
		t.Fatal(err)
	}
	if c.typed, err = kubernetes.NewForConfig(local.Config); err != nil {
		t.Fatal(err)
	}
	return c
}

// kubectl runs kubectl as a cluster administrator; it must succeed.
func (c *cluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, localcluster.Binary("kubectl"), append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies YAML.
func (c *cluster) apply(t *testing.T, text string) {
	t.Helper()
	c.kubectl(t, "apply", "-f", valuesFile(t, text))
}

// helm runs Helm as a cluster administrator; it must succeed.
func (c *cluster) helm(t *testing.T, args ...string) {
	t.Helper()
	helm(t, append(args, "--namespace", home, "--kubeconfig", c.Kubeconfig)...)
}

// deployment is the one that was installed.
func (c *cluster) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	list, err := c.typed.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("want one Deployment, got %d (%v)", len(list.Items), err)
	}
	return &list.Items[0]
}

// token is a token of the ServiceAccount, as the kubelet gets one for its pods.
func (c *cluster) token(t *testing.T, namespace, account string) string {
	t.Helper()
	request, err := c.typed.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("a token of %s/%s: %v", namespace, account, err)
	}
	return request.Status.Token
}

// kubeconfigOf is a kubeconfig of the ServiceAccount.
func (c *cluster) kubeconfigOf(t *testing.T, namespace, account string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["local"] = &clientcmdapi.Cluster{Server: c.Config.Host, CertificateAuthorityData: c.Config.CAData}
	config.AuthInfos[account] = &clientcmdapi.AuthInfo{Token: c.token(t, namespace, account)}
	config.Contexts["local"] = &clientcmdapi.Context{Cluster: "local", AuthInfo: account}
	config.CurrentContext = "local"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// standIns are pods that selectors find, and namespaces: shop and blog are production, sandbox is not.
func (c *cluster) standIns(t *testing.T) {
	t.Helper()
	c.kubectl(t, "apply", "-f", root+"/hack/demo/cluster.yaml")
}

// applySample applies the sample baseline, waits until it is ready, and looks at the policies.
func (c *cluster) applySample(t *testing.T) {
	t.Helper()
	c.kubectl(t, "apply", "-f", sample)
	c.kubectl(t, "wait", "--for=condition=Ready", "networkbaseline/production", "--timeout="+patience.String())
	want := []string{
		"production-allow-dns", "production-allow-ingress-controller", "production-allow-monitoring",
		"production-allow-same-namespace-egress", "production-allow-same-namespace-ingress", "production-default-deny",
	}
	for namespace, want := range map[string][]string{"shop": want, "blog": want, "sandbox": nil, home: nil} {
		if got := c.policies(t, namespace); !slices.Equal(got, want) {
			t.Errorf("namespace %s has the policies %q, want %q", namespace, got, want)
		}
	}
}

func (c *cluster) policies(t *testing.T, namespace string) []string {
	t.Helper()
	list, err := c.typed.NetworkingV1().NetworkPolicies(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

// printWhenFailed prints the end of a file when the test failed.
func printWhenFailed(t *testing.T, path string) {
	t.Helper()
	t.Cleanup(func() {
		if data, err := os.ReadFile(path); t.Failed() && err == nil {
			t.Logf("the end of %s:\n%s", filepath.Base(path), data[max(0, len(data)-3000):])
		}
	})
}
