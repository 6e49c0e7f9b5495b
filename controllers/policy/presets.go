// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// preset is what a well-known name selects.
type preset struct {
	peers  []v1alpha1.Peer
	source string // where the namespace and the labels are set
	onHost bool   // the network lets the peers match on the host network, where selectors match nothing elsewhere
}

// Only what was read in the source or documentation of the controller is here; for everything else there is from.
var ingressControllers = map[v1alpha1.IngressController]preset{
	v1alpha1.IngressNginx: {
		peers:  []v1alpha1.Peer{podsNamed("ingress-nginx", "app.kubernetes.io/name", "ingress-nginx")},
		source: "kubernetes/ingress-nginx deploy/static/provider/cloud/deploy.yaml",
	},
	v1alpha1.RKE2IngressNginx: {
		peers:  []v1alpha1.Peer{podsNamed("kube-system", "app.kubernetes.io/name", "rke2-ingress-nginx")},
		source: "rancher/rke2-charts rke2-ingress-nginx: the chart's name is the label",
	},
	v1alpha1.NginxInc: {
		peers:  []v1alpha1.Peer{podsNamed("nginx-ingress", "app", "nginx-ingress")},
		source: "nginx/kubernetes-ingress deployments/daemon-set/nginx-ingress.yaml",
	},
	v1alpha1.Traefik: {
		peers: []v1alpha1.Peer{
			podsNamed("traefik", "app.kubernetes.io/name", "traefik"),
			podsNamed("kube-system", "app.kubernetes.io/name", "traefik"), // k3s, and RKE2 since 1.36
		},
		source: "traefik/traefik-helm-chart templates/_helpers.tpl; k3s-io/k3s manifests/traefik.yaml",
	},
	v1alpha1.HAProxy: {
		peers:  []v1alpha1.Peer{podsNamed("haproxy-controller", "app.kubernetes.io/name", "kubernetes-ingress")},
		source: "haproxytech/helm-charts kubernetes-ingress/templates/_helpers.tpl",
	},
	v1alpha1.Contour: {
		peers:  []v1alpha1.Peer{podsNamed("projectcontour", "app", "envoy")},
		source: "projectcontour/contour examples/contour/03-envoy.yaml",
	},
	v1alpha1.Istio: {
		peers: []v1alpha1.Peer{
			podsNamed("istio-system", "istio", "ingressgateway"),
			podsNamed("istio-ingress", "istio", "ingressgateway"),
			podsNamed("istio-ingress", "istio", "ingress"), // the chart's release is called istio-ingress in Istio's guide
		},
		source: "istio/istio manifests/charts/gateway/templates/_helpers.tpl: gateway.selectorLabels",
	},
	v1alpha1.EnvoyGateway: {
		peers: []v1alpha1.Peer{{
			NamespaceSelector: namespaceNamed("envoy-gateway-system"),
			PodSelector:       has("gateway.envoyproxy.io/owning-gateway-name"),
		}},
		source: "envoyproxy/gateway internal/gatewayapi/resource.go: OwningGatewayNameLabel",
	},
	v1alpha1.Kong: {
		peers: []v1alpha1.Peer{
			podsNamed("kong", "app.kubernetes.io/name", "kong"),
			podsNamed("kong", "app.kubernetes.io/name", "gateway"), // kong/ingress, where the proxy is a chart of that alias
		},
		source: "Kong/charts charts/kong/templates/_helpers.tpl: kong.selectorLabels; charts/ingress/Chart.yaml",
	},
	v1alpha1.OpenShiftRouter: {
		// By namespace label alone: with the host network strategy OpenShift gives this meaning to it as well.
		onHost: true,
		peers:  []v1alpha1.Peer{{NamespaceSelector: labelled("policy-group.network.openshift.io/ingress", ""), PodSelector: &v1alpha1.LabelSelector{}}},
		source: "OpenShift documentation: Networking, network policy, allowing traffic from the ingress controller",
	},
	v1alpha1.AKSAppRouting: {
		peers:  []v1alpha1.Peer{{NamespaceSelector: namespaceNamed("app-routing-system")}},
		source: "Azure AKS documentation: managed NGINX ingress with the application routing add-on",
	},
	v1alpha1.GKELoadBalancer: {
		peers:  []v1alpha1.Peer{{CIDR: "130.211.0.0/22"}, {CIDR: "35.191.0.0/16"}},
		source: "Google Cloud documentation: load balancing, firewall rules, health check and proxy ranges",
	},
}

var monitoringStacks = map[v1alpha1.MonitoringStack]preset{
	v1alpha1.Prometheus: {
		peers:  []v1alpha1.Peer{podsNamed("monitoring", "app.kubernetes.io/name", "prometheus")},
		source: "prometheus-operator/prometheus-operator pkg/prometheus/server: the pods' labels; kube-prometheus: the namespace",
	},
	v1alpha1.VictoriaMetrics: {
		peers:  []v1alpha1.Peer{podsNamed("monitoring", "app.kubernetes.io/name", "vmagent")},
		source: "VictoriaMetrics/operator api/operator/v1beta1/vmagent_types.go: SelectorLabels",
	},
	v1alpha1.GrafanaAlloy: {
		peers:  []v1alpha1.Peer{podsNamed("monitoring", "app.kubernetes.io/name", "alloy"), podsNamed("monitoring", "app.kubernetes.io/name", "alloy-metrics")},
		source: "grafana/alloy operations/helm/charts/alloy; grafana/k8s-monitoring-helm: alloy-metrics",
	},
	v1alpha1.OpenTelemetryCollector: {
		peers:  []v1alpha1.Peer{podsNamed("monitoring", "app.kubernetes.io/component", "opentelemetry-collector")},
		source: "open-telemetry/opentelemetry-operator internal/manifests/collector/labels.go",
	},
	v1alpha1.Datadog: {
		peers:  []v1alpha1.Peer{podsNamed("datadog", "agent.datadoghq.com/component", "agent")},
		source: "DataDog/datadog-operator api/datadoghq/common: AgentDeploymentComponentLabelKey",
	},
	v1alpha1.OpenShiftMonitoring: {
		peers:  []v1alpha1.Peer{{NamespaceSelector: labelled("network.openshift.io/policy-group", "monitoring"), PodSelector: &v1alpha1.LabelSelector{}}},
		source: "OpenShift documentation: Networking, network policy, allowing traffic from monitoring",
	},
	v1alpha1.GKEManagedPrometheus: {
		peers:  []v1alpha1.Peer{podsNamed("gmp-system", "app.kubernetes.io/name", "collector"), podsNamed("gke-gmp-system", "app.kubernetes.io/name", "collector")},
		source: "GoogleCloudPlatform/prometheus-engine manifests/operator.yaml",
	},
}

// DefaultDNS is where most clusters resolve names: kubeadm and whatever follows it (CoreDNS, RKE2, k3s, EKS, AKS)
// run pods labelled k8s-app=kube-dns in kube-system (kubernetes/kubernetes cluster/addons/dns/coredns).
var DefaultDNS = []Allowance{{
	Peers: []v1alpha1.Peer{podsNamed("kube-system", "k8s-app", "kube-dns")},
	Ports: dnsPorts,
}}

// Known is a row of the tables that the profile rests on, for those who document or check them.
type Known struct {
	Name   string
	Peers  []v1alpha1.Peer
	Source string
}

// IngressControllers are the presets of allowIngressController, by name.
func IngressControllers() []Known { return knownPresets(ingressControllers) }

// MonitoringStacks are the presets of allowMonitoring, by name.
func MonitoringStacks() []Known { return knownPresets(monitoringStacks) }

// MetadataEndpoints are the ranges that blockMetadata blocks.
func MetadataEndpoints() []Known {
	var out []Known
	for _, e := range metadataEndpoints {
		out = append(out, Known{e.prefix, []v1alpha1.Peer{{CIDR: v1alpha1.CIDR(e.prefix)}}, e.source})
	}
	return out
}

func knownPresets[N ~string](table map[N]preset) []Known {
	var out []Known
	for _, name := range slices.Sorted(maps.Keys(table)) {
		out = append(out, Known{string(name), table[name].peers, table[name].source})
	}
	return out
}

// podsNamed are pods of one namespace, found by the label that the API server forces upon every namespace and no tenant can set
// otherwise (KEP-2161).
func podsNamed(namespace, key string, value v1alpha1.LabelValue) v1alpha1.Peer {
	return v1alpha1.Peer{NamespaceSelector: namespaceNamed(namespace), PodSelector: labelled(key, value)}
}

func namespaceNamed(name string) *v1alpha1.LabelSelector {
	return labelled("kubernetes.io/metadata.name", v1alpha1.LabelValue(name))
}

func labelled(key string, value v1alpha1.LabelValue) *v1alpha1.LabelSelector {
	return &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{key: value}}
}

func has(key string) *v1alpha1.LabelSelector {
	return &v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{{Key: key, Operator: "Exists"}}}
}
