// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// writtenPolicy is a policy as the operator left it.
func writtenPolicy(t *testing.T) *networkingv1.NetworkPolicy {
	t.Helper()
	p := sampleRendered().find("a-default-deny")
	if p == nil {
		t.Fatal("a-default-deny is not rendered")
	}
	live := p.DeepCopy()
	live.Namespace, live.UID = "shop", "uid-live"
	live.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager, Operation: metav1.ManagedFieldsOperationUpdate}}
	return live
}

func sampleRendered() *Rendered {
	return Render(Input{Contributions: enforcing(newBaseline("a", v1alpha1.NetworkBaselineSpec{Profile: v1alpha1.Profile{
		DefaultDeny: &v1alpha1.DefaultDeny{}, AllowDNS: &v1alpha1.AllowDNS{},
	}}))})
}

func strip(p *networkingv1.NetworkPolicy) {
	p.Labels, p.Annotations, p.OwnerReferences = nil, nil, nil
}

func TestClassify(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*networkingv1.NetworkPolicy)
		seen   bool
		ours   bool
	}{
		{"as we wrote it", func(*networkingv1.NetworkPolicy) {}, false, true},
		{"our owner and labels under any name", func(p *networkingv1.NetworkPolicy) { p.Name, p.ManagedFields = "a-flow-gone-egress", nil }, false, true},
		{"our owner alone proves nothing", func(p *networkingv1.NetworkPolicy) {
			p.Name, p.Labels, p.ManagedFields = "a-flow-gone-egress", nil, nil
		}, false, false},
		{"our UID under another baseline's name", func(p *networkingv1.NetworkPolicy) {
			p.Name, p.OwnerReferences[0].Name = "other", "b"
		}, false, false},
		{"our UID under another kind", func(p *networkingv1.NetworkPolicy) {
			p.Name, p.OwnerReferences[0].Kind = "other", "ConfigMap"
		}, false, false},
		{"our second name, and labels", func(p *networkingv1.NetworkPolicy) {
			p.Name, p.OwnerReferences, p.ManagedFields = "a-default-deny-2", nil, nil
		}, false, true},
		{"no number", func(p *networkingv1.NetworkPolicy) {
			p.Name, p.OwnerReferences, p.ManagedFields = "a-default-deny-02", nil, nil
		}, false, false},
		{"our owner beside another", func(p *networkingv1.NetworkPolicy) {
			p.Name = "other"
			p.OwnerReferences = append([]metav1.OwnerReference{{UID: "uid-team", Kind: "Team", Name: "team"}}, p.OwnerReferences...)
		}, false, true},
		{"the UID of a baseline that is gone, under a rendered name", func(p *networkingv1.NetworkPolicy) {
			p.OwnerReferences[0].UID = "uid-before"
		}, false, true},
		{"the UID of a baseline that is gone, under another name", func(p *networkingv1.NetworkPolicy) {
			p.Name, p.OwnerReferences[0].UID = "a-old", "uid-before"
		}, false, false},
		{"our labels under a rendered name: retained", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences, p.ManagedFields = nil, nil }, false, true},
		{"our labels under another name", func(p *networkingv1.NetworkPolicy) { p.Name, p.OwnerReferences = "a-old", nil }, false, false},
		{"half of our labels under a rendered name", func(p *networkingv1.NetworkPolicy) {
			p.OwnerReferences, p.ManagedFields = nil, nil
			delete(p.Labels, v1alpha1.BaselineLabel)
		}, false, false},
		{"managed by another tool under a rendered name", func(p *networkingv1.NetworkPolicy) {
			p.OwnerReferences, p.ManagedFields = nil, nil
			p.Labels[v1alpha1.ManagedByLabel] = "Helm"
		}, false, false},
		{"stripped, our field manager remains", strip, false, true},
		{"stripped, our field manager remains, another name", func(p *networkingv1.NetworkPolicy) { strip(p); p.Name = "a-old" }, false, false},
		{"stripped, seen as ours", func(p *networkingv1.NetworkPolicy) { strip(p); p.ManagedFields = nil }, true, true},
		{"stripped, seen as ours, another name", func(p *networkingv1.NetworkPolicy) { strip(p); p.Name, p.ManagedFields = "a-old", nil }, true, true},
		{"somebody's, under a rendered name", func(p *networkingv1.NetworkPolicy) {
			strip(p)
			p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl-create"}}
		}, false, false},
		{"somebody's, owned by an object of our name", func(p *networkingv1.NetworkPolicy) {
			strip(p)
			p.ManagedFields = nil
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "NetworkBaseline", Name: "a", UID: "uid-copied"}}
		}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := writtenPolicy(t)
			tc.change(p)
			s := &State{Policies: []*networkingv1.NetworkPolicy{p}}
			if tc.seen {
				s.Seen = map[types.UID]types.UID{p.UID: "uid-a"}
			}
			contributions := enforcing(newBaseline("a", v1alpha1.NetworkBaselineSpec{}))
			l := classify(s, contributions)
			l.adopt(sampleRendered(), contributions)
			if got := len(l.ours) == 1; got != tc.ours || len(l.ours)+len(l.foreign) != 1 {
				t.Errorf("ours: %v, want %v (ours %d, foreign %d)", got, tc.ours, len(l.ours), len(l.foreign))
			}
		})
	}
}

func TestSame(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*networkingv1.NetworkPolicy)
		want   bool
	}{
		{"as we wrote it", func(*networkingv1.NetworkPolicy) {}, true},
		{"a foreign label and annotation", func(p *networkingv1.NetworkPolicy) {
			p.Labels["team"], p.Annotations["note"] = "blue", "hello"
		}, true},
		{"a finalizer of somebody", func(p *networkingv1.NetworkPolicy) { p.Finalizers = []string{"example.com/x"} }, true},
		{"empty rules instead of none", func(p *networkingv1.NetworkPolicy) { p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{} }, true},
		{"a label of ours gone", func(p *networkingv1.NetworkPolicy) { delete(p.Labels, v1alpha1.ComponentLabel) }, false},
		{"a label of ours changed", func(p *networkingv1.NetworkPolicy) { p.Labels[v1alpha1.BaselineLabel] = "b" }, false},
		{"all labels gone", func(p *networkingv1.NetworkPolicy) { p.Labels = nil }, false},
		{"the description gone", func(p *networkingv1.NetworkPolicy) { p.Annotations = nil }, false},
		{"the owner gone", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences = nil }, false},
		{"the owner of another life", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences[0].UID = "uid-before" }, false},
		{"no controller", func(p *networkingv1.NetworkPolicy) { p.OwnerReferences[0].Controller = nil }, false},
		{"a second owner", func(p *networkingv1.NetworkPolicy) {
			p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{UID: "uid-team"})
		}, false},
		{"egress opened", func(p *networkingv1.NetworkPolicy) { p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}} }, false},
		{"ingress opened", func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} }, false},
		{"podSelector narrowed", func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"} }, false},
		{"policyTypes cut", func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = p.Spec.PolicyTypes[:1] }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := writtenPolicy(t)
			tc.change(p)
			if got := Same(p, sampleRendered().find("a-default-deny").NetworkPolicy); got != tc.want {
				t.Errorf("Same = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestLastEditor(t *testing.T) {
	at := func(manager string, second int64) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: &metav1.Time{Time: time.Unix(second, 0)}}
	}
	for _, tc := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		{"nobody", nil, ""},
		{"only we", []metav1.ManagedFieldsEntry{at(FieldManager, 9)}, ""},
		{"somebody before us", []metav1.ManagedFieldsEntry{at("kubectl-edit", 1), at(FieldManager, 9)}, "kubectl-edit"},
		{"the later of two", []metav1.ManagedFieldsEntry{at("argocd-controller", 5), at("kubectl-edit", 3)}, "argocd-controller"},
		{"in any order", []metav1.ManagedFieldsEntry{at("kubectl-edit", 3), at("argocd-controller", 5)}, "argocd-controller"},
		{"without a time", []metav1.ManagedFieldsEntry{{Manager: "ancient"}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{ManagedFields: tc.entries}}
			if got := LastEditor(p); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// What nobody maintains any more still denies, and is no tenant's restriction.
func TestSurroundings(t *testing.T) {
	theirs := func(spec string) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "theirs", UID: foreignUID}, Spec: *parseSpec(t, spec)}
	}
	retained := writtenPolicy(t)
	retained.OwnerReferences = nil
	narrowed := retained.DeepCopy()
	narrowed.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"}
	allow := sampleRendered().find("a-allow-dns").DeepCopy()
	allow.OwnerReferences = nil
	block := rendered(t, `profile: {blockMetadata: {}}`, "").find("a-block-metadata").DeepCopy()
	block.OwnerReferences = nil
	for _, tc := range []struct {
		name, restricted, denied string
		live                     *networkingv1.NetworkPolicy
	}{
		{"ours", "null", "null", writtenPolicy(t)},
		{"a retained deny", "null", `["Egress","Ingress"]`, retained},
		{"a retained deny that somebody narrowed", "null", "null", narrowed},
		{"a retained allow", "null", "null", allow},
		{"a retained metadata block is no deny", "null", "null", block},
		{"their egress policy", `[{"matchLabels":{"app":"web"}}]`, "null", theirs(`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`)},
		{"their ingress policy", "null", "null", theirs(`{podSelector: {}, policyTypes: [Ingress]}`)},
		{"their egress policy that allows everything", "null", "null", theirs(`{podSelector: {}, policyTypes: [Egress], egress: [{}]}`)},
		{"their egress policy that allows a port", `[{}]`, "null", theirs(`{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			contributions := enforcing(newBaseline("a", v1alpha1.NetworkBaselineSpec{}))
			l := classify(&State{Policies: []*networkingv1.NetworkPolicy{tc.live}}, contributions)
			if restricted, denied := compact(l.restrictedEgress(contributions)), compact(l.alsoDenied()); restricted != tc.restricted || denied != tc.denied {
				t.Errorf("got %s, %s; want %s, %s", restricted, denied, tc.restricted, tc.denied)
			}
		})
	}
}
