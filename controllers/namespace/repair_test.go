// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package namespace

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// Every repair is counted, whatever else happens in the same pass or before the policy is put right.
func TestEveryRepairIsCounted(t *testing.T) {
	remove := func(name string) func(*world) { return func(w *world) { delete(w.live, name) } }
	open := func(name string) func(*world) { return func(w *world) { w.edit(name, opened) } }
	then := func(fails map[string]refusal) func(*world) { return func(w *world) { w.pass(fails) } }
	foreign := func(w *world) {
		w.live["theirs"] = &networkingv1.NetworkPolicy{}
		w.live["theirs"].Name, w.live["theirs"].UID = "theirs", "theirs"
		opened(w.live["theirs"])
	}
	for _, tc := range []struct {
		name string
		do   []func(*world)
		a, b int64
	}{
		{"nothing happened", nil, 0, 0},
		{"changed", []func(*world){open("a-allow-dns")}, 1, 0},
		{"deleted", []func(*world){remove("a-allow-dns")}, 1, 0},
		{"the owner erased", []func(*world){func(w *world) {
			w.edit("a-allow-dns", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil })
		}}, 1, 0},
		{"all at once", []func(*world){remove("a-allow-dns"), open("a-default-deny"), remove("b-default-deny"), open("b-allow-dns")}, 2, 2},
		{"a deny that takes two writes", []func(*world){remove("a-allow-dns"), remove("a-default-deny"), remove("b-allow-dns"), remove("b-default-deny")}, 2, 2},
		{"beside a new policy of others", []func(*world){foreign, open("a-allow-dns")}, 1, 0},
		{"again and again", []func(*world){open("a-allow-dns"), then(nil), open("a-allow-dns"), then(nil), remove("a-allow-dns")}, 3, 0},
		{"while a baseline changes", []func(*world){func(w *world) {
			w.baselines[1].Deleting = true
		}, open("a-allow-dns")}, 1, 0},
		{"while another write is refused", []func(*world){open("a-allow-dns"), remove("b-allow-dns"), then(map[string]refusal{"b-allow-dns": refusalQuota})}, 1, 1},
		{"after a race was lost", []func(*world){open("a-allow-dns"), then(map[string]refusal{"a-allow-dns": refusalConflict})}, 1, 0},
		{"after it was refused", []func(*world){remove("a-allow-dns"), then(map[string]refusal{"a-allow-dns": refusalQuota}), then(map[string]refusal{"a-allow-dns": refusalQuota})}, 1, 0},
		{"after the budget was used up", []func(*world){open("a-allow-dns"), then(map[string]refusal{"a-allow-dns": refusalBudget})}, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(inForce(t, "a", denyAndDNS), inForce(t, "b", denyAndDNS))
			w.pass(nil)
			w.pass(nil)
			if a, b := w.repairs("a"), w.repairs("b"); a+b != 0 {
				t.Fatalf("the first writes of a namespace are counted as %d and %d repairs", a, b)
			}
			for _, do := range tc.do {
				do(w)
			}
			w.pass(nil)
			w.pass(nil)
			if a, b := w.repairs("a"), w.repairs("b"); a != tc.a || b != tc.b {
				t.Errorf("%d and %d repairs, want %d and %d", a, b, tc.a, tc.b)
			}
			if !w.decision.Plan.Empty() {
				t.Errorf("not converged: %+v", w.decision.Plan.Steps)
			}
		})
	}
}

// What a change of the spec, a first refusal or a namespace that arrives makes necessary is no repair.
func TestNoRepair(t *testing.T) {
	dns := map[string]refusal{"a-allow-dns": refusalQuota}
	for _, tc := range []struct {
		name string
		do   func(*testing.T, *world)
	}{
		{"a policy that was refused from the start", func(_ *testing.T, w *world) {
			w.live = map[string]*networkingv1.NetworkPolicy{}
			w.restart()
			w.pass(dns)
			w.pass(dns)
		}},
		{"a new revision", func(t *testing.T, w *world) {
			next := inForce(t, "a", `profile: {defaultDeny: {}, allowDNS: {ports: [{port: 5353}]}, allowSameNamespace: {}}`)
			w.baselines[0] = next
		}},
		{"a new revision that is refused for a while", func(t *testing.T, w *world) {
			w.baselines[0] = inForce(t, "a", `profile: {defaultDeny: {}, allowDNS: {ports: [{port: 5353}]}}`)
			w.pass(dns)
			w.pass(map[string]refusal{"a-allow-dns": refusalConflict})
		}},
		{"a baseline that leaves", func(_ *testing.T, w *world) { w.baselines[0].Deleting = true }},
		{"a baseline that audits", func(_ *testing.T, w *world) {
			w.baselines[0].Mode = "Audit"
			w.edit("a-allow-dns", opened)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(inForce(t, "a", denyAndDNS))
			w.pass(nil)
			w.pass(nil)
			tc.do(t, w)
			w.pass(nil)
			w.pass(nil)
			if got := w.repairs("a"); got != 0 {
				t.Errorf("%d repairs, want none", got)
			}
		})
	}
}

// Right after a start the status says whether the namespace was in sync before: what is wrong then is somebody's doing.
func TestRepairsAfterAStart(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*testing.T, *world)
		want int64
	}{
		{"changed meanwhile", func(_ *testing.T, w *world) { w.edit("a-allow-dns", opened) }, 1},
		{"deleted meanwhile", func(_ *testing.T, w *world) { delete(w.live, "a-allow-dns") }, 1},
		{"a namespace that holds nothing is new", func(_ *testing.T, w *world) { w.live = map[string]*networkingv1.NetworkPolicy{} }, 0},
		{"some namespaces had not been enforced", func(_ *testing.T, w *world) {
			w.baselines[0].Settled = false
			delete(w.live, "a-allow-dns")
		}, 0},
		{"a rollout was under way", func(t *testing.T, w *world) {
			w.baselines[0].Current = revisionOf(t, "a", `profile: {defaultDeny: {}}`)
			delete(w.live, "a-allow-dns")
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(inForce(t, "a", denyAndDNS))
			w.pass(nil)
			tc.do(t, w)
			w.restart()
			w.pass(nil)
			w.pass(nil)
			if got := w.repairs("a"); got != tc.want {
				t.Errorf("%d repairs, want %d", got, tc.want)
			}
		})
	}
}
