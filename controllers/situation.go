// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

// situation is all that the convergence of a namespace depends on.
type situation struct {
	namespace    string
	labels       map[string]string
	facts        policy.Facts
	factsVersion int64
	// enforcing baselines govern the namespace, waiting ones will when their preflight passes, auditing ones would.
	enforcing, waiting, auditing []*v1alpha1.NetworkBaseline
	byName                       map[string]*v1alpha1.NetworkBaseline
	// policies to plan with: all that are live but the retained and the frozen ones.
	policies []*networkingv1.NetworkPolicy
	// retained policies lose their owner and stay.
	retained []*networkingv1.NetworkPolicy
	// frozen policies belong to a baseline in audit mode, and stay as they are.
	frozen       []*networkingv1.NetworkPolicy
	ownership    policy.Ownership
	surroundings policy.Surroundings
}

// look gathers the situation; nil when the namespace is gone or going.
func (r *NamespaceReconciler) look(ctx context.Context, namespace string) (*situation, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.client.Get(ctx, types.NamespacedName{Name: namespace}, ns); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if ns.DeletionTimestamp != nil {
		return nil, nil
	}
	var baselines v1alpha1.NetworkBaselineList
	if err := r.client.List(ctx, &baselines, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var policies networkingv1.NetworkPolicyList
	if err := r.client.List(ctx, &policies, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	s := newSituation(namespace, ns.Labels, baselines.Items)
	s.facts, s.factsVersion = r.facts.Current(ctx)
	s.ownership.Seen = r.memory.seen(namespace)
	s.sortPolicies(policies.Items)
	s.sortBaselines(baselines.Items, r.selectors, r.gate.blocks)
	if slices.ContainsFunc(s.waiting, r.gate.undecided) {
		s.waitTogether()
	}
	return s, nil
}

func newSituation(namespace string, labels map[string]string, baselines []v1alpha1.NetworkBaseline) *situation {
	s := &situation{namespace: namespace, labels: labels, byName: map[string]*v1alpha1.NetworkBaseline{}}
	for i := range baselines {
		s.byName[baselines[i].Name] = &baselines[i]
	}
	return s
}

// sortBaselines tells apart what the baselines that select the namespace are to it. blocks says of one that it may not
// come to where it is not yet.
func (s *situation) sortBaselines(baselines []v1alpha1.NetworkBaseline, selectors *selectors, blocks func(*v1alpha1.NetworkBaseline) bool) {
	for i := range baselines {
		b := &baselines[i]
		if !s.governs(b) || selectors.of(b).Select(s.namespace, s.labels) != policy.Selected {
			continue
		}
		switch {
		case b.Spec.Mode == v1alpha1.ModeAudit:
			s.auditing = append(s.auditing, b)
		case blocks(b) && !s.holdsPoliciesOf(b):
			s.waiting = append(s.waiting, b)
		default:
			s.enforcing = append(s.enforcing, b)
		}
	}
}

// waitTogether lets no baseline come that is not there yet while it is not known of another whether it may: the deny of
// the one, without the allows of the other that may have been in force all along, would be a gap.
func (s *situation) waitTogether() {
	var there []*v1alpha1.NetworkBaseline
	for _, b := range s.enforcing {
		if s.holdsPoliciesOf(b) {
			there = append(there, b)
		} else {
			s.waiting = append(s.waiting, b)
		}
	}
	s.enforcing = there
}

// sortPolicies puts aside what is not planned with.
func (s *situation) sortPolicies(policies []networkingv1.NetworkPolicy) {
	retaining, auditing := map[types.UID]string{}, map[types.UID]string{}
	s.ownership.Owners = map[types.UID]string{}
	for name, b := range s.byName {
		switch {
		case b.DeletionTimestamp != nil && b.Spec.DeletionPolicy == v1alpha1.DeletionRetain:
			retaining[b.UID] = name
		case b.DeletionTimestamp == nil && b.Spec.Mode == v1alpha1.ModeAudit:
			auditing[b.UID] = name
		default:
			s.ownership.Owners[b.UID] = name
		}
	}
	for i := range policies {
		p := &policies[i]
		switch {
		case policy.Ownership{Owners: retaining}.Owned(p):
			s.retained = append(s.retained, p)
		case policy.Ownership{Owners: auditing}.Owned(p):
			s.frozen = append(s.frozen, p)
		default:
			s.policies = append(s.policies, p)
		}
	}
	for _, p := range slices.Concat(s.retained, s.frozen) {
		// It was ours to maintain until now: what is in force for good is what the allows of others rely on.
		delete(s.ownership.Seen, p.UID)
	}
	s.surroundings = s.ownership.Surroundings(slices.Concat(s.retained, s.frozen, s.policies))
}

// holdsPoliciesOf says whether the namespace is enforced by the baseline already.
func (s *situation) holdsPoliciesOf(b *v1alpha1.NetworkBaseline) bool {
	return slices.ContainsFunc(s.policies, func(p *networkingv1.NetworkPolicy) bool {
		return policy.Ownership{Owners: map[types.UID]string{b.UID: b.Name}}.Owned(p)
	})
}

// audit tells for each baseline in audit mode what the namespace would look like if it alone were enforced as well.
func (r *NamespaceReconciler) audit(s *situation) []share {
	var shares []share
	for _, b := range s.auditing {
		as := s.enforcingToo(b)
		rendered, _ := r.renderer.render(as)
		shares = append(shares, auditShare(as, b, rendered, as.ownership.Sort(as.policies, rendered)))
	}
	return shares
}

// enforcingToo is the situation if a baseline in audit mode were enforced as well.
func (s *situation) enforcingToo(b *v1alpha1.NetworkBaseline) *situation {
	as := *s
	as.enforcing = append(slices.Clone(s.enforcing), b)
	as.ownership.Owners = maps.Clone(s.ownership.Owners)
	as.ownership.Owners[b.UID] = b.Name
	as.policies = slices.Concat(s.policies, s.frozen)
	as.surroundings = as.ownership.Surroundings(slices.Concat(s.retained, as.policies))
	return &as
}

// governs says whether a baseline wants policies here. Before it has its finalizer none is written for it, because then
// its removal could not be put in order; where it has some already they stay, should somebody take the finalizer off.
func (s *situation) governs(b *v1alpha1.NetworkBaseline) bool {
	return b.DeletionTimestamp == nil && (hasFinalizer(b) || s.holdsPoliciesOf(b))
}

// selectors compiles what each baseline selects once for each of its generations.
type selectors struct {
	protection policy.Protection
	mu         sync.Mutex
	byUID      map[types.UID]compiled
}

type compiled struct {
	generation int64
	selector   policy.Selector
}

// selectorsCapacity bounds what is kept of baselines that may be gone; a cluster has a handful.
const selectorsCapacity = 256

func newSelectors(protection policy.Protection) *selectors {
	return &selectors{protection: protection, byUID: map[types.UID]compiled{}}
}

// of is the selector of a baseline; one that does not compile selects nothing, and is told as a problem of the baseline.
func (s *selectors) of(b *v1alpha1.NetworkBaseline) policy.Selector {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.byUID[b.UID]; ok && known.generation == b.Generation {
		return known.selector
	}
	selector, err := policy.NewSelector(&b.Spec, s.protection)
	if err != nil {
		selector = policy.Selector{}
	}
	makeRoom(s.byUID, selectorsCapacity)
	s.byUID[b.UID] = compiled{b.Generation, selector}
	return selector
}
