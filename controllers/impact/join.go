// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impact

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/inventory"
)

// Name is how an end is named in a report: by its workload, its address, or what it is.
type Name struct {
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Name      string `json:"name"`
}

func (n Name) String() string {
	switch {
	case n.Namespace == "":
		return n.Name
	case n.Kind == "":
		return n.Namespace + "/" + n.Name
	default:
		return n.Namespace + "/" + n.Name + " (" + n.Kind + ")"
	}
}

// end is a party, found in the inventory.
type end struct {
	name     Name
	endpoint connectivity.Endpoint
	// host: the node that the other end runs on.
	host bool
	// problem is why it cannot be judged.
	problem string
}

// joiner finds parties.
type joiner struct {
	inventory *inventory.Inventory
}

func (j *joiner) find(p *Party) *end {
	if p.Namespace != "" && (p.Pod != "" || len(p.podLabels()) > 0) {
		return j.pod(p)
	}
	switch reserved := p.reserved(); {
	case reserved == "host":
		return &end{name: Name{Name: "the node of the pod"}, endpoint: connectivity.Endpoint{Address: p.Address}, host: true}
	case unselectable[reserved]:
		return &end{name: Name{Name: "reserved:" + reserved}, problem: "is reserved:" + reserved + " of Cilium, which no NetworkPolicy can select"}
	case !p.Address.IsValid() && outside[reserved]:
		// A rule for everyone decides without the address, and so does a default deny.
		node := ""
		if reserved == "remote-node" {
			node = reserved
		}
		return &end{name: Name{Name: "reserved:" + reserved}, endpoint: connectivity.Endpoint{Node: node}}
	case !p.Address.IsValid():
		return &end{name: Name{Name: "unknown"}, problem: "has no pod name, no address, and no label that tells what it is"}
	default:
		return j.address(p, reserved)
	}
}

// The identities of Cilium that are no pods: those that no policy can select, and those that are addresses.
var (
	unselectable = map[string]bool{"ingress": true, "health": true, "init": true}
	outside      = map[string]bool{"world": true, "world-ipv4": true, "world-ipv6": true, "remote-node": true, "kube-apiserver": true}
)

func (j *joiner) address(p *Party, reserved string) *end {
	a := p.Address
	if e := j.inventory.At(a); e != nil {
		return entryEnd(e)
	}
	out := &end{name: Name{Name: a.String()}, endpoint: connectivity.Endpoint{Address: a, Node: j.inventory.Node(a)}}
	switch s := j.inventory.ServiceAt(a); {
	case out.endpoint.Node != "":
		out.name.Name = "node " + out.endpoint.Node
	case s != nil:
		out.name = Name{s.Namespace, "Service", s.Name}
		out.problem = "is the address of a Service, and which pod answered was not seen"
	case reserved == "remote-node":
		out.endpoint.Node = "remote-node"
	case reserved == "" && j.inventory.IsPodRange(a):
		out.problem = "is an address in the range of the cluster's pods, and no pod of the inventory has it"
	}
	return out
}

func entryEnd(e *inventory.Entry) *end {
	return &end{name: Name{e.Namespace, e.Workload.Kind, e.Workload.Name}, endpoint: connectivity.Endpoint{Pod: e.Pod}}
}

// pod finds a pod by its name. One that is gone has the labels that Hubble saw, or else those of its workload's other
// pods.
func (j *joiner) pod(p *Party) *end {
	if e := j.inventory.Pod(p.Namespace, p.Pod); e != nil {
		return entryEnd(e)
	}
	namespaceLabels, known := j.inventory.Labels(p.Namespace)
	out := &end{name: Name{p.Namespace, "Pod", cmp.Or(p.Pod, labels.Set(p.podLabels()).String())}}
	workload := p.Workload
	if workload == "" {
		workload = guess(p.Pod, func(name string) bool { return len(j.inventory.Workload(p.Namespace, name)) > 0 })
	}
	if workload != "" {
		out.name = Name{p.Namespace, "", workload}
	}
	pod := &connectivity.Pod{Namespace: p.Namespace, NamespaceLabels: namespaceLabels, Name: p.Pod, UnknownPorts: true}
	if p.Address.IsValid() {
		pod.Addresses = []netip.Addr{p.Address}
	}
	out.endpoint.Pod = pod
	siblings := j.inventory.Workload(p.Namespace, workload)
	switch seen := p.podLabels(); {
	case !known:
		out.problem = "is in a namespace that the inventory does not have"
	case workload != "" && len(siblings) > 0:
		pod.Labels, pod.Ports, pod.UnknownPorts, pod.HostNetwork = siblings[0].Labels, siblings[0].Ports, false, siblings[0].HostNetwork
		out.name.Kind = siblings[0].Workload.Kind
	case len(seen) > 0:
		pod.Labels = seen
	default:
		out.problem = "is a pod that is gone, and neither the flow nor its workload tells its labels"
	}
	return out
}

// guess is the workload of a pod by its name, if there is such a workload: web-5d8c-x2x is one of web.
func guess(pod string, exists func(string) bool) string {
	name := pod
	for range 2 {
		at := strings.LastIndexByte(name, '-')
		if at < 0 {
			return ""
		}
		if name = name[:at]; exists(name) {
			return name
		}
	}
	return ""
}

// reserved is the identity of an end that is no pod: world, host, remote-node, and so on.
func (p *Party) reserved() string {
	if !strings.Contains(p.Labels, `"reserved:`) {
		return ""
	}
	for _, l := range p.labels() {
		// reserved:kube-apiserver comes beside another one, which says where it runs.
		if name, found := strings.CutPrefix(l, "reserved:"); found && name != "kube-apiserver" {
			return name
		}
	}
	return "kube-apiserver"
}

func (p *Party) labels() []string {
	var out []string
	if json.Unmarshal([]byte(p.Labels), &out) != nil {
		return nil
	}
	return out
}

// podLabels are the labels of a pod among those of its identity, without what Cilium adds.
func (p *Party) podLabels() map[string]string {
	out := map[string]string{}
	for _, l := range p.labels() {
		key, value, _ := strings.Cut(strings.TrimPrefix(l, "k8s:"), "=")
		if !strings.HasPrefix(l, "k8s:") || strings.HasPrefix(key, "io.cilium.k8s.") || strings.HasPrefix(key, "io.kubernetes.pod.") {
			continue
		}
		out[key] = value
	}
	return out
}

// isPolicyProtocol reports whether a port belongs to the protocol.
func isPolicyProtocol(p corev1.Protocol) bool {
	return p == corev1.ProtocolTCP || p == corev1.ProtocolUDP || p == corev1.ProtocolSCTP
}
