// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revision keeps the revisions of baselines, as StatefulSets and DaemonSets keep theirs: in ControllerRevisions, in
// the operator's own namespace.
package revision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// history is how many revisions of a baseline are kept, beside those in use.
const history = 10

// Store reads and writes revisions.
type Store struct {
	client    client.Client
	namespace string

	mu sync.Mutex
	// decoded revisions by name. A name says what a revision holds, so they are never stale, and one that was deleted by
	// mistake is not lost to this process.
	decoded map[string]*policy.Revision
	// updates are the names of the baselines' newest revisions.
	updates map[types.UID]update
}

type update struct {
	generation int64
	name       string
	err        error
}

// NewStore returns a store of the revisions in a namespace.
func NewStore(c client.Client, namespace string) *Store {
	return &Store{client: c, namespace: namespace, decoded: map[string]*policy.Revision{}, updates: map[types.UID]update{}}
}

// Observe returns what decisions read of a baseline. It reads from the cache only.
func (s *Store) Observe(ctx context.Context, b *v1alpha1.NetworkBaseline) *policy.Baseline {
	out := &policy.Baseline{
		Name: b.Name, UID: b.UID, Created: b.CreationTimestamp.Time,
		Mode: b.Spec.Mode, Excluded: b.Spec.ExcludedNamespaces, DeletionPolicy: b.Spec.DeletionPolicy,
		Deleting: b.DeletionTimestamp != nil,
		Settled:  b.Status.CurrentRevision != "" && b.Status.Namespaces.Waiting == 0,
	}
	if name, err := s.Update(b); err == nil {
		out.Update = s.get(ctx, name)
	}
	if b.Status.CurrentRevision != "" {
		out.Current = s.get(ctx, b.Status.CurrentRevision)
	}
	s.settle(ctx, b, out)
	out.Version = fmt.Sprintf("%s %s %v %v %v", InForce(&b.Status), out.Mode, out.Excluded, out.DeletionPolicy, out.Deleting)
	return out
}

// settle finds out which revision is in force. When the spec has changed and nobody has noted it yet, that is the one that
// was rolled out last.
func (s *Store) settle(ctx context.Context, b *v1alpha1.NetworkBaseline, out *policy.Baseline) {
	inForce := InForce(&b.Status)
	switch {
	case inForce == "":
	case out.Update != nil && out.Update.Name == inForce:
		out.Admitted = true
	case inForce != b.Status.CurrentRevision:
		out.Current = s.get(ctx, inForce)
	}
	if inForce != "" && !out.Admitted && out.Current == nil {
		out.Lost = inForce
	}
}

// InForce is the name of the revision of a baseline that namespaces have to hold; "" before the first one is admitted.
func InForce(status *v1alpha1.NetworkBaselineStatus) string {
	if status.Rollout != nil {
		return status.UpdateRevision
	}
	return status.CurrentRevision
}

// Update is the name of the revision of the spec as it is now. An error says why the spec is none.
func (s *Store) Update(b *v1alpha1.NetworkBaseline) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.updates[b.UID]; ok && known.generation == b.Generation {
		return known.name, known.err
	}
	name, _, err := policy.EncodeRevision(b.Name, b.UID, &b.Spec)
	if err == nil && s.decoded[name] == nil {
		var r *policy.Revision
		if r, err = policy.NewRevision(name, &b.Spec); err == nil {
			s.decoded[name] = r
		}
	}
	s.updates[b.UID] = update{b.Generation, name, err}
	return name, err
}

// get returns a revision; nil when it cannot be read.
func (s *Store) get(ctx context.Context, name string) *policy.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.decoded[name]; r != nil {
		return r
	}
	var object appsv1.ControllerRevision
	if err := s.client.Get(ctx, types.NamespacedName{Namespace: s.namespace, Name: name}, &object); err != nil {
		return nil
	}
	r, err := policy.DecodeRevision(name, object.Data.Raw)
	if err != nil {
		return nil
	}
	s.decoded[name] = r
	return r
}

// +kubebuilder:rbac:groups=apps,resources=controllerrevisions,verbs=list;watch;create;delete,namespace=system

// Save stores the revision of the spec, unless it is stored already, and drops old ones that are not in use. It returns
// the revision's name.
func (s *Store) Save(ctx context.Context, b *v1alpha1.NetworkBaseline) (string, error) {
	name, data, err := policy.EncodeRevision(b.Name, b.UID, &b.Spec)
	if err != nil {
		return "", err
	}
	all, err := s.list(ctx, b)
	if err != nil {
		return "", err
	}
	newest := int64(0)
	for i := range all {
		if all[i].Name == name {
			return name, nil
		}
		newest = max(newest, all[i].Revision)
	}
	object := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: name,
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue, v1alpha1.BaselineLabel: b.Name},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(b, v1alpha1.GroupVersion.WithKind("NetworkBaseline")),
			},
		},
		Data:     runtime.RawExtension{Raw: data},
		Revision: newest + 1,
	}
	if err := s.client.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("storing revision %s in namespace %s: %w", name, s.namespace, err)
	}
	return name, s.prune(ctx, b, all)
}

// prune deletes the oldest revisions beyond the history.
func (s *Store) prune(ctx context.Context, b *v1alpha1.NetworkBaseline, all []appsv1.ControllerRevision) error {
	unused := slices.DeleteFunc(all, func(r appsv1.ControllerRevision) bool {
		return r.Name == b.Status.CurrentRevision || r.Name == b.Status.UpdateRevision
	})
	slices.SortFunc(unused, func(a, b appsv1.ControllerRevision) int { return cmp.Compare(b.Revision, a.Revision) })
	for i := history; i < len(unused); i++ {
		if err := client.IgnoreNotFound(s.client.Delete(ctx, &unused[i])); err != nil {
			return fmt.Errorf("deleting old revision %s: %w", unused[i].Name, err)
		}
		s.mu.Lock()
		delete(s.decoded, unused[i].Name)
		s.mu.Unlock()
	}
	return nil
}

func (s *Store) list(ctx context.Context, b *v1alpha1.NetworkBaseline) ([]appsv1.ControllerRevision, error) {
	var list appsv1.ControllerRevisionList
	if err := s.client.List(ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{v1alpha1.BaselineLabel: b.Name}); err != nil {
		return nil, fmt.Errorf("listing revisions: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(r appsv1.ControllerRevision) bool { return !metav1.IsControlledBy(&r, b) }), nil
}

// Forget drops what is known of a baseline that is gone.
func (s *Store) Forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.updates, uid)
}
