// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

// Package namespace makes one namespace hold exactly the policies that its baselines ask for: observe, decide, apply, record.
package namespace

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/netbaseline/netbaseline/controllers/facts"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/revision"
)

// staleDelay is how long to let the cache catch up with the winner of a race.
const staleDelay = 50 * time.Millisecond

// Reconciler converges namespaces.
type Reconciler struct {
	client     client.Client
	protection policy.Protection
	facts      *facts.Tracker
	revisions  *revision.Store
	memo       *policy.Memo
	records    *Records
	writer     *writer
	events     *eventRecorder
	now        func() time.Time
}

// New returns a reconciler. Its results are found in the records.
func New(c client.Client, protection policy.Protection, tracker *facts.Tracker, revisions *revision.Store, records *Records, recorder events.EventRecorder) *Reconciler {
	return &Reconciler{
		client: c, protection: protection, facts: tracker, revisions: revisions, records: records,
		memo:   &policy.Memo{Share: shared.share},
		writer: &writer{client.WithFieldOwner(c, policy.FieldManager), records},
		events: newEventRecorder(recorder),
		now:    time.Now,
	}
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=list;watch;create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// The permission by which config/guard knows the operator. No API has this verb.
// +kubebuilder:rbac:groups=netbaseline.io,resources=networkbaselines,verbs=manage-generated

// Reconcile converges one namespace.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	since, wait := r.records.begin(req.Name)
	if wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	defer r.records.end(req.Name)
	state, err := r.observe(ctx, req.Name)
	if err != nil {
		r.records.wokenAt(req.Name, since)
		return reconcile.Result{}, fmt.Errorf("observing namespace %s: %w", req.Name, err)
	}
	if state == nil {
		r.records.forget(req.Name)
		return reconcile.Result{}, nil
	}
	pass := r.recall(state, since)
	decision := policy.Decide(state)
	outcome := r.writer.apply(ctx, req.Name, append(decision.Plan.Steps, decision.Release...))
	return r.record(ctx, pass, decision, outcome), nil
}
