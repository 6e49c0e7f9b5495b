// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impactcmd

import "testing"

const manifests = `apiVersion: netbaseline.io/v1alpha1
kind: NetworkBaseline
metadata: {name: production}
spec:
  namespaceSelector: {matchLabels: {environment: production}}
  profile: {defaultDeny: {}, blockMetadata: {}}
  flows:
  - {name: web-to-api, from: {podSelector: {matchLabels: {app: web}}}, to: {podSelector: {matchLabels: {app: api}}}, ports: [{port: 1}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {environment: production}}}
- {apiVersion: v1, kind: Namespace, metadata: {name: ingress-nginx}}
- {apiVersion: v1, kind: Namespace, metadata: {name: monitoring}}
- {apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}
- {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIP: 10.0.0.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop, labels: {app: api}}, status: {podIP: 10.0.0.2}}
- {apiVersion: v1, kind: Pod, metadata: {name: nginx, namespace: ingress-nginx, labels: {app.kubernetes.io/name: ingress-nginx}}, status: {podIP: 10.0.0.3}}
- {apiVersion: v1, kind: Pod, metadata: {name: prometheus, namespace: monitoring, labels: {app.kubernetes.io/name: prometheus}}, status: {podIP: 10.0.0.4}}
- {apiVersion: v1, kind: Pod, metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}, status: {podIP: 10.0.0.5}}
- {apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: monitoring, labels: {app: agent}}, spec: {hostNetwork: true, nodeName: other}, status: {podIP: 192.168.0.1}}
`

// TestSuggestions: components where they keep what is cut, flows for the rest, and what neither keeps.
func TestSuggestions(t *testing.T) {
	const observed = `{"source":"shop/web","destination":"kube-system/coredns","port":53,"protocol":"UDP","count":9}
{"source":"ingress-nginx/nginx","destination":"shop/web","port":8080,"count":8}
{"source":"monitoring/prometheus","destination":"shop/api","port":9090,"count":7}
{"source":"shop/web","destination":"shop/api","port":8080,"count":6}
{"source":"shop/web","destination":"169.254.169.254","port":80,"count":5}
`
	const want = `# spec of NetworkBaseline production
profile:
  allowDNS: {}
  allowIngressController: {controllers: [IngressNginx]}
  allowMonitoring: {stacks: [Prometheus]}
# spec of NetworkBaseline production
flows:
- name: web-to-api-2
  from:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: shop
    podSelector:
      matchLabels:
        app: web
  to:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: shop
    podSelector:
      matchLabels:
        app: api
  ports:
  - port: 8080
# not kept by these: 5  shop/web (Pod) -> 169.254.169.254 on TCP 80: egress denied by shop/production-default-deny
`
	code, out, messages := run(t, observed, "--flows", "-", "-f", writeFile(t, manifests), "-o", "flows")
	if code != 1 || out != want {
		t.Errorf("exit %d: %s%s", code, messages, out)
	}
}
