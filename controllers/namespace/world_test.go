// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

const denyAndDNS = `profile: {defaultDeny: {}, allowDNS: {}}`

// revisionOf is a spec as a revision of a baseline.
func revisionOf(t *testing.T, name, text string) *policy.Revision {
	t.Helper()
	var spec v1alpha1.NetworkBaselineSpec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	revision, _, err := policy.EncodeRevision(name, types.UID("uid-"+name), &spec)
	if err != nil {
		t.Fatal(err)
	}
	r, err := policy.NewRevision(revision, &spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// inForce is a baseline whose spec is in force everywhere.
func inForce(t *testing.T, name, spec string) *policy.Baseline {
	t.Helper()
	r := revisionOf(t, name, spec)
	return &policy.Baseline{Name: name, UID: types.UID("uid-" + name), Version: r.Name, Current: r, Update: r, Admitted: true, Settled: true}
}

// world is a namespace as the API server has it, and an operator that is given what it observes.
type world struct {
	reconciler *Reconciler
	now        time.Time
	baselines  []*policy.Baseline
	live       map[string]*networkingv1.NetworkPolicy
	going      bool
	changed    []string
	events     chan string
	writes     int
	// decision and outcome are those of the last pass.
	decision *policy.Decision
	outcome  outcome
}

func newWorld(baselines ...*policy.Baseline) *world {
	w := &world{now: time.Unix(1000, 0), baselines: baselines, live: map[string]*networkingv1.NetworkPolicy{}}
	w.restart()
	return w
}

// restart makes an operator that remembers nothing.
func (w *world) restart() {
	records := NewRecords(func(baseline string) { w.changed = append(w.changed, baseline) })
	clock := func() time.Time { return w.now }
	records.now = clock
	recorder := events.NewFakeRecorder(1000)
	w.events = recorder.Events
	w.reconciler = &Reconciler{records: records, events: newEventRecorder(recorder), now: clock}
}

// pass is one pass. Writes of the policies named fail for their reasons.
func (w *world) pass(fails map[string]refusal) {
	s := w.observed()
	records := w.reconciler.records
	since, _ := records.begin("shop")
	defer records.end("shop")
	p := w.reconciler.recall(s, since)
	w.decision = policy.Decide(s)
	w.outcome = w.apply(append(w.decision.Plan.Steps, w.decision.Release...), fails)
	w.reconciler.record(context.Background(), p, w.decision, w.outcome)
}

func (w *world) observed() *policy.State {
	s := &policy.State{Namespace: policy.Namespace{Name: "shop", Terminating: w.going}, Baselines: w.baselines}
	for _, name := range slices.Sorted(maps.Keys(w.live)) {
		s.Policies = append(s.Policies, w.live[name])
	}
	return s
}

func (w *world) apply(steps []policy.Step, fails map[string]refusal) outcome {
	out := outcome{left: map[string]bool{}}
	for i := range steps {
		out.left[steps[i].Name] = true
	}
	done := make([]bool, len(steps))
	for i := range steps {
		s := &steps[i]
		if !all(done, s.Needs) {
			continue
		}
		if reason := fails[s.Name]; reason != "" {
			out.failures = append(out.failures, failure{step: *s, err: &writeError{reason, errors.New("refused: " + string(reason))}})
			continue
		}
		w.write(s)
		done[i] = true
		out.done = append(out.done, *s)
		if !s.Transitional {
			delete(out.left, s.Name)
		}
	}
	return out
}

func (w *world) write(s *policy.Step) {
	w.writes++
	there := w.live[s.Name]
	if s.Verb == policy.Delete {
		delete(w.live, s.Name)
		return
	}
	p := s.Want.DeepCopy()
	p.Namespace, p.UID = "shop", types.UID(fmt.Sprintf("uid-%s-%d", s.Name, w.writes))
	if there != nil {
		p.UID, p.DeletionTimestamp, p.Finalizers = there.UID, there.DeletionTimestamp, there.Finalizers
	}
	w.live[s.Name] = p
}

// edit changes a live policy as somebody would.
func (w *world) edit(name string, change func(*networkingv1.NetworkPolicy)) {
	p := w.live[name].DeepCopy()
	change(p)
	w.live[name] = p
}

func opened(p *networkingv1.NetworkPolicy) {
	p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
	p.Spec.PolicyTypes = []networkingv1.PolicyType{"Ingress", "Egress"}
}

func held(p *networkingv1.NetworkPolicy) {
	p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"example.com/hold"}
}

// repairs of a baseline that no status has told.
func (w *world) repairs(baseline string) int64 {
	_, repairs := w.reconciler.records.Of(types.UID("uid-" + baseline))
	return repairs.Count
}

// result of the namespace for a baseline.
func (w *world) result(t *testing.T, baseline string) (result.Result, bool) {
	t.Helper()
	results, _ := w.reconciler.records.Of(types.UID("uid-" + baseline))
	r, ok := results["shop"]
	return r, ok
}
