// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// FieldManager is the name under which the operator writes, as managedFields record it.
const FieldManager = "netbaseline"

// Ownership is what proves a live policy to be ours.
type Ownership struct {
	// Owners are the UIDs of the existing baselines.
	Owners map[types.UID]string
	// Seen are the UIDs of the namespace's policies that this process has seen as ours.
	Seen map[types.UID]bool
}

// Live is what a namespace holds, split by whose it is.
type Live struct {
	// Ours by name. The operator changes and deletes nothing else.
	Ours map[string]*networkingv1.NetworkPolicy
	// Foreign policies, in the order in which they were given.
	Foreign []*networkingv1.NetworkPolicy
}

// Sort splits the live policies of a namespace. Ours is what carries the UID of a baseline as owner, what this
// process has seen as ours, and, under a name that is rendered, what carries our labels or was written by our field
// manager: a retained policy, or one whose labels and owner somebody erased.
func (o Ownership) Sort(live []*networkingv1.NetworkPolicy, desired *Rendered) Live {
	out := Live{Ours: map[string]*networkingv1.NetworkPolicy{}}
	for _, p := range live {
		if o.Owned(p) || o.Seen[p.UID] || desired.has(p.Name) && marked(p) {
			out.Ours[p.Name] = p
			continue
		}
		out.Foreign = append(out.Foreign, p)
	}
	return out
}

// Surroundings are what rendering has to know of the policies that it does not govern.
type Surroundings struct {
	// EgressRestricted are the pods whose egress somebody else's policies restrict.
	EgressRestricted []metav1.LabelSelector
	// Denied are the directions that a policy of ours denies for all pods though nobody maintains it any more.
	Denied []networkingv1.PolicyType
}

// Surroundings looks at the policies that are not owned by a baseline which enforces.
func (o Ownership) Surroundings(live []*networkingv1.NetworkPolicy) Surroundings {
	var out Surroundings
	var others []*networkingv1.NetworkPolicy
	for _, p := range live {
		switch {
		case o.Owned(p) || o.Seen[p.UID]:
		case !marked(p):
			others = append(others, p)
		default:
			for _, d := range directions {
				if isDeny(p) && isolatesAll(&p.Spec, d) && !slices.Contains(out.Denied, d) {
					out.Denied = append(out.Denied, d)
				}
			}
		}
	}
	slices.Sort(out.Denied)
	out.EgressRestricted = RestrictedEgress(others)
	return out
}

// Owned says whether the policy has one of the owners.
func (o Ownership) Owned(p *networkingv1.NetworkPolicy) bool {
	for i := range p.OwnerReferences {
		if _, ok := o.Owners[p.OwnerReferences[i].UID]; ok {
			return true
		}
	}
	return false
}

// marked says whether the policy carries our labels, or a trace in managedFields of having been written by us, which
// unlike labels and annotations does not come along when somebody copies a manifest.
func marked(p *networkingv1.NetworkPolicy) bool {
	if p.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedByValue && p.Labels[v1alpha1.BaselineLabel] != "" {
		return true
	}
	for i := range p.ManagedFields {
		if p.ManagedFields[i].Manager == FieldManager {
			return true
		}
	}
	return false
}

// has says whether a policy of this name is rendered.
func (r *Rendered) has(name string) bool { return r.find(name) != nil }

func (r *Rendered) find(name string) *Policy {
	i, found := slices.BinarySearchFunc(r.Policies, name, func(p Policy, name string) int {
		switch {
		case p.Name < name:
			return -1
		case p.Name > name:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &r.Policies[i]
}

// Same says whether a live policy is what is desired: spec, owner, our labels and our annotation. Labels and
// annotations of others are theirs.
func Same(live, desired *networkingv1.NetworkPolicy) bool {
	return contains(live.Labels, desired.Labels) &&
		contains(live.Annotations, desired.Annotations) &&
		equality.Semantic.DeepEqual(live.OwnerReferences, desired.OwnerReferences) &&
		equality.Semantic.DeepEqual(live.Spec, desired.Spec)
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if got, ok := all[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// LastEditor is the field manager, other than ours, that changed a policy last; empty when there is none.
func LastEditor(p *networkingv1.NetworkPolicy) string {
	var name string
	var at int64
	for i := range p.ManagedFields {
		entry := &p.ManagedFields[i]
		if entry.Manager == FieldManager || entry.Time == nil {
			continue
		}
		if t := entry.Time.Unix(); t >= at {
			name, at = entry.Manager, t
		}
	}
	return name
}
