// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
)

// TestJudge breaks each rule of the judge once.
func TestJudge(t *testing.T) {
	ctx := t.Context()
	open := func(name string) *networkingv1.NetworkPolicy {
		p := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}}
		p.Name, p.Namespace, p.UID = name, "n", "u"
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
		return p
	}
	shut := func(name string) *networkingv1.NetworkPolicy {
		p := open(name)
		p.Spec.Ingress = nil
		return p
	}
	now := time.Now()
	for _, c := range []struct {
		name          string
		before, after state
		writes        []change
		somebody      []int64
		want          string
	}{
		{name: "a bare deny between two open states", before: state{}, after: state{"d": shut("d"), "a": open("a")}, want: "GAP",
			writes: []change{{name: "d", is: shut("d"), revision: 1}, {name: "a", is: open("a"), revision: 2}}},
		{name: "the allow first", before: state{}, after: state{"d": shut("d"), "a": open("a")},
			writes: []change{{name: "a", is: open("a"), revision: 1}, {name: "d", is: shut("d"), revision: 2}}},
		{name: "a deny replaced by another", before: state{"d": shut("d")}, after: state{"e": shut("e")}, want: "OPENING",
			writes: []change{{name: "d", was: shut("d"), revision: 1}, {name: "e", is: shut("e"), revision: 2}}},
		{name: "a carrier that carries too much", before: state{"d": shut("d")}, after: state{"d": shut("d")}, want: "OPENING",
			writes: []change{{name: "d", was: shut("d"), is: open("d"), revision: 1}, {name: "d", was: open("d"), is: shut("d"), revision: 2}}},
		{name: "somebody opens, and it is repaired", before: state{"d": shut("d")}, after: state{"d": shut("d")}, somebody: []int64{1},
			writes: []change{{name: "d", was: shut("d"), is: open("d"), revision: 1}, {name: "d", was: open("d"), is: shut("d"), revision: 2}}},
		{name: "somebody opens, and the repair carries it", before: state{"d": shut("d")}, after: state{"d": shut("d")}, somebody: []int64{1}, want: "OPENING",
			writes: []change{{name: "d", was: shut("d"), is: open("d"), revision: 1}, {name: "d", was: open("d"), is: open("d"), revision: 2}, {name: "d", was: open("d"), is: shut("d"), revision: 3}}},
		{name: "somebody opens, and another policy is opened meanwhile", before: state{"d": shut("d")}, after: state{"d": shut("d")}, somebody: []int64{1}, want: "OPENING",
			writes: []change{{name: "d", was: shut("d"), is: open("d"), revision: 1}, {name: "x", is: open("x"), revision: 2}, {name: "d", was: open("d"), is: shut("d"), revision: 3}, {name: "x", was: open("x"), revision: 4}}},
		{name: "somebody deletes an allow, long before the operator's next write", before: state{"d": shut("d"), "a": open("a")}, after: state{"d": shut("d"), "a": open("a")}, somebody: []int64{1},
			writes: []change{{name: "a", was: open("a"), revision: 1}, {name: "a", is: open("a"), revision: 2, at: now.Add(time.Hour)}}},
		{name: "somebody deletes the deny, and the operator deletes what is left", before: state{"d": shut("d"), "e": shut("e")}, after: state{"d": shut("d"), "e": shut("e")}, somebody: []int64{1}, want: "OPENING",
			writes: []change{{name: "d", was: shut("d"), revision: 1}, {name: "e", was: shut("e"), revision: 2, at: now.Add(time.Hour)}, {name: "d", is: shut("d"), revision: 3, at: now.Add(time.Hour)}, {name: "e", is: shut("e"), revision: 4, at: now.Add(time.Hour)}}},
		{name: "somebody opens the deny and deletes the allow, and the deny is repaired first", before: state{"d": shut("d"), "a": open("a")}, after: state{"d": shut("d"), "a": open("a")}, somebody: []int64{1, 2},
			writes: []change{{name: "d", was: shut("d"), is: open("d"), revision: 1}, {name: "a", was: open("a"), revision: 2}, {name: "d", was: open("d"), is: shut("d"), revision: 3, at: now.Add(time.Hour)}, {name: "a", is: open("a"), revision: 4, at: now.Add(time.Hour)}}},
		{name: "somebody opens the deny, and its repair comes after the operator deleted the allow", before: state{"d": shut("d"), "a": open("a")}, after: state{"d": shut("d"), "b": open("b")}, somebody: []int64{1}, want: "GAP",
			writes: []change{{name: "d", was: shut("d"), is: open("d"), revision: 1}, {name: "a", was: open("a"), revision: 2, at: now.Add(time.Hour)}, {name: "d", was: open("d"), is: shut("d"), revision: 3, at: now.Add(time.Hour)}, {name: "b", is: open("b"), revision: 4, at: now.Add(time.Hour)}}},
		{name: "somebody deletes a deny while the operator deletes the other", before: state{"d": shut("d"), "e": shut("e")}, after: state{"d": shut("d")}, somebody: []int64{1},
			writes: []change{{name: "d", was: shut("d"), revision: 1}, {name: "e", was: shut("e"), revision: 2}, {name: "d", is: shut("d"), revision: 3}}},
	} {
		j := &world{recorder: &recorder{now: map[string]state{"n": c.after}}, tamperer: newTamperer()}
		for _, revision := range c.somebody {
			j.tamperer.written[revision] = true
		}
		held := c.before
		for i := range c.writes {
			w := &c.writes[i]
			w.namespace = "n"
			if w.at.IsZero() {
				w.at = now
			}
			next := maps.Clone(held)
			put(next, w.name, w.is)
			w.held, held = next, next
		}
		err := j.judge(ctx, "n", c.before, c.writes)
		if got := fmt.Sprint(err); (err != nil) != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
