// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/list"
	"github.com/netbaseline/netbaseline/controllers/namespace"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// view is what is known of a baseline when its status is made.
type view struct {
	results []result.Result // of the namespaces that count, decided from what holds now
	// pending are selected namespaces whose result is missing, or was decided from something else; waiting those of them
	// that are not enforced before the baseline's own revision is admitted.
	pending, waiting int32
	// starting: some of them were not looked at since this process started.
	starting  bool
	protected []string // the names of those that are left alone
	repairs   result.Repairs

	update   string // the revision of the spec
	invalid  error  // why the spec is none
	unstored error  // why it could not be stored
	check    *check // nil when none could be made yet
	warnings []v1alpha1.Problem
	mutating []string // webhooks that may change what is written
	facts    policy.Facts
}

// overrides counts what undoes the baseline, by reason.
func (v *view) overrides() map[string]int {
	out := map[string]int{}
	for i := range v.results {
		for _, o := range v.results[i].Overrides {
			out[o.Reason]++
		}
	}
	return out
}

// outdated is the view when another revision comes into force: what namespaces said of the one before is no result any more.
func (v *view) outdated() *view {
	out := *v
	out.results, out.pending, out.waiting = nil, v.pending+v.waiting, 0
	for _, r := range v.results {
		if r.Selected {
			out.pending++
		} else {
			out.results = append(out.results, r)
		}
	}
	return &out
}

// view gathers what the status is made of. What cannot be found out is told there.
func (r *Reconciler) view(ctx context.Context, b *v1alpha1.NetworkBaseline) (*view, error) {
	v := &view{mutating: r.infrastructure.mutating}
	if v.update, v.invalid = r.revisions.Update(b); v.invalid == nil && b.DeletionTimestamp == nil {
		if _, v.unstored = r.revisions.Save(ctx, b); v.unstored == nil {
			v.check = r.check(ctx, b, v.update)
		}
	}
	namespaces, err := list.Namespaces(ctx, r.client)
	if err != nil {
		return nil, err
	}
	all, own, err := r.observe(ctx, b)
	if err != nil {
		return nil, err
	}
	var version int64
	v.facts, version = r.facts.Current(ctx)
	results, repairs := r.results.Of(b.UID)
	v.repairs = repairs
	var selected []*metav1.PartialObjectMetadata
	for i := range namespaces {
		ns := &namespaces[i]
		known, ok := results[ns.Name]
		if r.count(v, ns, own, all, version, known, ok) {
			selected = append(selected, ns)
		}
	}
	v.warnings = r.infrastructure.warnings(b, selected)
	return v, nil
}

// observe returns all baselines as decisions see them, by name, and this one among them.
func (r *Reconciler) observe(ctx context.Context, b *v1alpha1.NetworkBaseline) (all []*policy.Baseline, own *policy.Baseline, err error) {
	var baselines v1alpha1.NetworkBaselineList
	if err := r.client.List(ctx, &baselines); err != nil {
		return nil, nil, fmt.Errorf("listing baselines: %w", err)
	}
	for i := range baselines.Items {
		observed := r.revisions.Observe(ctx, &baselines.Items[i])
		all = append(all, observed)
		if observed.UID == b.UID {
			own = observed
		}
	}
	if own == nil {
		return nil, nil, errors.New("the cache has not shown the baseline yet")
	}
	policy.SortBaselines(all)
	return all, own, nil
}

// count adds one namespace to the view, and reports whether it is selected.
func (r *Reconciler) count(v *view, ns *metav1.PartialObjectMetadata, own *policy.Baseline, all []*policy.Baseline, facts int64, known result.Result, ok bool) bool {
	at := namespace.NamespaceOf(ns)
	if at.Terminating {
		return false
	}
	phase, selected := own.Phase(at, r.protection)
	if own.Selects(own.Update, at.Name, at.Labels, r.protection) == policy.Protected {
		v.protected = append(v.protected, at.Name)
	}
	current := ok && known.Fingerprint == policy.Fingerprint(at, all, r.protection, facts)
	switch {
	case !selected:
		if ok && (known.Leaving || len(known.Problems) > 0) {
			known.Selected = false
			v.results = append(v.results, known)
		}
	case current && known.Selected:
		v.results = append(v.results, known)
	case phase == policy.Waiting:
		v.waiting++
	default:
		v.pending++
		v.starting = v.starting || !r.results.Looked(at.Name) && !at.Created.After(r.started)
	}
	return selected
}

// terminating are the namespaces that are going.
func (r *Reconciler) terminating(ctx context.Context) (map[string]bool, error) {
	namespaces, err := list.Namespaces(ctx, r.client)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for i := range namespaces {
		if namespaces[i].DeletionTimestamp != nil {
			out[namespaces[i].Name] = true
		}
	}
	return out, nil
}
