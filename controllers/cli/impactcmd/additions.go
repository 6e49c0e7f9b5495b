// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package impactcmd

import (
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/cli/input"
	"github.com/netbaseline/netbaseline/controllers/connectivity"
	"github.com/netbaseline/netbaseline/controllers/impact"
)

// The names of components and of their lists, as they are written.
const (
	allowDNS               = "allowDNS"
	allowKubeAPIServer     = "allowKubeAPIServer"
	allowIngressController = "allowIngressController"
	allowMonitoring        = "allowMonitoring"
)

var controllersOf = []v1alpha1.IngressController{
	v1alpha1.IngressNginx, v1alpha1.RKE2IngressNginx, v1alpha1.NginxInc, v1alpha1.Traefik, v1alpha1.HAProxy, v1alpha1.Contour,
	v1alpha1.Istio, v1alpha1.EnvoyGateway, v1alpha1.Kong, v1alpha1.OpenShiftRouter, v1alpha1.AKSAppRouting, v1alpha1.GKELoadBalancer,
}

var stacks = []v1alpha1.MonitoringStack{
	v1alpha1.Prometheus, v1alpha1.VictoriaMetrics, v1alpha1.GrafanaAlloy, v1alpha1.OpenTelemetryCollector, v1alpha1.Datadog,
	v1alpha1.OpenShiftMonitoring, v1alpha1.GKEManagedPrometheus,
}

// advice is about the declared baselines: it is they that cut.
func advice(s *input.Snapshot, o *input.Options, operator *input.Operator, namespaces map[string]bool) impact.Advice {
	taken := map[string][]string{}
	for i := range s.Declared {
		b := &s.Declared[i]
		taken[b.Name] = []string{}
		for _, f := range b.Spec.Flows {
			taken[b.Name] = append(taken[b.Name], f.Name)
		}
	}
	governing := func(namespace string) []string {
		return slices.DeleteFunc(operator.Governing(namespace), func(name string) bool { return taken[name] == nil })
	}
	return impact.Advice{Governing: governing, Taken: taken, Candidates: candidates(s.Declared), Try: tryIn(s, o, namespaces)}
}

// candidates are the components that each baseline does not have. Those that allow more than their name says, such as
// allowSameNamespace, are left to people.
func candidates(declared []v1alpha1.NetworkBaseline) [][]impact.Component {
	var out [][]impact.Component
	for i := range declared {
		name, p := declared[i].Name, &declared[i].Spec.Profile
		if p.AllowDNS == nil {
			out = append(out, []impact.Component{{Baseline: name, Name: allowDNS}})
		}
		if p.AllowKubeAPIServer == nil {
			out = append(out, []impact.Component{{Baseline: name, Name: allowKubeAPIServer}})
		}
		if p.AllowIngressController == nil {
			var all []impact.Component
			for _, c := range controllersOf {
				all = append(all, impact.Component{Baseline: name, Name: allowIngressController, List: "controllers", Item: string(c)})
			}
			out = append(out, all)
		}
		if p.AllowMonitoring == nil {
			var all []impact.Component
			for _, s := range stacks {
				all = append(all, impact.Component{Baseline: name, Name: allowMonitoring, List: "stacks", Item: string(s)})
			}
			out = append(out, all)
		}
	}
	return out
}

// tryIn renders the baselines with additions in some namespaces.
func tryIn(s *input.Snapshot, o *input.Options, namespaces map[string]bool) impact.Try {
	return func(components []impact.Component, flows []impact.BaselineFlows) (*connectivity.Set, error) {
		policies := map[string][]networkingv1.NetworkPolicy{}
		if len(flows) == 0 {
			err := renderWith(s, o, added(s.Declared, components, nil), namespaces, policies)
			return compiled(policies, o, err)
		}
		// There may be thousands of flows, of which a namespace needs its own.
		concerning := byNamespace(flows)
		for namespace := range namespaces {
			declared := added(s.Declared, components, concerning[namespace])
			if err := renderWith(s, o, declared, map[string]bool{namespace: true}, policies); err != nil {
				return nil, err
			}
		}
		return compiled(policies, o, nil)
	}
}

func compiled(policies map[string][]networkingv1.NetworkPolicy, o *input.Options, err error) (*connectivity.Set, error) {
	if err != nil {
		return nil, err
	}
	return input.Compile(policies, o.Network)
}

// renderWith adds what the namespaces would hold.
func renderWith(s *input.Snapshot, o *input.Options, declared []v1alpha1.NetworkBaseline, namespaces map[string]bool, policies map[string][]networkingv1.NetworkPolicy) error {
	with := s.With(declared, namespaces)
	operator, err := with.NewOperator(o.Protected)
	if err != nil {
		return err
	}
	maps.Copy(policies, with.Rendered(operator.Render))
	return nil
}

// byNamespace are the suggested flows that have an end in each namespace. They name their namespaces.
func byNamespace(flows []impact.BaselineFlows) map[string][]impact.BaselineFlows {
	out := map[string][]impact.BaselineFlows{}
	for _, b := range flows {
		of := map[string][]v1alpha1.Flow{}
		for i := range b.Flows {
			for _, namespace := range impact.NamespacesOf(&b.Flows[i]) {
				of[namespace] = append(of[namespace], b.Flows[i])
			}
		}
		for namespace, some := range of {
			out[namespace] = append(out[namespace], impact.BaselineFlows{Baseline: b.Baseline, Flows: some})
		}
	}
	return out
}

// added are the baselines with additions.
func added(declared []v1alpha1.NetworkBaseline, components []impact.Component, flows []impact.BaselineFlows) []v1alpha1.NetworkBaseline {
	var out []v1alpha1.NetworkBaseline
	for i := range declared {
		b := declared[i].DeepCopy()
		for _, c := range components {
			if c.Baseline == b.Name {
				add(&b.Spec.Profile, c)
			}
		}
		for _, f := range flows {
			if f.Baseline == b.Name {
				b.Spec.Flows = append(slices.Clone(b.Spec.Flows), f.Flows...)
			}
		}
		out = append(out, *b)
	}
	return out
}

func add(p *v1alpha1.Profile, c impact.Component) {
	switch c.Name {
	case allowDNS:
		p.AllowDNS = &v1alpha1.AllowDNS{}
	case allowKubeAPIServer:
		p.AllowKubeAPIServer = &v1alpha1.AllowKubeAPIServer{}
	case allowIngressController:
		if p.AllowIngressController == nil {
			p.AllowIngressController = &v1alpha1.AllowIngressController{}
		}
		p.AllowIngressController.Controllers = append(p.AllowIngressController.Controllers, v1alpha1.IngressController(c.Item))
	case allowMonitoring:
		if p.AllowMonitoring == nil {
			p.AllowMonitoring = &v1alpha1.AllowMonitoring{}
		}
		p.AllowMonitoring.Stacks = append(p.AllowMonitoring.Stacks, v1alpha1.MonitoringStack(c.Item))
	}
}
