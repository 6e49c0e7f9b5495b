// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package input

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/facts"
)

// cluster is read with lists, and a get of each Namespace where only some namespaces are read.
type cluster struct{ reader client.Reader }

// pageSize bounds the memory that a list of pods needs at once.
const pageSize = 500

func (o *Options) connect() (*cluster, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building the scheme: %w", err)
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w; name one with --kubeconfig, or files with -f", err)
	}
	if o.Namespace == "" {
		if o.Namespace, _, err = loader.Namespace(); err != nil {
			return nil, fmt.Errorf("reading the namespace of the kubeconfig: %w", err)
		}
	}
	config.QPS = -1 // a handful of lists, one after the other
	reader, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	return &cluster{reader}, nil
}

// read reads everything, or a scope.
func (c *cluster) read(ctx context.Context, s *Snapshot, scope *Scope, current string) error {
	if err := c.baselines(ctx, s); err != nil {
		return err
	}
	if scope == nil {
		return errors.Join(c.allNamespaces(ctx, s), c.pods(ctx, s, ""), c.policies(ctx, s, ""), c.nodes(ctx, s), c.services(ctx, s, ""), c.endpoints(ctx, s))
	}
	namespaces := map[string]bool{}
	for _, namespace := range scope.Namespaces {
		namespaces[cmp.Or(namespace, current, "default")] = true
	}
	for _, address := range scope.Addresses {
		found, err := c.namespacesAt(ctx, address)
		if apierrors.IsForbidden(err) {
			s.Notes = append(s.Notes, fmt.Sprintf("whether a pod has the address %s cannot be read: %v", address, err))
		} else if err != nil {
			return err
		}
		for _, namespace := range found {
			namespaces[namespace] = true
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		if err := c.one(ctx, s, namespace); err != nil {
			return err
		}
	}
	// Not every tenant may read these. Without nodes, the address of one is any address; endpoints serve to render.
	for _, err := range []error{c.nodes(ctx, s), c.endpoints(ctx, s)} {
		if apierrors.IsForbidden(err) {
			s.Notes = append(s.Notes, err.Error())
		} else if err != nil {
			return err
		}
	}
	return nil
}

// one reads a namespace as far as the user may. What is missing becomes a note, or an Unreadable.
func (c *cluster) one(ctx context.Context, s *Snapshot, namespace string) error {
	var ns corev1.Namespace
	err := c.reader.Get(ctx, client.ObjectKey{Name: namespace}, &ns)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no namespace %s", namespace)
	case apierrors.IsForbidden(err):
		s.Notes = append(s.Notes, fmt.Sprintf("the labels of namespace %s cannot be read (%v): taken to have none but the name", namespace, err))
		s.addNamespace(namespace, nil)
	case err != nil:
		return fmt.Errorf("reading namespace %s: %w", namespace, err)
	default:
		s.addNamespace(namespace, ns.Labels)
	}
	if err := c.policies(ctx, s, namespace); apierrors.IsForbidden(err) {
		if s.Unreadable == nil {
			s.Unreadable = map[string]error{}
		}
		s.Unreadable[namespace] = err
	} else if err != nil {
		return err
	}
	for _, err := range []error{c.pods(ctx, s, namespace), c.services(ctx, s, namespace)} {
		if apierrors.IsForbidden(err) {
			s.Notes = append(s.Notes, err.Error())
		} else if err != nil {
			return err
		}
	}
	return nil
}

// baselines are none before the CustomResourceDefinition is installed, and unknown to whoever may not list them.
func (c *cluster) baselines(ctx context.Context, s *Snapshot) error {
	var list v1alpha1.NetworkBaselineList
	err := c.reader.List(ctx, &list)
	switch {
	case apierrors.IsForbidden(err):
		s.Notes = append(s.Notes, fmt.Sprintf("the cluster's NetworkBaselines cannot be read: %v", err))
		return nil
	case err != nil && !meta.IsNoMatchError(err):
		return fmt.Errorf("listing NetworkBaselines: %w", err)
	}
	s.Live = list.Items
	return nil
}

func (c *cluster) allNamespaces(ctx context.Context, s *Snapshot) error {
	var list corev1.NamespaceList
	if err := c.reader.List(ctx, &list); err != nil {
		return fmt.Errorf("listing Namespaces: %w", err)
	}
	for i := range list.Items {
		s.addNamespace(list.Items[i].Name, list.Items[i].Labels)
	}
	return nil
}

func (c *cluster) policies(ctx context.Context, s *Snapshot, namespace string) error {
	var list networkingv1.NetworkPolicyList
	if err := c.reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing NetworkPolicies%s: %w", in(namespace), err)
	}
	for i := range list.Items {
		s.addPolicy(&list.Items[i])
	}
	return nil
}

func (c *cluster) pods(ctx context.Context, s *Snapshot, namespace string) error {
	var list corev1.PodList
	options := []client.ListOption{client.InNamespace(namespace), client.Limit(pageSize)}
	for {
		if err := c.reader.List(ctx, &list, append(slices.Clone(options), client.Continue(list.Continue))...); err != nil {
			return fmt.Errorf("listing Pods%s: %w", in(namespace), err)
		}
		for i := range list.Items {
			s.pods = append(s.pods, trimmed(&list.Items[i]))
		}
		if list.Continue == "" {
			return nil
		}
	}
}

// namespacesAt are the namespaces of the pods that have an address.
func (c *cluster) namespacesAt(ctx context.Context, address netip.Addr) ([]string, error) {
	var list corev1.PodList
	if err := c.reader.List(ctx, &list, client.MatchingFields{"status.podIP": address.String()}); err != nil {
		return nil, fmt.Errorf("listing Pods: %w", err)
	}
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Namespace)
	}
	return out, nil
}

// trimmed is what matters of a pod.
func trimmed(p *corev1.Pod) corev1.Pod {
	out := corev1.Pod{}
	out.Namespace, out.Name, out.Labels, out.OwnerReferences = p.Namespace, p.Name, p.Labels, p.OwnerReferences
	out.Spec.HostNetwork, out.Spec.NodeName = p.Spec.HostNetwork, p.Spec.NodeName
	out.Status.Phase, out.Status.PodIP, out.Status.PodIPs = p.Status.Phase, p.Status.PodIP, p.Status.PodIPs
	for _, c := range p.Spec.Containers {
		out.Spec.Containers = append(out.Spec.Containers, corev1.Container{Name: c.Name, Ports: c.Ports})
	}
	for _, c := range p.Spec.InitContainers {
		out.Spec.InitContainers = append(out.Spec.InitContainers, corev1.Container{Name: c.Name, Ports: c.Ports, RestartPolicy: c.RestartPolicy})
	}
	return out
}

func (c *cluster) nodes(ctx context.Context, s *Snapshot) error {
	var list corev1.NodeList
	if err := c.reader.List(ctx, &list); err != nil {
		return fmt.Errorf("listing Nodes: %w", err)
	}
	s.nodes = list.Items
	return nil
}

func (c *cluster) services(ctx context.Context, s *Snapshot, namespace string) error {
	var list corev1.ServiceList
	if err := c.reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing Services%s: %w", in(namespace), err)
	}
	s.services = append(s.services, list.Items...)
	return nil
}

// endpoints are read where the operator looks for DNS and the API server.
func (c *cluster) endpoints(ctx context.Context, s *Snapshot) error {
	for _, namespace := range facts.Namespaces {
		var list discoveryv1.EndpointSliceList
		if err := c.reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return fmt.Errorf("listing EndpointSlices of %s: %w", namespace, err)
		}
		s.endpoints = append(s.endpoints, list.Items...)
		if slices.ContainsFunc(s.services, func(o corev1.Service) bool { return o.Namespace == namespace }) {
			continue
		}
		if err := c.services(ctx, s, namespace); err != nil {
			return err
		}
	}
	return nil
}

func in(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " of namespace " + namespace
}
