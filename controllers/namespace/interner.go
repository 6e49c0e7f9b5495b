// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// interner lets policies, cached and rendered, share what they have alike. Most policies of a cluster are generated, and
// differ from namespace to namespace in little but their names: without this each holds its own copy of the same rules
// and labels, and comparing a live policy with the rendered one looks at all of them. What is shared is never changed,
// like everything that comes from the cache.
type interner struct {
	mu    sync.Mutex
	specs map[string]networkingv1.NetworkPolicySpec
	metas map[string]metav1.ObjectMeta
}

// internerCapacity bounds what is kept of policies that may all be different: those of tenants.
const internerCapacity = 1024

// shared is the one of this process: it decides nothing, and whoever caches or renders can use it.
var shared = newInterner()

func newInterner() *interner {
	return &interner{specs: map[string]networkingv1.NetworkPolicySpec{}, metas: map[string]metav1.ObjectMeta{}}
}

// share replaces parts of the policy by equal ones that others hold.
func (i *interner) share(p *networkingv1.NetworkPolicy) {
	spec, specErr := p.Spec.Marshal()
	alike := metav1.ObjectMeta{Labels: p.Labels, Annotations: p.Annotations, OwnerReferences: p.OwnerReferences}
	meta, metaErr := alike.Marshal()
	if specErr != nil || metaErr != nil {
		return // what came over the wire can go back; otherwise it costs memory, and nothing else
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	p.Spec = intern(i.specs, spec, p.Spec)
	alike = intern(i.metas, meta, alike)
	p.Labels, p.Annotations, p.OwnerReferences = alike.Labels, alike.Annotations, alike.OwnerReferences
}

func intern[V any](pool map[string]V, key []byte, value V) V {
	if known, ok := pool[string(key)]; ok {
		return known
	}
	if len(pool) >= internerCapacity {
		clear(pool)
	}
	pool[string(key)] = value
	return value
}

// SlimPolicy is the transform of the cache: it drops what nobody reads, of managedFields all but who wrote when, and shares
// what other policies hold as well.
func SlimPolicy(o any) (any, error) {
	if p, ok := o.(*networkingv1.NetworkPolicy); ok {
		for i := range p.ManagedFields {
			entry := &p.ManagedFields[i]
			*entry = metav1.ManagedFieldsEntry{Manager: entry.Manager, Operation: entry.Operation, Time: entry.Time}
		}
		shared.share(p)
	}
	return o, nil
}
