// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// unprovoked are rights that the operator needs and that no request of its own shows. Each says who uses it.
var unprovoked = map[right]string{
	// The admission plugin OwnerReferencesPermissionEnforcement, which OpenShift turns on, asks for it inside the API
	// server. It is on here: without the right, every policy would be refused, which this test sees too.
	{"ClusterRole netbaseline-manager-role", "netbaseline.io", "networkbaselines/finalizers", "update"}: "OwnerReferencesPermissionEnforcement",
	{"ClusterRole netbaseline-manager-role", "netbaseline.io", "networkbaselines", "manage-generated"}:  "config/guard asks for it inside the API server",
}

// TestRightsAreTheLeast runs the operator with the rights of config/default and no others, lets it do all that it can
// do, and reads in the API server's audit log what was refused, and which rights were never used.
func TestRightsAreTheLeast(t *testing.T) {
	logFile := filepath.Join(t.TempDir(), "audit.log")
	c := start(t, localcluster.Options{ControllerManager: true, APIServerArgs: map[string]string{
		"audit-log-path":           logFile,
		"audit-log-mode":           "blocking",
		"audit-policy-file":        valuesFile(t, auditPolicy),
		"enable-admission-plugins": "OwnerReferencesPermissionEnforcement",
	}})
	c.kubectl(t, "apply", "-k", root+"/config/default")
	c.kubectl(t, "wait", "--for=condition=Established", "crd/networkbaselines.netbaseline.io", "--timeout="+patience.String())
	c.standIns(t)
	d := c.deployment(t)
	account := "system:serviceaccount:" + d.Namespace + ":" + d.Spec.Template.Spec.ServiceAccountName
	// Also when something does not come about, because then this is most likely why.
	defer func() {
		_, refused := readAudit(t, logFile, account)
		for _, line := range refused {
			t.Errorf("refused, so that a right is missing: %s", line)
		}
	}()
	leader := c.run(t, d)
	// Where the API server cannot stream a list, before Kubernetes 1.34, the caches list and watch.
	standby := c.run(t, d, "KUBE_FEATURE_WatchListClient=false")

	c.exercise(t)
	c.scrape(t, leader, d.Spec.Template.Spec.ServiceAccountName)
	leader.stop(t)
	// The standby has the lease when it repairs.
	c.repaired(t, func(ctx context.Context, p *networkingv1.NetworkPolicy) error { return c.client.Delete(ctx, p) })
	c.kubectl(t, "delete", "networkbaseline", "--all", "--timeout="+patience.String())
	standby.stop(t)

	used, _ := readAudit(t, logFile, account)
	granted := c.granted(t, d.Namespace, d.Spec.Template.Spec.ServiceAccountName)
	if len(granted) == 0 || len(used) == 0 {
		t.Fatalf("%d rights granted and %d used: this test looks at the wrong account", len(granted), len(used))
	}
	for _, r := range sorted(granted) {
		why, unseen := unprovoked[r]
		if !used[r] && !unseen {
			t.Errorf("never used, so that it is superfluous: %v", r)
		}
		if used[r] && unseen {
			t.Errorf("used, so that unprovoked need not name it: %v (%s)", r, why)
		}
	}
	for r := range unprovoked {
		if !granted[r] {
			t.Errorf("unprovoked names what nobody grants: %v", r)
		}
	}
}

// exercise makes the operator do all that it can do.
func (c *cluster) exercise(t *testing.T) {
	t.Helper()
	c.apply(t, `
# The name of an allow is taken: a conflict.
apiVersion: v1
kind: Namespace
metadata: {name: taken, labels: {environment: production}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: full-allow-dns, namespace: taken}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{}]}
---
# NodeLocal DNSCache.
apiVersion: v1
kind: Service
metadata: {name: kube-dns-upstream, namespace: kube-system}
spec: {selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP}]}
---
apiVersion: netbaseline.io/v1alpha1
kind: NetworkBaseline
metadata: {name: full}
spec:
  namespaceSelector: {matchLabels: {environment: production}}
  profile:
    defaultDeny: {}
    allowDNS: {}
    blockMetadata: {}
    allowIngressController: {controllers: [IngressNginx]}
    allowMonitoring: {stacks: [Prometheus]}
    allowSameNamespace: {}
    allowKubeAPIServer: {}
  flows:
  - name: frontend-to-api
    from: {podSelector: {matchLabels: {app: frontend}}}
    to: {podSelector: {matchLabels: {app: api}}}
    ports: [{port: 8080}]
---
# Its policies outlive it.
apiVersion: netbaseline.io/v1alpha1
kind: NetworkBaseline
metadata: {name: retained}
spec:
  namespaceSelector: {matchLabels: {environment: test}}
  deletionPolicy: Retain
  profile: {defaultDeny: {}, allowDNS: {}}
---
# It waits for what is not there, and with it every namespace that it selects.
apiVersion: netbaseline.io/v1alpha1
kind: NetworkBaseline
metadata: {name: waiting}
spec:
  namespaceSelector: {matchLabels: {environment: staging}}
  profile: {defaultDeny: {}, allowIngressController: {controllers: [Traefik]}}
`)
	c.kubectl(t, "wait", "--for=condition=Preflight=False", "networkbaseline/waiting", "--timeout="+patience.String())
	c.kubectl(t, "wait", "--for=condition=Ready", "networkbaseline/retained", "--timeout="+patience.String())
	c.kubectl(t, "delete", "networkpolicy", "full-allow-dns", "-n", "taken", "--wait=false")
	c.kubectl(t, "wait", "--for=condition=Ready", "networkbaseline/full", "--timeout="+patience.String())

	// Deleted, and edited twice, so that the second Event adds to the first.
	c.repaired(t, func(ctx context.Context, p *networkingv1.NetworkPolicy) error { return c.client.Delete(ctx, p) })
	for range 2 {
		c.repaired(t, func(ctx context.Context, p *networkingv1.NetworkPolicy) error {
			p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
			return c.client.Update(ctx, p)
		})
	}
	until(t, "a series of Events", func(ctx context.Context) (bool, error) {
		var events eventsv1.EventList
		err := c.client.List(ctx, &events)
		return slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool { return e.Reason == "Repaired" && e.Series != nil }), err
	})

	// More revisions than are kept.
	for i := range 13 {
		generation := c.kubectl(t, "patch", "networkbaseline", "full", "--type=merge", "-o=jsonpath={.metadata.generation}",
			"-p", fmt.Sprintf(`{"spec":{"flows":[{"name":"edited","from":{"podSelector":{}},"to":{"cidr":"192.0.2.%d/32"}}]}}`, i))
		c.kubectl(t, "wait", "--for=jsonpath={.status.observedGeneration}="+strings.TrimSpace(generation), "networkbaseline/full", "--timeout="+patience.String())
	}

	// A component less, a namespace less, a baseline less.
	c.kubectl(t, "patch", "networkbaseline", "full", "--type=merge", "-p", `{"spec":{"profile":{"allowMonitoring":null}}}`)
	c.kubectl(t, "label", "namespace", "blog", "environment-")
	c.kubectl(t, "delete", "namespace", "taken", "--timeout="+patience.String())
	c.kubectl(t, "delete", "networkbaseline", "retained", "waiting", "--timeout="+patience.String())
	until(t, "policies to go", func(ctx context.Context) (bool, error) {
		var list networkingv1.NetworkPolicyList
		err := c.client.List(ctx, &list)
		return !slices.ContainsFunc(list.Items, func(p networkingv1.NetworkPolicy) bool {
			return p.Namespace == "blog" || strings.Contains(p.Name, "monitoring")
		}), err
	})
}

// repaired does something to a policy, and waits until its spec is as before.
func (c *cluster) repaired(t *testing.T, harm func(context.Context, *networkingv1.NetworkPolicy) error) {
	t.Helper()
	get := func(ctx context.Context) (*networkingv1.NetworkPolicy, error) {
		return c.typed.NetworkingV1().NetworkPolicies("shop").Get(ctx, "full-allow-same-namespace-egress", metav1.GetOptions{})
	}
	p, err := get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := same(p.Spec)
	if err := harm(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	until(t, "the repair", func(ctx context.Context) (bool, error) {
		p, err := get(ctx)
		return err == nil && same(p.Spec) == before, nil
	})
}

// scrape reads the metrics as Prometheus would, with the role that is there for it, and finds that others may not.
func (c *cluster) scrape(t *testing.T, o *operator, operatorAccount string) {
	t.Helper()
	for _, name := range []string{"prometheus", "somebody"} {
		if err := c.client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	c.kubectl(t, "create", "clusterrolebinding", "scrape", "--clusterrole=netbaseline-metrics-reader", "--serviceaccount=monitoring:prometheus")
	url := "https://" + o.addresses["https"] + "/metrics"
	if status, body := get(t, url, c.token(t, "monitoring", "prometheus")); status != http.StatusOK || !strings.Contains(body, `netbaseline_policies{baseline="full",state="desired"}`) {
		t.Errorf("whoever is bound to metrics-reader gets %d: %.300s", status, body)
	}
	for who, token := range map[string]string{
		"nobody": "", "somebody else": c.token(t, "monitoring", "somebody"), "the operator": c.token(t, home, operatorAccount),
	} {
		if status, _ := get(t, url, token); status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("%s gets %d", who, status)
		}
	}
}

// until waits for a condition, which what describes.
func until(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 5*poll, patience, true, condition); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}
