// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package input

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// head is what tells the kind of an object.
type head struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Items        []json.RawMessage `json:"items"`
	Expectations json.RawMessage   `json:"expectations"`
}

// take sorts an object by its kind.
func (f *files) take(ctx context.Context, at place, data []byte) error {
	var h head
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil // nothing but comments
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return fmt.Errorf("%s: is no Kubernetes object, which has apiVersion and kind: %w", at, err)
	}
	switch group, _, _ := strings.Cut(h.APIVersion, "/"); {
	case h.Kind == "" && h.Expectations != nil:
		f.snapshot.Expectations = append(f.snapshot.Expectations, Document{File: at.file, Line: at.line, Data: data})
		return nil
	case h.APIVersion == "" || h.Kind == "":
		return fmt.Errorf("%s: is no Kubernetes object: write apiVersion and kind", at)
	case strings.HasSuffix(h.Kind, "List"):
		return f.takeItems(ctx, at, &h)
	case group == v1alpha1.GroupVersion.Group:
		return f.takeBaseline(ctx, at, data)
	}
	if err := f.takeObject(&h, data); err != nil {
		return fmt.Errorf("%s: %s %s: %w", at, h.Kind, h.Metadata.Name, err)
	}
	return nil
}

func (f *files) takeItems(ctx context.Context, at place, list *head) error {
	kind := strings.TrimSuffix(list.Kind, "List")
	var errs []error
	for i, item := range list.Items {
		at.item = i + 1
		// The items of a typed list have no kind of their own.
		var own metav1.TypeMeta
		if err := json.Unmarshal(item, &own); err == nil && kind != "" && own.Kind == "" {
			item = append(fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,`, list.APIVersion, kind), bytes.TrimPrefix(bytes.TrimSpace(item), []byte("{"))...)
		}
		errs = append(errs, f.take(ctx, at, item))
	}
	return errors.Join(errs...)
}

func (f *files) takeBaseline(ctx context.Context, at place, data []byte) error {
	var object map[string]any
	if err := utiljson.Unmarshal(data, &object); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	b, invalid := f.schema.Read(ctx, object)
	var errs []error
	for _, err := range invalid {
		errs = append(errs, fmt.Errorf("%s: %w", at, err))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if first := f.declaredAt[b.Name]; first != "" {
		return fmt.Errorf("%s: metadata.name: NetworkBaseline %s is declared in %s already: rename one of the two", at, b.Name, first)
	}
	f.declaredAt[b.Name] = at.String()
	f.snapshot.Declared = append(f.snapshot.Declared, *b)
	return nil
}

// takeObject takes an object that NetworkPolicies depend on, and counts all others.
func (f *files) takeObject(h *head, data []byte) error {
	if h.Metadata.Name == "" {
		return errors.New("metadata.name: write a name")
	}
	s := f.snapshot
	switch h.Kind {
	case "Namespace":
		return decode(data, func(o *corev1.Namespace) { s.addNamespace(o.Name, o.Labels) })
	case "Pod":
		return decode(data, func(o *corev1.Pod) { o.Namespace = f.in(o.Namespace); s.pods = append(s.pods, trimmed(o)) })
	case "Node":
		return decode(data, func(o *corev1.Node) { s.nodes = append(s.nodes, *o) })
	case "Service":
		return decode(data, func(o *corev1.Service) { o.Namespace = f.in(o.Namespace); s.services = append(s.services, *o) })
	case "EndpointSlice":
		return decode(data, func(o *discoveryv1.EndpointSlice) {
			o.Namespace = f.in(o.Namespace)
			s.endpoints = append(s.endpoints, *o)
		})
	case "NetworkPolicy":
		if h.APIVersion != networkingv1.SchemeGroupVersion.String() {
			break // Calico has a kind of the same name
		}
		return f.takePolicy(data)
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
		return decode(data, func(o *struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}) {
			s.templates = append(s.templates, template{h.Kind, f.in(h.Metadata.Namespace), h.Metadata.Name, o.Spec.Template})
		})
	case "CronJob":
		return decode(data, func(o *batchv1.CronJob) {
			s.templates = append(s.templates, template{h.Kind, f.in(h.Metadata.Namespace), h.Metadata.Name, o.Spec.JobTemplate.Spec.Template})
		})
	}
	f.skipped[h.Kind]++
	return nil
}

// takePolicy is strict: a misspelled field of a NetworkPolicy changes what it allows.
func (f *files) takePolicy(data []byte) error {
	var p struct {
		networkingv1.NetworkPolicy `json:",inline"`
		Status                     json.RawMessage `json:"status"` // of API servers before 1.28
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return fmt.Errorf("%s: an API server would refuse or drop this field", strings.TrimPrefix(err.Error(), "json: "))
	}
	p.Namespace = f.in(p.Namespace)
	f.snapshot.addPolicy(&p.NetworkPolicy)
	return nil
}

// in is the namespace of an object that names none.
func (f *files) in(namespace string) string {
	if namespace == "" {
		return f.defaultNamespace
	}
	return namespace
}

// decode calls take with the decoded object.
func decode[T any](data []byte, take func(*T)) error {
	var object T
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	take(&object)
	return nil
}

func (s *Snapshot) addNamespace(name string, labels map[string]string) {
	if s.namespaces == nil {
		s.namespaces = map[string]map[string]string{}
	}
	s.namespaces[name] = labels
}

func (s *Snapshot) addPolicy(p *networkingv1.NetworkPolicy) {
	if s.Policies == nil {
		s.Policies = map[string][]networkingv1.NetworkPolicy{}
	}
	s.Policies[p.Namespace] = append(s.Policies[p.Namespace], *p)
}
