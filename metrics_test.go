// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

const (
	// operatorUser is the ServiceAccount of config/default.
	operatorUser = "system:serviceaccount:" + operatorNamespace + ":netbaseline-controller-manager"
	// operatorNamespace is where its Lease is.
	operatorNamespace = "netbaseline-system"
	// recordedMetrics is what alerts and dashboard are checked against.
	recordedMetrics = "hack/alerts/testdata/metrics.txt"
)

// recorded are the metrics of libraries that alerts and dashboard use, and all of our own.
var recorded = regexp.MustCompile(`^(netbaseline_.*|controller_runtime_reconcile_(total|errors_total)|leader_election_master_status|` +
	`rest_client_requests_total|workqueue_depth|process_cpu_seconds_total|process_resident_memory_bytes)$`)

// TestMetricsEndpoint runs the operator as config/default does, with the rights of config/rbac and no others.
func TestMetricsEndpoint(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cluster, err := localcluster.Start(localcluster.Options{CRDs: []string{filepath.Join("config", "crd", "bases")}})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(cluster.Stop()).To(Succeed()) }()
	scheme := runtime.NewScheme()
	g.Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	k8s, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())

	w := &world{WithT: g, ctx: ctx, k8s: k8s}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}})
	itself := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}
	w.bind("role.yaml", itself)
	w.bind("metrics_auth_role.yaml", itself)
	w.bindOwn("role.yaml", itself)
	w.bindOwn("leader_election_role.yaml", itself)
	w.bind("metrics_reader_role.yaml", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: operatorNamespace, Name: "prometheus"})
	prometheus, nobody := w.token("prometheus"), w.token("nobody")

	kubeconfig, err := cluster.AddUser(operatorUser)
	g.Expect(err).NotTo(HaveOccurred())
	addresses, err := localcluster.FreeAddresses(t.Context(), 1)
	g.Expect(err).NotTo(HaveOccurred())
	address := addresses[0]
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--kubeconfig", kubeconfig, "--metrics-bind-address", address, "--zap-log-level=panic",
			"--leader-elect", "--leader-election-namespace", operatorNamespace})
	}()
	defer func() {
		cancel()
		g.Eventually(ended).Should(Receive(Equal(0)))
	}()

	status := func(token string) func() (int, error) {
		return func() (int, error) {
			status, _, err := scrapeAs(ctx, address, token)
			return status, err
		}
	}
	g.Eventually(status(prometheus)).Should(Equal(http.StatusOK), "the metrics-reader role is all it takes")
	for name, tc := range map[string]struct {
		token string
		want  int
	}{
		"nobody in particular":            {"", http.StatusUnauthorized},
		"a forged token":                  {"forged", http.StatusInternalServerError}, // so controller-runtime answers
		"a ServiceAccount without rights": {nobody, http.StatusForbidden},
	} {
		g.Expect(status(tc.token)()).To(Equal(tc.want), name)
	}

	w.live()
	var now []string
	g.Eventually(func() []string {
		_, body, err := scrapeAs(ctx, address, prometheus)
		g.Expect(err).NotTo(HaveOccurred())
		now = listMetrics(g, body)
		return now
	}).Should(ContainElements(
		HavePrefix("netbaseline_repairs_total "), HavePrefix("netbaseline_policy_writes_refused_total "), HavePrefix("netbaseline_baseline_condition "),
	))
	if os.Getenv("UPDATE") != "" {
		g.Expect(os.WriteFile(recordedMetrics, []byte(strings.Join(now, "\n")+"\n"), 0o600)).To(Succeed())
	}
	want, err := os.ReadFile(recordedMetrics)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(now).To(Equal(strings.Split(strings.TrimSpace(string(want)), "\n")),
		"%s is not what the operator serves; record it with: UPDATE=1 make test-go TESTFLAGS='-run TestMetricsEndpoint'", recordedMetrics)
}

// world is the cluster that the operator runs in.
type world struct {
	*WithT
	ctx context.Context
	k8s client.Client
}

func (w *world) create(o client.Object) { w.Expect(w.k8s.Create(w.ctx, o)).To(Succeed()) }

// live makes the operator roll out, repair, and meet a refusal.
func (w *world) live() {
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: "production"}}
	b.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"environment": "production"}
	b.Spec.Profile.DefaultDeny = &v1alpha1.DefaultDeny{}
	w.create(b)
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"environment": "production"}}})
	deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "production-default-deny"}}
	there := func() error { return w.k8s.Get(w.ctx, client.ObjectKeyFromObject(deny), deny) }
	w.Eventually(there).Should(Succeed())
	ready := func() string {
		w.Expect(w.k8s.Get(w.ctx, client.ObjectKeyFromObject(b), b)).To(Succeed())
		for _, c := range b.Status.Conditions {
			if c.Type == v1alpha1.ConditionReady {
				return string(c.Status)
			}
		}
		return ""
	}
	w.Eventually(ready).Should(Equal("True"))
	w.Expect(w.k8s.Delete(w.ctx, deny)).To(Succeed())
	w.Eventually(there).Should(Succeed())

	full := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "full"}}
	w.create(full)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "full", Name: "none"}}
	quota.Spec.Hard = corev1.ResourceList{"count/networkpolicies.networking.k8s.io": resource.MustParse("0")}
	w.create(quota)
	// The quota controller does not run here; admission goes by the status alone.
	quota.Status.Hard, quota.Status.Used = quota.Spec.Hard, quota.Spec.Hard
	w.Expect(w.k8s.Status().Update(w.ctx, quota)).To(Succeed())
	full.Labels["environment"] = "production"
	w.Expect(w.k8s.Update(w.ctx, full)).To(Succeed())
	w.Eventually(ready).Should(Equal("False"))
}

// manifest reads the document of a kind in a file of config/rbac.
func (w *world) manifest(file, kind string, into any) {
	data, err := os.ReadFile(filepath.Join("config", "rbac", file))
	w.Expect(err).NotTo(HaveOccurred())
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		if strings.Contains("\n"+document, "\nkind: "+kind+"\n") {
			w.Expect(yaml.UnmarshalStrict([]byte(document), into)).To(Succeed())
			return
		}
	}
	w.Expect(file).To(BeEmpty(), "it holds no %s", kind)
}

// bind creates the ClusterRole of a file in config/rbac and gives it to somebody.
func (w *world) bind(file string, to rbacv1.Subject) {
	role := &rbacv1.ClusterRole{}
	w.manifest(file, "ClusterRole", role)
	w.create(role)
	w.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{to},
	})
}

// bindOwn does the same with the Role of a file, in the operator's own namespace.
func (w *world) bindOwn(file string, to rbacv1.Subject) {
	role := &rbacv1.Role{}
	w.manifest(file, "Role", role)
	role.Namespace = operatorNamespace
	w.create(role)
	w.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{to},
	})
}

// token is that of a new ServiceAccount.
func (w *world) token(name string) string {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name}}
	w.create(account)
	request := &authenticationv1.TokenRequest{}
	w.Expect(w.k8s.SubResource("token").Create(w.ctx, account, request)).To(Succeed())
	return request.Status.Token
}

// scrapeAs gets the metrics as Prometheus does: over https, whose certificate the operator has signed itself.
func scrapeAs(ctx context.Context, address, token string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // on loopback
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() //nolint:errcheck // nothing is written
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}

// listMetrics is what a scrape tells of the recorded metrics: "<name> <type> <label>,<label>" each, in order.
func listMetrics(g *WithT, body string) []string {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	g.Expect(err).NotTo(HaveOccurred())
	var out []string
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !recorded.MatchString(name) {
			continue
		}
		var labels []string
		for _, l := range families[name].GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		out = append(out, strings.TrimSpace(name+" "+strings.ToLower(families[name].GetType().String())+" "+strings.Join(labels, ",")))
	}
	return out
}
