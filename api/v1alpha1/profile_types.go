// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Profile declares the components of a baseline. A component is on when it is present; {} takes its defaults.
// Denies come from defaultDeny and blockMetadata only; an allow is rendered only in the directions that the
// namespace's baselines deny by default, because elsewhere it would isolate the pods and so deny everything else.
type Profile struct {
	// defaultDeny denies whatever no policy allows.
	// +optional
	DefaultDeny *DefaultDeny `json:"defaultDeny,omitempty"`
	// allowDNS lets every pod resolve names.
	// +optional
	AllowDNS *AllowDNS `json:"allowDNS,omitempty"`
	// blockMetadata keeps pods from the clouds' instance metadata services, which hand out the node's credentials.
	// +optional
	BlockMetadata *BlockMetadata `json:"blockMetadata,omitempty"`
	// allowIngressController lets the ingress controller reach pods.
	// +optional
	AllowIngressController *AllowIngressController `json:"allowIngressController,omitempty"`
	// allowMonitoring lets the monitoring stack scrape pods.
	// +optional
	AllowMonitoring *AllowMonitoring `json:"allowMonitoring,omitempty"`
	// allowSameNamespace lets the pods of a namespace talk to each other.
	// +optional
	AllowSameNamespace *AllowSameNamespace `json:"allowSameNamespace,omitempty"`
	// allowKubeAPIServer lets pods reach the Kubernetes API, whose addresses are discovered and followed.
	// +optional
	AllowKubeAPIServer *AllowKubeAPIServer `json:"allowKubeAPIServer,omitempty"`
}

// Direction of traffic, seen from the governed pods.
// +kubebuilder:validation:Enum=Ingress;Egress
type Direction string

// The two directions.
const (
	Ingress Direction = "Ingress"
	Egress  Direction = "Egress"
)

// DefaultDeny isolates every pod of the namespace.
type DefaultDeny struct {
	// directions to deny; both when absent.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Directions []Direction `json:"directions,omitempty"`
}

// AllowDNS allows egress to the cluster's resolvers.
type AllowDNS struct {
	// resolvers replace the default, which is what the cluster runs: see status.resolved.dns.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Resolvers []Peer `json:"resolvers,omitempty"`
	// ports of the resolvers' pods, or of the named resolvers. They replace 53 over UDP and TCP and whatever the pods
	// are found to listen on: a policy sees the port of the pod, not of its Service.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Ports []Port `json:"ports,omitempty"`
}

// BlockMetadata blocks egress to the metadata addresses of the known clouds. Where egress is denied by default they
// are denied already, and are cut out of every address range that another component allows.
// +kubebuilder:validation:XValidation:rule="!has(self.exemptions) || !has(self.podSelector)",message="exemptions go with a block of all pods: drop podSelector, or leave the exempt pods out of it with a NotIn or DoesNotExist expression"
type BlockMetadata struct {
	// podSelector limits the block to some pods; all when absent. It has no effect where egress is denied by default.
	// +optional
	PodSelector *LabelSelector `json:"podSelector,omitempty"`
	// additionalCIDRs are blocked like the metadata addresses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(c, !isCIDR(c) || cidr(c).prefixLength() > 0)",message="a range that holds every address cannot be blocked this way: use defaultDeny with directions: [Egress]"
	AdditionalCIDRs []CIDR `json:"additionalCIDRs,omitempty"`
	// exemptions let some pods reach an address in the blocked ranges, on named ports only.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Exemptions []MetadataExemption `json:"exemptions,omitempty"`
}

// MetadataExemption lets some pods reach a blocked address, EKS Pod Identity (169.254.170.23/32 port 80) say.
type MetadataExemption struct {
	// podSelector chooses the exempt pods.
	// +required
	PodSelector LabelSelector `json:"podSelector"`
	// cidr is what they may reach.
	// +required
	CIDR CIDR `json:"cidr"`
	// ports that they may reach there.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Ports []Port `json:"ports"`
}

// IngressController names an ingress controller whose pods the operator knows how to select.
// +kubebuilder:validation:Enum=IngressNginx;RKE2IngressNginx;NginxInc;Traefik;HAProxy;Contour;Istio;EnvoyGateway;Kong;OpenShiftRouter;AKSAppRouting;GKELoadBalancer
type IngressController string

// The known ingress controllers; what each selects is the table in controllers/policy/presets.go.
const (
	IngressNginx     IngressController = "IngressNginx"
	RKE2IngressNginx IngressController = "RKE2IngressNginx"
	NginxInc         IngressController = "NginxInc"
	Traefik          IngressController = "Traefik"
	HAProxy          IngressController = "HAProxy"
	Contour          IngressController = "Contour"
	Istio            IngressController = "Istio"
	EnvoyGateway     IngressController = "EnvoyGateway"
	Kong             IngressController = "Kong"
	OpenShiftRouter  IngressController = "OpenShiftRouter"
	AKSAppRouting    IngressController = "AKSAppRouting"
	GKELoadBalancer  IngressController = "GKELoadBalancer"
)

// AllowIngressController allows ingress from ingress controllers.
// +kubebuilder:validation:XValidation:rule="has(self.controllers) || has(self.from)",message="name the ingress controller: controllers: [IngressNginx], or describe its pods or addresses in from"
type AllowIngressController struct {
	// controllers are well-known ingress controllers in their usual namespaces.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Controllers []IngressController `json:"controllers,omitempty"`
	// from describes ingress controllers that are not in the list, or not in their usual namespace.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	From []Peer `json:"from,omitempty"`
	// podSelector limits the pods that may be reached; all when absent.
	// +optional
	PodSelector *LabelSelector `json:"podSelector,omitempty"`
	// ports limits the ports that may be reached; all when absent, because ACME solvers and the like choose theirs.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Ports []Port `json:"ports,omitempty"`
}

// MonitoringStack names a monitoring stack whose scrapers the operator knows how to select.
// +kubebuilder:validation:Enum=Prometheus;VictoriaMetrics;GrafanaAlloy;OpenTelemetryCollector;Datadog;OpenShiftMonitoring;GKEManagedPrometheus
type MonitoringStack string

// The known monitoring stacks; what each selects is the table in controllers/policy/presets.go.
const (
	Prometheus             MonitoringStack = "Prometheus"
	VictoriaMetrics        MonitoringStack = "VictoriaMetrics"
	GrafanaAlloy           MonitoringStack = "GrafanaAlloy"
	OpenTelemetryCollector MonitoringStack = "OpenTelemetryCollector"
	Datadog                MonitoringStack = "Datadog"
	OpenShiftMonitoring    MonitoringStack = "OpenShiftMonitoring"
	GKEManagedPrometheus   MonitoringStack = "GKEManagedPrometheus"
)

// AllowMonitoring allows ingress from monitoring stacks.
// +kubebuilder:validation:XValidation:rule="has(self.stacks) || has(self.from)",message="name the monitoring stack: stacks: [Prometheus], or describe its pods or addresses in from"
type AllowMonitoring struct {
	// stacks are well-known monitoring stacks in their usual namespaces.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Stacks []MonitoringStack `json:"stacks,omitempty"`
	// from describes scrapers that are not in the list, or not in their usual namespace.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	From []Peer `json:"from,omitempty"`
	// podSelector limits the pods that may be scraped; all when absent.
	// +optional
	PodSelector *LabelSelector `json:"podSelector,omitempty"`
	// ports limits the ports that may be scraped; all when absent, because they belong to the workload.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Ports []Port `json:"ports,omitempty"`
}

// AllowSameNamespace allows traffic between the pods of one namespace.
type AllowSameNamespace struct {
	// directions to allow; both when absent.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Directions []Direction `json:"directions,omitempty"`
}

// AllowKubeAPIServer allows egress to the Kubernetes API.
type AllowKubeAPIServer struct {
	// podSelector limits the pods that may reach it; all when absent.
	// +optional
	PodSelector *LabelSelector `json:"podSelector,omitempty"`
}
