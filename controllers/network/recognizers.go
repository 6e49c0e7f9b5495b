// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// recognizers each know one network. ok is false where the network is not there. Those that know a network by its
// DaemonSet come before those that know a platform by its nodes.
var recognizers = []func(in Input) (n Network, ok bool){
	calico, cilium, gkeDataplaneV2, antrea, ovnKubernetes, kubeRouter, kindnet, azureNPM, kubeNetworkPolicies,
	awsVPC, flannel, k3s, eksAuto, aks, gke,
}

// calico is also canal and GKE's legacy network policy: what counts is the container, whatever its DaemonSet is called.
func calico(in Input) (Network, bool) {
	d, c := in.container(func(_ *appsv1.DaemonSet, c *corev1.Container) bool { return c.Name == "calico-node" })
	return running("Calico", d, c)
}

func cilium(in Input) (Network, bool) {
	d, c := in.container(func(d *appsv1.DaemonSet, c *corev1.Container) bool {
		return d.Spec.Template.Labels["k8s-app"] == "cilium" && c.Name == "cilium-agent"
	})
	n, ok := running("Cilium", d, c)
	if !ok || n.Enforces != Yes {
		return n, ok
	}
	const where = "ConfigMap kube-system/cilium-config"
	config := in.configMap("cilium-config")
	switch {
	case config == nil:
		n.Enforces, n.Evidence = Unknown, n.Evidence+"; "+where+" was not found, which may say enable-policy: never"
	case config["enable-policy"] == "never":
		n.Enforces, n.Evidence = No, where+" has enable-policy: never"
	case config["enable-k8s-networkpolicy"] == "false":
		n.Enforces, n.Evidence = No, where+" has enable-k8s-networkpolicy: false"
	}
	return n, true
}

func gkeDataplaneV2(in Input) (Network, bool) {
	return running("GKE Dataplane V2", in.daemonSet("kube-system", "anetd"), nil)
}

func antrea(in Input) (Network, bool) {
	d, c := in.container(func(_ *appsv1.DaemonSet, c *corev1.Container) bool { return c.Name == "antrea-agent" })
	return running("Antrea", d, c)
}

func ovnKubernetes(in Input) (Network, bool) {
	d, _ := in.container(func(d *appsv1.DaemonSet, _ *corev1.Container) bool { return d.Name == "ovnkube-node" })
	return running("OVN-Kubernetes", d, nil)
}

// kubeRouter enforces unless its firewall is off; the flag's default is true.
func kubeRouter(in Input) (Network, bool) {
	d, c := in.container(func(d *appsv1.DaemonSet, c *corev1.Container) bool {
		return d.Spec.Template.Labels["k8s-app"] == "kube-router" && c.Name == "kube-router"
	})
	return unless(flagIs(c, "run-firewall", false), "kube-router", d, c, "--run-firewall=false")
}

var kindnetBuild = regexp.MustCompile(`:v(20\d{6})-`)

// kindnet enforces since the build that kind 0.24 ships, of 2024-08-13. The one of kind 0.23 is of 2024-05-13. Builds in
// between were never in a release.
func kindnet(in Input) (Network, bool) {
	d, c := in.container(func(d *appsv1.DaemonSet, _ *corev1.Container) bool {
		return d.Namespace == "kube-system" && d.Spec.Template.Labels["app"] == "kindnet"
	})
	n, ok := unless(flagIs(c, "network-policy", false), "kindnet", d, c, "--network-policy=false")
	if !ok || n.Enforces != Yes {
		return n, ok
	}
	if build := kindnetBuild.FindStringSubmatch(c.Image); build != nil {
		switch {
		case build[1] <= "20240513":
			n.Enforces, n.Evidence = No, n.Evidence+" has image "+c.Image+", from before kindnet enforced policies (kind 0.24)"
		case build[1] < "20240813":
			n.Enforces, n.Evidence = Unknown, n.Evidence+" has image "+c.Image+", from between kind 0.23 and 0.24"
		}
	}
	return n, true
}

func azureNPM(in Input) (Network, bool) {
	return running("Azure NPM", in.daemonSet("kube-system", "azure-npm"), nil)
}

// kubeNetworkPolicies is SIG Network's engine, beside any network: flannel's chart has it as netpol.enabled.
func kubeNetworkPolicies(in Input) (Network, bool) {
	d, c := in.container(func(_ *appsv1.DaemonSet, c *corev1.Container) bool { return c.Name == "kube-network-policies" })
	return running("kube-network-policies", d, c)
}

const (
	awsKey   = "enable-network-policy-controller"
	awsWhere = "ConfigMap kube-system/amazon-vpc-cni"
)

// awsVPC enforces where both the agent on the nodes and the controller in the control plane are switched on. Both are off
// by default.
func awsVPC(in Input) (Network, bool) {
	d := in.daemonSet("kube-system", "aws-node")
	n, ok := running("AWS VPC CNI", d, nil)
	if !ok {
		return n, false
	}
	var agent *corev1.Container
	for i := range d.Spec.Template.Spec.Containers {
		if c := &d.Spec.Template.Spec.Containers[i]; c.Name == "aws-eks-nodeagent" {
			agent = c
		}
	}
	switch {
	case agent == nil:
		n.Enforces, n.Evidence = No, of(d)+" has no container aws-eks-nodeagent"
	case !flagIs(agent, "enable-network-policy", true):
		n.Enforces, n.Evidence = No, of(d)+": container aws-eks-nodeagent lacks --enable-network-policy=true"
	case in.configMap("amazon-vpc-cni")[awsKey] != "true":
		n.Enforces, n.Evidence = No, awsWhere+" lacks "+awsKey+`: "true"`
	case n.Enforces == Yes:
		n.Evidence = of(d) + ": container aws-eks-nodeagent has --enable-network-policy=true, and " + awsWhere + " " + awsKey + `: "true"`
	}
	return n, true
}

// flannel ignores NetworkPolicies. What may enforce them beside it has a DaemonSet of its own, or a container in this one.
func flannel(in Input) (Network, bool) {
	d, c := in.container(func(_ *appsv1.DaemonSet, c *corev1.Container) bool { return c.Name == "kube-flannel" })
	if d == nil {
		return Network{}, false
	}
	return Network{"flannel", No, fmt.Sprintf("%s: container %s, and none that enforces", of(d), c.Name)}, true
}

// k3s runs kube-router within its own process, so there is no DaemonSet, and the flag that disables it is not in the API.
func k3s(in Input) (Network, bool) {
	n := in.node(func(n *corev1.Node) bool { return strings.Contains(n.Status.NodeInfo.KubeletVersion, "+k3s") })
	if n == nil {
		return Network{}, false
	}
	return Network{"k3s", Unknown, fmt.Sprintf("node %s runs %s, which enforces unless it was started with --disable-network-policy", n.Name, n.Status.NodeInfo.KubeletVersion)}, true
}

// eksAuto has no DaemonSet: its nodes bring the agent, and the key of the ConfigMap switches it on.
func eksAuto(in Input) (Network, bool) {
	n := in.node(func(n *corev1.Node) bool { return n.Labels["eks.amazonaws.com/compute-type"] == "auto" })
	if n == nil {
		return Network{}, false
	}
	if in.configMap("amazon-vpc-cni")[awsKey] == "true" {
		return Network{"EKS Auto Mode", Yes, awsWhere + " has " + awsKey + `: "true"`}, true
	}
	return Network{"EKS Auto Mode", No, awsWhere + " lacks " + awsKey + `: "true"`}, true
}

// aks enforces with Cilium, Calico or Azure NPM, which are DaemonSets. A cluster that chose none ignores policies.
func aks(in Input) (Network, bool) {
	return platform(in, "AKS", "kubernetes.azure.com/cluster", "neither Cilium nor Calico nor Azure NPM runs")
}

// gke enforces with Dataplane V2 or, as its network policy add-on, Calico. Both are DaemonSets.
func gke(in Input) (Network, bool) {
	return platform(in, "GKE", "cloud.google.com/gke-nodepool", "neither Dataplane V2 (anetd) nor calico-node runs")
}
