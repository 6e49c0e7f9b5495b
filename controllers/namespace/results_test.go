// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/controllers/policy"
	"github.com/netbaseline/netbaseline/controllers/result"
)

// inShort is a result in a few words.
func inShort(r result.Result) string {
	out := fmt.Sprintf("%s %d/%d", r.State, r.InSync, r.Desired)
	if !r.Selected {
		out += " unselected"
	}
	if r.Leaving {
		out += " leaving"
	}
	if r.Kept > 0 {
		out += fmt.Sprintf(" kept %d", r.Kept)
	}
	if r.Held != "" {
		out += " held"
	}
	if r.For != (policy.Wait{}) {
		out += fmt.Sprintf(" for %+v", r.For)
	}
	for _, f := range slices.Concat(r.Failures, r.Problems, r.Overrides) {
		out += " " + f.Reason + ":" + f.Policy
	}
	return out
}

func TestResults(t *testing.T) {
	audits := func(w *world) { w.baselines[0].Mode = "Audit" }
	leaves := func(w *world) { w.baselines[0].Deleting = true }
	retains := func(w *world) { w.baselines[0].Deleting, w.baselines[0].DeletionPolicy = true, "Retain" }
	unadmitted := func(w *world) { w.baselines[0].Admitted, w.baselines[0].Current = false, nil }
	empty := func(w *world) { w.live = map[string]*networkingv1.NetworkPolicy{} }
	fails := func(name string, reason refusal) map[string]refusal { return map[string]refusal{name: reason} }
	edit := func(name string, change func(*networkingv1.NetworkPolicy)) func(*world) {
		return func(w *world) { w.edit(name, change) }
	}
	theirs := func(name string) func(*world) {
		return func(w *world) {
			p := &networkingv1.NetworkPolicy{}
			p.Namespace, p.Name, p.UID = "shop", name, "theirs"
			w.live[name] = p
		}
	}
	for _, tc := range []struct {
		name  string
		do    []func(*world)
		fails map[string]refusal
		a, b  string // "" for no result
	}{
		{"in place", nil, nil, "inSync 2/2", "inSync 2/2"},
		{"created", []func(*world){empty}, nil, "inSync 2/2", "inSync 2/2"},
		{"an allow is refused: it alone is not in sync", []func(*world){edit("a-allow-dns", opened)}, fails("a-allow-dns", refusalQuota), "failed 1/2 WriteRefused:a-allow-dns", "inSync 2/2"},
		{"an allow is refused from the start: the deny carries for it", []func(*world){empty, func(w *world) { w.baselines[1].Deleting = true }}, fails("a-allow-dns", refusalQuota), "failed 0/2 WriteRefused:a-allow-dns", ""},
		{"altered", []func(*world){edit("a-allow-dns", opened)}, fails("a-allow-dns", refusalAltered), "failed 1/2 WriteAltered:a-allow-dns", "inSync 2/2"},
		{"beyond the budget", []func(*world){edit("a-allow-dns", opened)}, fails("a-allow-dns", refusalBudget), "failed 1/2 WriteBudgetExceeded:a-allow-dns", "inSync 2/2"},
		{"a race was lost", []func(*world){edit("a-allow-dns", opened)}, fails("a-allow-dns", refusalConflict), "pending 1/2", "inSync 2/2"},
		{"the policy is going", []func(*world){edit("a-allow-dns", opened)}, fails("a-allow-dns", refusalGone), "pending 1/2", "inSync 2/2"},
		{"leaves, and is done", []func(*world){leaves}, nil, "", "inSync 2/2"},
		{"leaves, and a delete is refused", []func(*world){leaves}, fails("a-allow-dns", refusalAdmission), "failed 0/0 unselected leaving WriteRefused:a-allow-dns", "inSync 2/2"},
		{"leaves, and lost a race", []func(*world){leaves}, fails("a-allow-dns", refusalConflict), "pending 0/0 unselected leaving", "inSync 2/2"},
		{"leaves, and one is held in deletion", []func(*world){edit("a-allow-dns", held), leaves}, nil, "inSync 0/0 unselected PolicyTerminating:a-allow-dns", "inSync 2/2"},
		{"retained", []func(*world){retains}, nil, "", "inSync 2/2"},
		{"retained, and a release is refused", []func(*world){retains}, fails("a-allow-dns", refusalAdmission), "failed 0/0 unselected leaving WriteRefused:a-allow-dns", "inSync 2/2"},
		{"audited: what is in force counts", []func(*world){audits}, nil, "inSync 2/2 kept 2", "inSync 2/2"},
		{"audited, and changed", []func(*world){audits, edit("a-allow-dns", opened)}, nil, "pending 1/2 kept 2", "inSync 2/2 OpenToEveryone:a-allow-dns"},
		{"not admitted: the other waits too, but is not let go", []func(*world){unadmitted, func(w *world) { delete(w.live, "a-allow-dns"); delete(w.live, "a-default-deny") }}, nil,
			"waiting 0/0 for {Admission:true Baseline: Revision:}", "inSync 2/2"},
		{"not admitted, in a namespace that holds nothing", []func(*world){unadmitted, empty, func(w *world) { w.baselines[1].Settled = false; w.restart() }}, nil,
			"waiting 0/0 for {Admission:true Baseline: Revision:}", "waiting 0/0 for {Admission:false Baseline:a Revision:}"},
		{"a lost revision", []func(*world){func(w *world) { w.baselines[0].Lost = "a-1234" }}, nil, "waiting 0/0 kept 2 for {Admission:false Baseline: Revision:a-1234}", "inSync 2/2"},
		{"a name is taken: ours has the next one, and is in sync", []func(*world){empty, theirs("a-allow-dns")}, nil, "inSync 2/2 NameTaken:a-allow-dns", "inSync 2/2"},
		{"held in deletion: a successor is there", []func(*world){edit("a-allow-dns", held)}, nil, "inSync 2/2 PolicyTerminating:a-allow-dns", "inSync 2/2"},
		{"somebody opens", []func(*world){theirs("theirs"), edit("theirs", opened)}, nil, "inSync 2/2 OpenToEveryone:theirs", "inSync 2/2 OpenToEveryone:theirs"},
		{"the namespace is going", []func(*world){func(w *world) { w.going = true }}, nil, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(inForce(t, "a", denyAndDNS), inForce(t, "b", denyAndDNS))
			w.pass(nil)
			w.pass(nil)
			for _, do := range tc.do {
				do(w)
			}
			w.pass(tc.fails)
			for baseline, want := range map[string]string{"a": tc.a, "b": tc.b} {
				got := ""
				if r, ok := w.result(t, baseline); ok {
					got = inShort(r)
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", baseline, got, want)
				}
			}
		})
	}
}

// A baseline with a block that consists of exceptions in policies of others cannot be retained, and says so.
func TestResultOfAHeldRetention(t *testing.T) {
	w := newWorld(inForce(t, "denies", `{profile: {defaultDeny: {}}, flows: [{name: out, from: {podSelector: {}}, to: {cidr: 0.0.0.0/0}}]}`),
		inForce(t, "platform", `profile: {blockMetadata: {}}`))
	w.pass(nil)
	w.baselines[1].Deleting, w.baselines[1].DeletionPolicy = true, "Retain"
	w.pass(nil)
	r, ok := w.result(t, "platform")
	if !ok || !r.Leaving || !strings.Contains(r.Held, "deletionPolicy: Delete") {
		t.Errorf("got %+v, want that it is held", r)
	}
}

// A result is as old as what it was decided from.
func TestResultsCarryTheFingerprint(t *testing.T) {
	a := inForce(t, "a", denyAndDNS)
	s := &policy.State{Namespace: policy.Namespace{Name: "shop"}, Baselines: []*policy.Baseline{a}, FactsVersion: 7}
	d := policy.Decide(s)
	got := results(s, d, outcome{})
	if len(got) != 1 || got[0].Fingerprint != policy.Fingerprint(s.Namespace, s.Baselines, nil, 7) || got[0].UID != "uid-a" || got[0].Baseline != "a" {
		t.Errorf("got %+v", got)
	}
}

// An answer that is not what was asked for is a failure, told with the field.
func TestJudge(t *testing.T) {
	w := newWorld(inForce(t, "a", denyAndDNS))
	w.pass(nil)
	want := w.decision.Wanted.Policies[1].NetworkPolicy
	if want.Name != "a-default-deny" {
		t.Fatalf("judging %s", want.Name)
	}
	step := &policy.Step{Verb: policy.Update, Name: want.Name, Want: want}
	for _, tc := range []struct {
		name   string
		change func(*networkingv1.NetworkPolicy)
		field  string
	}{
		{"as written", func(*networkingv1.NetworkPolicy) {}, ""},
		{"what is not ours", func(p *networkingv1.NetworkPolicy) {
			p.Labels["team"], p.Annotations["note"], p.Finalizers = "blue", "hello", []string{"example.com/x"}
		}, ""},
		{"a label", func(p *networkingv1.NetworkPolicy) { p.Labels["netbaseline.io/component"] = "other" }, "metadata.labels[netbaseline.io/component]"},
		{"a label gone", func(p *networkingv1.NetworkPolicy) { delete(p.Labels, "app.kubernetes.io/managed-by") }, "metadata.labels[app.kubernetes.io/managed-by]"},
		{"the description", func(p *networkingv1.NetworkPolicy) { p.Annotations["netbaseline.io/description"] = "" }, "metadata.annotations[netbaseline.io/description]"},
		{"the owner", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences[0].UID = types.UID("other") }, "metadata.ownerReferences"},
		{"the pods", func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector.MatchLabels = map[string]string{"a": "b"} }, "spec.podSelector"},
		{"the directions", func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = p.Spec.PolicyTypes[:1] }, "spec.policyTypes"},
		{"the egress rules", func(p *networkingv1.NetworkPolicy) { p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}} }, "spec.egress"},
		{"the ingress rules", func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} }, "spec.ingress"},
	} {
		answer := want.DeepCopy()
		tc.change(answer)
		err := (&writer{}).judge("shop", step, answer, nil)
		switch {
		case tc.field == "" && err == nil:
		case err == nil, err.reason != "Altered", !strings.Contains(err.Error(), " "+tc.field+" "):
			t.Errorf("%s: got %v, want that %s was altered", tc.name, err, tc.field)
		}
	}
	if err := (&writer{}).judge("shop", &policy.Step{Verb: policy.Delete, Name: "a"}, want, nil); err != nil {
		t.Errorf("a delete: %v", err)
	}
	if err := (&writer{}).judge("shop", step, nil, errors.New("connection refused")); err == nil || err.reason != "Unavailable" {
		t.Errorf("no answer: %v", err)
	}
}
