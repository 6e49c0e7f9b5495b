// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package packets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/netbaseline/netbaseline/hack/packets/cluster"
	"github.com/netbaseline/netbaseline/hack/packets/node"
	"github.com/netbaseline/netbaseline/hack/packets/standin"
	"github.com/netbaseline/netbaseline/hack/packets/table"
)

// scene is a cluster with what every table has, and servers at every address that a table names.
type scene struct {
	*cluster.Cluster
	operator *cluster.Operator
	world    *table.Table
	tables   map[string]*table.Table
	ports    []standin.Port
	dir      string
	stops    []func()
}

// newScene starts a cluster, with a network that enforces or without.
func newScene(ctx context.Context, enforcing bool) (*scene, error) {
	s := &scene{}
	if err := s.start(ctx, enforcing); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *scene) start(ctx context.Context, enforcing bool) (err error) {
	if s.dir, err = os.MkdirTemp("", "netbaseline-packets-"); err != nil {
		return err
	}
	if err := s.readTables(); err != nil {
		return err
	}
	onNode := []netip.Addr{imds, openstack}
	outside := slices.DeleteFunc(s.addresses(), func(a netip.Addr) bool { return slices.Contains(onNode, a) })
	binaries, err := assets(s.dir)
	if err != nil {
		return err
	}
	s.Cluster, err = cluster.Start(ctx, cluster.Options{Root: root, Assets: binaries, OnNode: onNode, Outside: outside})
	if err != nil {
		return err
	}
	if err := s.serve(onNode, outside); err != nil {
		return err
	}
	if enforcing {
		if err := s.StartFirewall(ctx); err != nil {
			return err
		}
	}
	if err := s.furnish(ctx); err != nil {
		return err
	}
	s.operator, err = s.NewOperator(ctx)
	return err
}

func (s *scene) serve(onNode, outside []netip.Addr) error {
	there, err := node.Serve(s.Network.Outside, "up0", outside, s.ports)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, there)
	here, err := node.Serve(s.Network.Node, "br0", onNode, s.ports)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, here)
	return nil
}

// close ends the cluster.
func (s *scene) close() error {
	if s.operator != nil {
		s.operator.Kill()
	}
	for _, stop := range s.stops {
		stop()
	}
	var err error
	if s.Cluster != nil {
		err = s.Stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// readTables reads the tables, and with them the ports on which everybody listens.
func (s *scene) readTables() (err error) {
	if s.world, err = table.Read(filepath.Join(tests, "world.yaml")); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(tests, "samples", "*.yaml"))
	if err != nil {
		return err
	}
	s.tables = map[string]*table.Table{}
	ports := map[standin.Port]bool{}
	add := func(t *table.Table) error {
		listed, err := t.Ports()
		for _, p := range listed {
			ports[p] = true
		}
		return err
	}
	if err := add(s.world); err != nil {
		return err
	}
	for _, file := range files {
		t, err := table.Read(file)
		if err != nil {
			return err
		}
		if err := errors.Join(t.Join(s.world), add(t)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		s.tables[t.Sample] = t
	}
	s.ports = slices.SortedFunc(maps.Keys(ports), func(a, b standin.Port) int { return strings.Compare(a.String(), b.String()) })
	return nil
}

// addresses are all that a table names outside of the cluster.
func (s *scene) addresses() []netip.Addr {
	all := map[netip.Addr]bool{}
	for _, t := range s.tables {
		for _, known := range []map[string]netip.Addr{t.Nodes, t.Addresses} {
			for _, a := range known {
				all[a] = true
			}
		}
		expectations, _ := t.Expectations()
		for _, e := range expectations {
			for _, end := range []string{e.From, e.To} {
				if a, err := netip.ParseAddr(end); err == nil {
					all[a] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), netip.Addr.Compare)
}

// furnish makes what every table has: its namespaces, the cluster's DNS, the Service of the API server.
func (s *scene) furnish(ctx context.Context) error {
	port, protocol, name := int32(6443), corev1.ProtocolTCP, "https"
	if err := s.Client.Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{s.world.Nodes["control-plane"].String()}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}); err != nil {
		return err
	}
	if err := s.wait(ctx, "Service default/kubernetes", func() error {
		return s.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "kubernetes"}, &corev1.Service{})
	}); err != nil {
		return err
	}
	return s.populate(ctx, s.world.Namespaces)
}

// populate makes namespaces with all that is in them, and waits until it is ready.
func (s *scene) populate(ctx context.Context, namespaces map[string]*table.Namespace) error {
	for name, ns := range namespaces {
		if err := s.namespace(ctx, name, ns); err != nil {
			return err
		}
	}
	for name := range namespaces {
		if err := s.podsReady(ctx, name); err != nil {
			return err
		}
	}
	return s.SyncServices(ctx)
}

func (s *scene) namespace(ctx context.Context, name string, ns *table.Namespace) error {
	// It may be there already: the API server's own, or one of an earlier table.
	o := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := controllerutil.CreateOrUpdate(ctx, s.Client, o, func() error {
		o.Labels = maps.Clone(ns.Labels)
		return nil
	}); err != nil {
		return err
	}
	for pod, p := range ns.Pods {
		if err := s.Client.Create(ctx, s.pod(name, pod, p.Labels)); err != nil {
			return err
		}
	}
	for service, spec := range ns.Services {
		if service == "kubernetes" {
			continue // the API server's own
		}
		if err := s.Client.Create(ctx, serviceOf(name, service, spec)); err != nil {
			return err
		}
	}
	return nil
}

// pod listens on every port that a table names.
func (s *scene) pod(namespace, name string, labels map[string]string) *corev1.Pod {
	container := corev1.Container{Name: "standin", Image: "standin", ReadinessProbe: &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(s.ports[0].Number)}},
	}}
	for _, p := range s.ports {
		container.Args = append(container.Args, p.String())
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{container}},
	}
}

func serviceOf(namespace, name string, spec *table.Service) *corev1.Service {
	o := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: spec.Labels}, Spec: corev1.ServiceSpec{Selector: spec.Selector}}
	if len(spec.IPs) > 0 {
		o.Spec.ClusterIP = spec.IPs[0].String()
	}
	for text, target := range spec.Ports {
		p, _ := standin.ParsePort(text) // Ports has read it
		o.Spec.Ports = append(o.Spec.Ports, corev1.ServicePort{
			Name: fmt.Sprintf("%s-%d", p.Network, p.Number), Protocol: corev1.Protocol(strings.ToUpper(p.Network)),
			Port: int32(p.Number), TargetPort: intstr.FromInt32(target), //nolint:gosec // a port
		})
	}
	return o
}

func (s *scene) podsReady(ctx context.Context, namespace string, of ...client.ListOption) error {
	return s.wait(ctx, "pods of "+namespace, func() error {
		var pods corev1.PodList
		if err := s.Client.List(ctx, &pods, append(of, client.InNamespace(namespace))...); err != nil {
			return err
		}
		for i := range pods.Items {
			if !slices.ContainsFunc(pods.Items[i].Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				return fmt.Errorf("pod %s/%s is not ready: %+v", namespace, pods.Items[i].Name, pods.Items[i].Status)
			}
		}
		return nil
	})
}

// wait polls until check returns nil.
func (s *scene) wait(ctx context.Context, what string, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not after %s: %w", what, patience, err)
		case <-time.After(poll):
		}
	}
}
