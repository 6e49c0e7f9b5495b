// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	admission "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

const (
	// prompt is how long a repair, or a word about a refusal, may take while a fault lasts.
	prompt = 10 * time.Second
	// mostWrites of one namespace in so many seconds are a budget; a hot loop makes a hundred and more each second.
	mostWrites, writesDuring = 60, 6 * time.Second
)

// furnished selects two namespaces with two baselines: profiles by number.
func furnished(ctx context.Context, t *testing.T, one, two int) {
	t.Helper()
	for _, namespace := range w.namespaces[:2] {
		if err := w.move(ctx, namespace, "front"); err != nil {
			t.Fatal(err)
		}
	}
	for name, profile := range map[string]int{"one": one, "two": two} {
		if err := w.apply(ctx, name, spec(profiles[profile], "front")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.settled(ctx); err != nil {
		t.Fatal(err)
	}
}

// short are the first n of some cases when the test is to be short, and all otherwise.
func short[T any](cases []T, n int) []T {
	if testing.Short() {
		return cases[:n]
	}
	return cases
}

// mustHold fails the test when the namespace does not hold what it is about to harm.
func mustHold(t *testing.T, namespace string, names ...string) {
	t.Helper()
	for _, name := range names {
		_ = nameOf(t, namespace, name)
	}
}

// nameOf is the name of a policy, with or without a number behind it.
func nameOf(t *testing.T, namespace, name string) string {
	t.Helper()
	for live := range w.recorder.of(namespace) {
		if number, same := strings.CutPrefix(live, name); same && (number == "" || numbered.MatchString(number)) {
			return live
		}
	}
	t.Fatalf("there is no %s/%s to harm", namespace, name)
	return ""
}

// until waits until something holds, and returns what is missing after a while.
func until(ctx context.Context, holds func() error) error {
	end := time.Now().Add(prompt)
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s later: %w", prompt, err)
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// broken reports a guarantee that was broken while a fault lasted. The episode goes on.
func broken(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestTampered does every kind of harm to a deny and to an allow.
func TestTampered(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 1, 8)
	mustHold(t, w.namespaces[0], "one-default-deny", "one-allow-dns")
	for i, h := range harms {
		for j, name := range []string{"one-default-deny", "one-allow-dns"} {
			if testing.Short() && i%2 != j {
				continue
			}
			check(ctx, t, episode{name: name + " " + h.name, act: func(ctx context.Context) error { return w.harm(ctx, w.namespaces[i%2], name, h) }})
		}
	}
	check(ctx, t, w.harassing(w.namespaces[1], []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}))
}

// TestHeldInDeletion holds policies in deletion by a finalizer, opened or not: what is held is repaired, and another takes
// its place, so that nothing changes when it goes.
func TestHeldInDeletion(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 1, 4) // one of them alone denies
	namespace := w.namespaces[0]
	for i, component := range []string{"one-default-deny", "one-flow-api-egress"} {
		for _, open := range []bool{false, true} {
			if testing.Short() && open != (i == 0) {
				continue
			}
			// What took the place of one that was held may have kept its other name.
			name, want := nameOf(t, namespace, component), allowed(ctx, namespace, w.recorder.of(namespace))
			check(ctx, t, episode{name: fmt.Sprintf("%s held in deletion, opened: %v", name, open), act: func(ctx context.Context) error {
				return w.hold(ctx, namespace, name, open, func() error {
					if _, err := w.recorder.caughtUp(ctx); err != nil {
						return err
					}
					broken(t, until(ctx, func() error { return replaced(ctx, namespace, name, want) }))
					return nil
				})
			}})
		}
	}
}

// replaced returns what a namespace allows, or would allow without the policy that is held, other than it should.
func replaced(ctx context.Context, namespace, name string, want []bool) error {
	held := maps.Clone(w.recorder.of(namespace))
	// Two policies of two baselines may allow the same: the held one goes by its name, whatever has another takes its place.
	for _, when := range []string{"while " + name + " is held in deletion", "once " + name + " is gone"} {
		for i, is := range allowed(ctx, namespace, held) {
			if is != want[i] {
				return fmt.Errorf("NOT REPLACED in %s: %s is allowed: %v, %s", namespace, connections[i], is, when)
			}
		}
		delete(held, name)
	}
	return nil
}

// TestTamperedWhileCreatesAreRefused deletes a policy, whose replacement a quota refuses, and opens another: what nobody
// wants waits for no create.
func TestTamperedWhileCreatesAreRefused(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 1, 8)
	namespace := w.namespaces[0]
	mustHold(t, namespace, "one-allow-same-namespace-egress", "one-allow-dns", "two-default-deny")
	for _, victim := range short([]string{"one-allow-dns", "two-default-deny"}, 1) {
		want := allowed(ctx, namespace, w.recorder.of(namespace))
		check(ctx, t, episode{
			name: "a quota refuses a deleted policy, and " + victim + " is opened", fault: w.quota(0, 0),
			act: func(ctx context.Context) error {
				if err := w.harm(ctx, namespace, "one-allow-same-namespace-egress", harms[0]); err != nil {
					return err
				}
				// The operator meets the refusal first.
				wait(ctx, time.Second)
				if _, there := w.recorder.of(namespace)["one-allow-same-namespace-egress"]; there {
					return errors.New("the quota refused nothing")
				}
				if err := w.harm(ctx, namespace, victim, harms[1]); err != nil {
					return err
				}
				if _, err := w.recorder.caughtUp(ctx); err != nil {
					return err
				}
				broken(t, until(ctx, func() error {
					for i, open := range allowed(ctx, namespace, w.recorder.of(namespace)) {
						if open && !want[i] {
							return fmt.Errorf("OPENING in %s: %s is still allowed, because somebody opened %s and a create of another policy is refused", namespace, connections[i], victim)
						}
					}
					return nil
				}))
				return nil
			},
		})
	}
}

// TestRefusedInTheirWords lets a webhook refuse some policies with each code: the baseline says so, in its words.
func TestRefusedInTheirWords(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 1, 4)
	for i, code := range short([]int32{http.StatusConflict, http.StatusNotFound, http.StatusForbidden}, 2) {
		profile := 9 + i%2 // each time another
		check(ctx, t, episode{
			name: fmt.Sprintf("a webhook refuses writes of flows with %d", code), fault: w.refusingBy(code, parts[5], 0),
			act: func(ctx context.Context) error {
				if err := w.apply(ctx, "one", spec(profiles[profile], "front")); err != nil {
					return err
				}
				broken(t, until(ctx, func() error { return refusalTold(ctx, "one", code) }))
				return nil
			},
		})
	}
}

func refusalTold(ctx context.Context, name string, code int32) error {
	b := &v1alpha1.NetworkBaseline{}
	if err := w.client.Get(ctx, client.ObjectKey{Name: name}, b); err != nil {
		return err
	}
	ready := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady)
	said := slices.ContainsFunc(b.Status.Problems, func(p v1alpha1.Problem) bool { return strings.Contains(p.Message, webhookWords) })
	if ready == nil || ready.Status != "False" || !said {
		return fmt.Errorf("SILENCE: a webhook refuses writes with %d, and baseline %s says %+v and %+v", code, name, ready, b.Status.Problems)
	}
	return nil
}

// TestOneUpdateRefused changes two policies of different pods and lets a webhook refuse the update of one for good.
func TestOneUpdateRefused(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 9, 6)
	for _, profile := range []int{10, 9} {
		check(ctx, t, episode{
			name:  fmt.Sprintf("profile %d, and updates refused", profile),
			fault: w.refusingBy(http.StatusForbidden, updatesOf("one-flow-one"), 3*time.Second),
			act:   func(ctx context.Context) error { return w.apply(ctx, "one", spec(profiles[profile], "front")) },
		})
	}
}

func updatesOf(name string) part {
	return part{"updates of " + name, func(r *admission.AdmissionRequest) bool {
		return r.Operation == admission.Update && strings.HasPrefix(r.Name, name)
	}}
}

// TestAltered lets a webhook alter a label of all that is written, always to the same value or each time to another: no
// hot loop, and no Ready.
func TestAltered(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 1, 4)
	for i, fickle := range short([]bool{false, true}, 1) {
		check(ctx, t, episode{name: fmt.Sprintf("a webhook alters a label, each time anew: %v", fickle), fault: w.altering(fickle, 0), act: func(ctx context.Context) error {
			before := w.proxy.counts()
			if err := w.apply(ctx, "one", spec(profiles[i*3], "front")); err != nil {
				return err
			}
			wait(ctx, writesDuring)
			for namespace, writes := range w.proxy.counts() {
				if writes -= before[namespace]; writes > mostWrites {
					broken(t, fmt.Errorf("HOT LOOP: %d writes in %s in %s, because a webhook alters what is written", writes, namespace, writesDuring))
				}
			}
			broken(t, notReady(ctx, "one"))
			return nil
		}})
	}
}

func notReady(ctx context.Context, name string) error {
	b := &v1alpha1.NetworkBaseline{}
	if err := w.client.Get(ctx, client.ObjectKey{Name: name}, b); err != nil {
		return err
	}
	if b.Status.ObservedGeneration == b.Generation && meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionReady) {
		return errors.New("LIE: baseline " + name + " says Ready=True while every policy that it wrote was altered")
	}
	return nil
}

// TestPreflightFails lets what a preflight looks for vanish after it was there: nothing in force is loosened, nothing
// harmed stays so, and no deny comes without its allows, whatever restarts.
func TestPreflightFails(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 0, 7) // the first needs DNS and an ingress controller, the second needs nothing
	for _, restart := range short([]bool{true, false}, 1) {
		fault := w.unadmitted(restart, 3*time.Second)
		check(ctx, t, episode{name: fmt.Sprintf("a namespace is selected while the preflight fails, restart: %v", restart), fault: fault,
			act: func(ctx context.Context) error { return w.move(ctx, w.namespaces[2], "front") }})
		check(ctx, t, episode{name: "it is deselected", act: func(ctx context.Context) error { return w.move(ctx, w.namespaces[2], "") }})
		for _, all := range short([]bool{true, false}, 1) {
			check(ctx, t, episode{name: fmt.Sprintf("policies are deleted while the preflight fails, all: %v, restart: %v", all, restart), fault: w.unadmitted(restart, 0),
				act: func(ctx context.Context) error { return restoredUnadmitted(ctx, t, w.namespaces[0], all) }})
		}
	}
}

// restoredUnadmitted deletes policies of the first baseline, or of both, and says what is not there again in time.
func restoredUnadmitted(ctx context.Context, t *testing.T, namespace string, all bool) error {
	t.Helper()
	for _, p := range w.ours(namespace) {
		if all || strings.HasPrefix(p.Name, "one-") {
			if err := w.harm(ctx, namespace, p.Name, harms[0]); err != nil {
				return err
			}
		}
	}
	broken(t, until(ctx, func() error {
		var baselines v1alpha1.NetworkBaselineList
		if err := w.client.List(ctx, &baselines); err != nil {
			return err
		}
		_, amiss, err := w.inPlace(ctx, baselines.Items)
		for _, what := range amiss {
			return fmt.Errorf("NOT RESTORED while the preflight fails: %s", what)
		}
		return err
	}))
	return nil
}

// TestSlowStart restarts the operator with slow lists, with and without what the preflight looks for: what one baseline's
// block takes out of another's flows stays out.
func TestSlowStart(t *testing.T) {
	ctx := begin(t, 1)
	furnished(ctx, t, 13, 12)
	still := func(context.Context) error { return nil }
	vanished := w.unadmitted(true, 3*time.Second)
	for _, e := range short([]episode{
		{name: "slow lists at the start while the preflight fails", act: still, fault: func(ctx context.Context, asked func() error) error {
			return vanished(ctx, func() error { return w.slowStart(2*time.Second)(ctx, asked) })
		}},
		{name: "slow lists at the start", act: still, fault: w.slowStart(2 * time.Second)},
		{name: "a restart while the preflight fails", act: still, fault: vanished},
	}, 1) {
		n, err := w.settled(ctx)
		if err != nil {
			t.Fatal(err)
		}
		check(ctx, t, e)
		var written []string
		for _, c := range w.recorder.since(n) {
			written = append(written, c.verb+" "+c.namespace+"/"+c.name)
		}
		if written != nil {
			t.Errorf("NOT QUIET: %s: nothing changed, and the operator wrote: %s", e.name, strings.Join(written, ", "))
		}
	}
}
