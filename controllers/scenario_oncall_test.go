// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// process runs the operator's binary, with the rights of the operator under test and what interferes with it, until the
// spec ends. It returns the address of its probes.
func process() (probes string) {
	GinkgoHelper()
	transport, err := rest.TransportFor(operatorConfig)
	Expect(err).NotTo(HaveOccurred())
	target, err := url.Parse(operatorConfig.Host)
	Expect(err).NotTo(HaveOccurred())
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	DeferCleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	dir := GinkgoT().TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	Expect(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"proxy": {Server: proxy.URL}},
		Contexts:       map[string]*clientcmdapi.Context{"proxy": {Cluster: "proxy"}},
		CurrentContext: "proxy",
	}, kubeconfig)).To(Succeed())
	binary, err := localcluster.BuildOperator(ctx, "..", dir)
	Expect(err).NotTo(HaveOccurred())
	addresses, err := localcluster.FreeAddresses(ctx, 1)
	Expect(err).NotTo(HaveOccurred())

	run, kill := context.WithCancel(ctx)
	command := exec.CommandContext(run, binary, "manager", "--kubeconfig="+kubeconfig, "--health-probe-bind-address="+addresses[0], "--metrics-bind-address=0") //nolint:gosec // our own binary
	command.Env = append(os.Environ(), "POD_NAMESPACE=netbaseline-system")
	command.Stdout, command.Stderr = GinkgoWriter, GinkgoWriter
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		kill()
		_ = command.Wait()
	})
	return addresses[0]
}

// answers returns what a probe answers; 0 while nobody listens.
func answers(probes, path string) func() int {
	return func() int {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+probes+path, http.NoBody)
		Expect(err).NotTo(HaveOccurred())
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode
	}
}

var _ = Describe("scenarios on call", func() {
	DescribeTable("E2: is not ready before its caches are synced", func(slow string) {
		i := interfere()
		held := i.hold(reads(slow))
		probes := process()
		held.hit()
		Eventually(answers(probes, "/healthz")).Should(Equal(http.StatusOK), "it is alive")
		Consistently(answers(probes, "/readyz"), quietFor).ShouldNot(Equal(http.StatusOK), "while the list of %s is slow", slow)
		held.lift()
		Eventually(answers(probes, "/readyz")).Should(Equal(http.StatusOK))
		Expect(answers(probes, "/readyz/synced")()).To(Equal(http.StatusOK), "the check is named synced")
		Consistently(answers(probes, "/readyz")).Should(Equal(http.StatusOK))
	},
		Entry("E2: of NetworkPolicies", "networkpolicies"),
		Entry("E2: of namespaces", "namespaces"),
		Entry("E2: of baselines", "networkbaselines"),
	)

	It("E3: writes an Event about a repair in the namespace of the tenant too", func() {
		startOperator()
		b := create(baseline())
		v := newVictim(b)
		inSync(b, 1)
		// inTenantNamespace are the Events about a policy, in its own namespace.
		inTenantNamespace := func(policy string) func() []eventsv1.Event {
			return func() []eventsv1.Event {
				var list eventsv1.EventList
				Expect(k8s.List(ctx, &list, client.InNamespace(v.namespace))).To(Succeed())
				var out []eventsv1.Event
				for _, e := range list.Items {
					if e.Regarding.Kind == "NetworkPolicy" && e.Regarding.Namespace == v.namespace && e.Regarding.Name == policy {
						out = append(out, e)
					}
				}
				return out
			}
		}
		tamper(v.namespace, v.deny, openEgress)
		Eventually(inTenantNamespace(v.deny)).Should(ConsistOf(And(
			HaveField("Reason", "Repaired"), HaveField("Note", And(ContainSubstring(v.deny), ContainSubstring(`"intruder"`))),
		)))
		v.delete(v.dns)
		Eventually(inTenantNamespace(v.dns)).Should(ConsistOf(HaveField("Reason", "Repaired")))
		repairs(b, 2, v1alpha1.Repair{Namespace: v.namespace, Policy: v.dns, Action: "Deleted"})
		Expect(eventsOf(b)).To(ConsistOf(ContainSubstring("UndoChanged "+v.deny), ContainSubstring("UndoDeleted "+v.dns)), "those about the baseline stay")
		holdsStill(v.namespace)

		By("keeping to one Event in a fight")
		for range 5 {
			tamper(v.namespace, v.deny, openEgress)
			Eventually(func() []networkingv1.NetworkPolicyEgressRule { return specs(v.namespace)[v.deny].Egress }).Should(BeEmpty())
		}
		Consistently(func() int { return len(inTenantNamespace(v.deny)()) }, time.Second).Should(Equal(1))
		holdsStill(v.namespace)
	})
})
