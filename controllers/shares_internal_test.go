// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/policy"
)

var policiesResource = schema.GroupResource{Group: "networking.k8s.io", Resource: "networkpolicies"}

// baselineNamed wants a deny and allow-dns.
func baselineNamed(name string) *v1alpha1.NetworkBaseline {
	b := &v1alpha1.NetworkBaseline{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Generation: 3}}
	b.Spec.Profile.DefaultDeny, b.Spec.Profile.AllowDNS = &v1alpha1.DefaultDeny{}, &v1alpha1.AllowDNS{}
	return b
}

// pass is one pass over namespace shop.
type pass struct {
	enforcing []*v1alpha1.NetworkBaseline
	others    []*v1alpha1.NetworkBaseline
	live      []*networkingv1.NetworkPolicy
	// fails says with what a step fails; everything behind its phase is left.
	fails map[string]error
}

func (p pass) shares() []share {
	s := &situation{namespace: "shop", enforcing: p.enforcing, byName: map[string]*v1alpha1.NetworkBaseline{}}
	owners := policy.Ownership{Owners: map[types.UID]string{}}
	for _, b := range append(append([]*v1alpha1.NetworkBaseline{}, p.enforcing...), p.others...) {
		s.byName[b.Name] = b
		owners.Owners[b.UID] = b.Name
	}
	rendered := policy.Render(policy.Input{Baselines: p.enforcing})
	live := owners.Sort(p.live, rendered)
	plan := policy.NewPlan(rendered, live)
	var result applied
	for _, phase := range plan.Phases {
		for _, step := range phase {
			if err := p.fails[step.Name]; err != nil {
				result.failures = append(result.failures, failure{step, err})
			} else {
				result.done = append(result.done, step)
			}
		}
		if len(result.failures) > 0 {
			break
		}
	}
	return sharesOf(s, rendered, live, plan, result)
}

// renderedFor is what the baseline has in the namespace when it is in sync.
func renderedFor(b *v1alpha1.NetworkBaseline) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, p := range policy.Render(policy.Input{Baselines: []*v1alpha1.NetworkBaseline{b}}).Policies {
		live := p.DeepCopy()
		live.Namespace, live.UID = "shop", types.UID("uid-"+p.Name)
		out = append(out, live)
	}
	return out
}

func TestSharesOf(t *testing.T) {
	a, b := baselineNamed("a"), baselineNamed("b")
	held := renderedFor(a)
	held[0].DeletionTimestamp, held[0].Finalizers = &somewhen, []string{"example.com/hold"}
	deleted := baselineNamed("a")
	deleted.DeletionTimestamp = &somewhen
	theirs := func(name string) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "theirs"}}
	}
	quota := errors.New("exceeded quota")
	going := apierrors.NewForbidden(policiesResource, "a-allow-dns", errors.New("namespace shop is going"))
	going.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	behind := fmt.Errorf("updating: %w", apierrors.NewConflict(policiesResource, "a-allow-dns", errors.New("changed")))
	there := fmt.Errorf("creating: %w", apierrors.NewAlreadyExists(policiesResource, "a-allow-dns"))
	of := func(b *v1alpha1.NetworkBaseline, s state, inSync int32, problems ...v1alpha1.Problem) share {
		return share{Baseline: b.Name, UID: b.UID, Generation: 3, State: s, Desired: 2, InSync: inSync, Problems: problems}
	}
	leaving := func(b *v1alpha1.NetworkBaseline, s state, problems ...v1alpha1.Problem) share {
		return share{Baseline: b.Name, UID: b.UID, Generation: 3, State: s, Leaving: true, Problems: problems}
	}

	for _, test := range []struct {
		name string
		pass pass
		want []share
	}{
		{"nobody's namespace", pass{}, nil},
		{"created", pass{enforcing: []*v1alpha1.NetworkBaseline{a}}, []share{of(a, stateInSync, 2)}},
		{"in place already", pass{enforcing: []*v1alpha1.NetworkBaseline{a}, live: renderedFor(a)}, []share{of(a, stateInSync, 2)}},
		{"one of two created before", pass{enforcing: []*v1alpha1.NetworkBaseline{a, b}, live: renderedFor(b)},
			[]share{of(a, stateInSync, 2), of(b, stateInSync, 2)}},
		{"refused: the deny carries still, and so is not what it should be",
			pass{enforcing: []*v1alpha1.NetworkBaseline{a}, fails: map[string]error{"a-allow-dns": quota}},
			[]share{of(a, stateFailed, 0, problem("shop", "a-allow-dns", "WriteRefused", "exceeded quota"))}},
		{"refused for one baseline: the other is in place, and waits, because steps of its own may be left",
			pass{enforcing: []*v1alpha1.NetworkBaseline{a, b}, live: renderedFor(b), fails: map[string]error{"a-allow-dns": quota}},
			[]share{of(a, stateFailed, 1, problem("shop", "a-allow-dns", "WriteRefused", "exceeded quota")), of(b, statePending, 2)}},
		{"lost a race to a later version", pass{enforcing: []*v1alpha1.NetworkBaseline{a}, fails: map[string]error{"a-allow-dns": behind}}, []share{of(a, statePending, 0)}},
		{"lost a race to another creator", pass{enforcing: []*v1alpha1.NetworkBaseline{a}, fails: map[string]error{"a-allow-dns": there}}, []share{of(a, statePending, 0)}},
		{"the namespace is going", pass{enforcing: []*v1alpha1.NetworkBaseline{a}, fails: map[string]error{"a-allow-dns": going}}, []share{of(a, statePending, 0)}},
		{"somebody's policy has the name of the allow", pass{enforcing: []*v1alpha1.NetworkBaseline{a}, live: []*networkingv1.NetworkPolicy{theirs("a-allow-dns")}},
			[]share{of(a, stateConflicted, 1, problem("shop", "a-allow-dns", "NameConflict",
				"a NetworkPolicy of this name exists that netbaseline did not create, and is left alone: rename or delete it"))}},
		{"somebody's policy has the name of the deny: the allow is withheld", pass{enforcing: []*v1alpha1.NetworkBaseline{a}, live: []*networkingv1.NetworkPolicy{theirs("a-default-deny")}},
			[]share{of(a, stateConflicted, 0,
				problem("shop", "a-default-deny", "NameConflict", "a NetworkPolicy of this name exists that netbaseline did not create, and is left alone: rename or delete it"),
				problem("shop", "a-allow-dns", "NameConflict", "not created, because without the default deny, whose name is taken, it would deny all other traffic"))}},
		{"a conflict of one baseline is not the other's", pass{enforcing: []*v1alpha1.NetworkBaseline{a, b}, live: []*networkingv1.NetworkPolicy{theirs("b-allow-dns")}},
			[]share{of(a, stateInSync, 2), of(b, stateConflicted, 1, problem("shop", "b-allow-dns", "NameConflict",
				"a NetworkPolicy of this name exists that netbaseline did not create, and is left alone: rename or delete it"))}},
		{"ours, held in deletion", pass{enforcing: []*v1alpha1.NetworkBaseline{a}, live: held},
			[]share{of(a, stateConflicted, 1, problem("shop", "a-allow-dns", "PolicyTerminating",
				"the policy is being deleted and held by finalizers [example.com/hold]: remove them, and it is created again"))}},
		{"left, and done with", pass{others: []*v1alpha1.NetworkBaseline{a}, live: renderedFor(a)}, nil},
		{"left, and refused", pass{others: []*v1alpha1.NetworkBaseline{a}, live: renderedFor(a), fails: map[string]error{"a-allow-dns": quota}},
			[]share{leaving(a, stateFailed, problem("shop", "a-allow-dns", "WriteRefused", "exceeded quota"))}},
		{"left, and lost a race", pass{others: []*v1alpha1.NetworkBaseline{a}, live: renderedFor(a), fails: map[string]error{"a-allow-dns": behind}},
			[]share{leaving(a, statePending)}},
		{"left by one, kept by the other", pass{enforcing: []*v1alpha1.NetworkBaseline{b}, others: []*v1alpha1.NetworkBaseline{a}, live: append(renderedFor(a), renderedFor(b)...)},
			[]share{of(b, stateInSync, 2)}},
		{"left, and nothing but what is held in deletion is there", pass{others: []*v1alpha1.NetworkBaseline{a}, live: held[:1]}, nil},
		{"deleted, and nothing but what is held in deletion is there", pass{others: []*v1alpha1.NetworkBaseline{deleted}, live: held[:1]},
			[]share{leaving(a, statePending, problem("shop", "a-allow-dns", "PolicyTerminating",
				"the policy is being deleted and held by finalizers [example.com/hold]: remove them, and the baseline goes"))}},
		{"deleted, and more than what is held is there still", pass{others: []*v1alpha1.NetworkBaseline{deleted}, live: held, fails: map[string]error{"a-default-deny": behind}},
			[]share{leaving(a, statePending)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.pass.shares(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("\ngot  %+v\nwant %+v", got, test.want)
			}
		})
	}
}
