// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inventory holds the namespaces, pods, nodes and Services of a cluster and finds the endpoints of connections
// among them, by name, label and address. It is pure: it is filled from files or lists by others.
package inventory

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netbaseline/netbaseline/controllers/connectivity"
)

// Inventory of a cluster. The zero value is empty.
type Inventory struct {
	namespaces map[string]map[string]string
	pods       map[name]*Entry
	workloads  map[name][]*Entry
	byAddress  map[netip.Addr]*Entry
	nodes      map[netip.Addr]string
	services   map[name]*corev1.Service
	clusterIPs map[netip.Addr]*corev1.Service
	podRanges  map[netip.Prefix]bool
}

type name struct{ namespace, name string }

// Entry is a pod with the workload that it belongs to.
type Entry struct {
	*connectivity.Pod
	Workload Workload
	// Template: not a pod, but what a manifest says of the pods that there will be.
	Template bool
}

// Workload is what a pod belongs to: a Deployment, for example. A pod on its own is one of kind Pod.
type Workload struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// AddNamespace adds a namespace, or replaces its labels. Namespaces come before their pods.
func (i *Inventory) AddNamespace(called string, l map[string]string) {
	set(&i.namespaces, called, connectivity.NamespaceLabels(called, l))
}

// Namespaces returns the names of all namespaces, sorted.
func (i *Inventory) Namespaces() []string { return slices.Sorted(maps.Keys(i.namespaces)) }

// Labels of a namespace, and whether it is known. Every namespace has at least its name as a label.
func (i *Inventory) Labels(namespace string) (map[string]string, bool) {
	if l, known := i.namespaces[namespace]; known {
		return l, true
	}
	return connectivity.NamespaceLabels(namespace, nil), false
}

// AddPod adds a pod that exists.
func (i *Inventory) AddPod(p *corev1.Pod) {
	l, _ := i.Labels(p.Namespace)
	e := &Entry{Pod: connectivity.NewPod(p, l), Workload: workloadOf(p)}
	finished := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	i.add(e, finished)
}

// AddTemplate adds the pods that a workload will create. Their addresses are not known.
func (i *Inventory) AddTemplate(kind, namespace, called string, t *corev1.PodTemplateSpec) {
	l, _ := i.Labels(namespace)
	p := &corev1.Pod{ObjectMeta: *t.ObjectMeta.DeepCopy(), Spec: t.Spec}
	p.Namespace, p.Name = namespace, called
	i.add(&Entry{Pod: connectivity.NewPod(p, l), Workload: Workload{kind, called}, Template: true}, false)
}

func (i *Inventory) add(e *Entry, finished bool) {
	key := name{e.Namespace, e.Name}
	if i.pods[key] != nil && e.Template {
		return
	}
	set(&i.pods, key, e)
	group := name{e.Namespace, e.Workload.Name}
	set(&i.workloads, group, append(i.workloads[group], e))
	// The address of a pod on the host network is its node's; that of a finished pod may be another one's by now.
	if e.HostNetwork || finished {
		return
	}
	for _, a := range e.Addresses {
		set(&i.byAddress, a, e)
		set(&i.podRanges, neighbours(a), true)
	}
}

// AddNode adds the addresses of a node.
func (i *Inventory) AddNode(n *corev1.Node) {
	for _, a := range n.Status.Addresses {
		if address, err := netip.ParseAddr(a.Address); err == nil {
			set(&i.nodes, address.Unmap(), n.Name)
		}
	}
	for _, text := range append(slices.Clone(n.Spec.PodCIDRs), n.Spec.PodCIDR) {
		if p, err := netip.ParsePrefix(text); err == nil {
			set(&i.podRanges, p.Masked(), true)
		}
	}
}

// AddService adds a Service.
func (i *Inventory) AddService(s *corev1.Service) {
	set(&i.services, name{s.Namespace, s.Name}, s)
	for _, text := range s.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(text); err == nil {
			set(&i.clusterIPs, a.Unmap(), s)
		}
	}
}

// Service finds a Service by its name; nil if there is none.
func (i *Inventory) Service(namespace, called string) *corev1.Service {
	return i.services[name{namespace, called}]
}

// ServiceAt finds the Service whose ClusterIP an address is; nil if it is none.
func (i *Inventory) ServiceAt(a netip.Addr) *corev1.Service { return i.clusterIPs[a.Unmap()] }

// Pod finds a pod by its name; nil if there is none.
func (i *Inventory) Pod(namespace, called string) *Entry { return i.pods[name{namespace, called}] }

// Workload finds the pods of a workload by its name, or its template if there are no pods yet.
func (i *Inventory) Workload(namespace, called string) []*Entry {
	all := sorted(i.workloads[name{namespace, called}])
	if pods := slices.DeleteFunc(slices.Clone(all), func(e *Entry) bool { return e.Template }); len(pods) > 0 {
		return pods
	}
	return all
}

// Select finds the pods of a namespace by their labels, sorted by name.
func (i *Inventory) Select(namespace string, l map[string]string) []*Entry {
	var out []*Entry
	for key, e := range i.pods {
		if key.namespace == namespace && labels.SelectorFromSet(l).Matches(labels.Set(e.Labels)) {
			out = append(out, e)
		}
	}
	return sorted(out)
}

func sorted(all []*Entry) []*Entry {
	return slices.SortedFunc(slices.Values(all), func(a, b *Entry) int { return cmp.Compare(a.Name, b.Name) })
}

// At finds the pod that has an address; nil if none has.
func (i *Inventory) At(a netip.Addr) *Entry { return i.byAddress[a.Unmap()] }

// Node returns the name of the node that has an address; empty if none has.
func (i *Inventory) Node(a netip.Addr) string { return i.nodes[a.Unmap()] }

// IsPodRange reports whether an address lies where pods have theirs: in the range of a node, or beside a known pod.
// Without a pod that has it, it is most likely that of a pod which is gone, and not one outside of the cluster.
func (i *Inventory) IsPodRange(a netip.Addr) bool {
	a = a.Unmap()
	for bits := range a.BitLen() + 1 {
		if p, err := a.Prefix(bits); err == nil && i.podRanges[p] {
			return true
		}
	}
	return false
}

// neighbours of a pod's address: what nodes usually have for their pods.
func neighbours(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// workloadOf follows the owner of a pod as far as names tell: a ReplicaSet to its Deployment, a Job to its CronJob.
func workloadOf(p *corev1.Pod) Workload {
	for _, o := range p.OwnerReferences {
		if o.Controller == nil || !*o.Controller {
			continue
		}
		switch {
		case o.Kind == "ReplicaSet" && p.Labels["pod-template-hash"] != "":
			return Workload{"Deployment", strings.TrimSuffix(o.Name, "-"+p.Labels["pod-template-hash"])}
		case o.Kind == "Job" && scheduled(o.Name) != "":
			return Workload{"CronJob", scheduled(o.Name)}
		default:
			return Workload{o.Kind, o.Name}
		}
	}
	return Workload{"Pod", p.Name}
}

// scheduled is the CronJob of a Job, whose name ends with the minute for which it was scheduled; empty if it does not.
func scheduled(job string) string {
	at := strings.LastIndexByte(job, '-')
	if at < 0 || len(job)-at-1 < 8 || strings.Trim(job[at+1:], "0123456789") != "" {
		return ""
	}
	return job[:at]
}

func set[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}
