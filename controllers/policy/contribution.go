// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Baseline is what decisions read of a NetworkBaseline and its revisions.
type Baseline struct {
	Name    string
	UID     types.UID
	Created time.Time
	// Version differs whenever anything below does.
	Version string

	// The fields of the spec that act at once, and whether the baseline is being deleted.
	Mode           v1alpha1.Mode
	Excluded       []v1alpha1.NamespaceName
	DeletionPolicy v1alpha1.DeletionPolicy
	Deleting       bool

	// Current is the revision in force where Update has not arrived; nil before the first one is in force everywhere.
	Current *Revision
	// Update is the revision of the spec; nil when the spec cannot be compiled.
	Update *Revision
	// Admitted reports whether the preflight has admitted Update, and the rollout has reached every namespace.
	Admitted bool
	// Lost names a revision that is in force and cannot be read.
	Lost string
	// Settled reports whether every namespace that was selected when the status was last written was enforced.
	Settled bool
}

// inForce is the revision that holds now; nil when none was admitted yet.
func (b *Baseline) inForce() *Revision {
	if b.Admitted {
		return b.Update
	}
	return b.Current
}

// Namespace is what decisions read of a namespace.
type Namespace struct {
	Name        string
	Labels      map[string]string
	Created     time.Time
	Terminating bool
}

// Phase is what a baseline is to a namespace.
type Phase string

// The phases.
const (
	// Enforcing: the namespace holds what the revision renders.
	Enforcing Phase = "Enforcing"
	// Waiting: the namespace will be enforced. Nothing is written for the baseline yet.
	Waiting Phase = "Waiting"
	// Auditing: nothing is written and nothing is removed. What is there stays, unrepaired.
	Auditing Phase = "Auditing"
	// Retained: the baseline is being deleted, and its policies stay in force.
	Retained Phase = "Retained"
	// Leaving: the baseline does not select the namespace. Its policies are removed.
	Leaving Phase = "Leaving"
)

// Contribution is what one baseline contributes to a namespace. Rendering, cuts and effect all read the same list.
type Contribution struct {
	*Baseline
	Phase Phase
	// Selected reports whether the namespace counts as one of the baseline's.
	Selected bool
	// Revision is the one in force here, or the one that a baseline which waits for another will be enforced at; nil when
	// there is none.
	Revision *Revision
	// For is what a waiting baseline waits for.
	For Wait
}

// Wait is why a namespace waits. At most one of its fields is set.
type Wait struct {
	// Admission: the baseline's own revision has not been admitted.
	Admission bool
	// Baseline names another baseline that selects the namespace and has not been admitted.
	Baseline string
	// Revision names a revision that is in force and cannot be read.
	Revision string
}

// Contributions returns what each baseline is to the namespace, by name. enforced reports whether a baseline is in force
// there already, although another one that has not been admitted selects the namespace too.
func Contributions(ns Namespace, baselines []*Baseline, protection Protection, enforced func(b *Baseline, since time.Time) bool) []Contribution {
	sorted := slices.SortedFunc(slices.Values(baselines), func(a, b *Baseline) int { return cmp.Compare(a.Name, b.Name) })
	out := make([]Contribution, 0, len(sorted))
	var waitedFor *Baseline
	for _, b := range sorted {
		c := contribution(ns, b, protection)
		// The allows of a revision that cannot be read cannot come either.
		if lacks := c.Selected && c.For != (Wait{}); lacks && (waitedFor == nil || b.Created.Before(waitedFor.Created)) {
			waitedFor = b
		}
		out = append(out, c)
	}
	if waitedFor == nil {
		return out
	}
	// One baseline's deny without another's allows would cut traffic. Where it is in force already, it stays.
	for i := range out {
		if c := &out[i]; c.Phase == Enforcing && !enforced(c.Baseline, waitedFor.Created) {
			// It may be in force all the same, where it consists of cuts in the policies of others and has none of its own:
			// its revision stays, so that these stay too.
			c.Phase, c.For = Waiting, Wait{Baseline: waitedFor.Name}
		}
	}
	return out
}

func contribution(ns Namespace, b *Baseline, protection Protection) Contribution {
	c := Contribution{Baseline: b, Phase: Leaving}
	selects := func(r *Revision) bool { return b.Selects(r, ns.Name, ns.Labels, protection) == Selected }
	inForce := b.inForce()
	here := inForce != nil && selects(inForce)
	if here {
		c.Revision = inForce
	}
	switch {
	case b.Deleting && b.DeletionPolicy == v1alpha1.DeletionRetain:
		c.Phase = Retained
	case b.Deleting:
		c.Revision = nil
	case b.Mode == v1alpha1.ModeAudit:
		c.Phase, c.Selected = Auditing, here || selects(b.Update)
	case b.Lost != "":
		c.Phase, c.Selected, c.For = Waiting, selects(b.Update), Wait{Revision: b.Lost}
	case here:
		c.Phase, c.Selected = Enforcing, true
	case selects(b.Update):
		c.Phase, c.Selected, c.For = Waiting, true, Wait{Admission: true}
	}
	return c
}

// Selects says what a revision of the baseline is to a namespace with these labels of its own.
func (b *Baseline) Selects(r *Revision, name string, own map[string]string, protection Protection) Selection {
	if r == nil {
		return NotSelected
	}
	return Selector{r.selector, b.Excluded, r.Spec.IncludedProtectedNamespaces, protection}.Select(name, own)
}

// Phase says what the baseline is to a namespace, and whether it counts there, as far as that does not depend on others.
func (b *Baseline) Phase(ns Namespace, protection Protection) (phase Phase, selected bool) {
	c := contribution(ns, b, protection)
	return c.Phase, c.Selected
}

// Fingerprint differs when anything differs that the contributions to a namespace of those baselines are made of that select
// it: exactly these wake a namespace that holds none of their policies. It does not cover what is live in the namespace, of
// which a watch tells. The baselines are sorted by name.
func Fingerprint(ns Namespace, baselines []*Baseline, protection Protection, facts int64) string {
	var out strings.Builder
	out.WriteString(strconv.FormatInt(facts, 10))
	crosses := false
	for _, b := range baselines {
		if c := contribution(ns, b, protection); c.Selected {
			out.WriteByte(' ')
			out.WriteString(string(b.UID))
			out.WriteByte(' ')
			out.WriteString(b.Version)
			crosses = crosses || c.Revision != nil && c.Revision.crosses
		}
	}
	if crosses {
		out.WriteByte(' ')
		out.WriteString(labels.Set(ns.Labels).String())
	}
	return out.String()
}

// SortBaselines sorts baselines by name.
func SortBaselines(baselines []*Baseline) {
	slices.SortFunc(baselines, func(a, b *Baseline) int { return cmp.Compare(a.Name, b.Name) })
}
