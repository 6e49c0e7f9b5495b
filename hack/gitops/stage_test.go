// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// selectedBy is the label with which a namespace names the baseline that selects it.
const selectedBy = "example.com/baseline"

// stage is where a scenario plays.
type stage struct {
	*WithT
	t *testing.T
	// object is the baseline as the API server answered last: not as our types would have it.
	object *unstructured.Unstructured
}

func newStage(t *testing.T, name, spec string) *stage {
	t.Helper()
	s := &stage{NewWithT(t), t, &unstructured.Unstructured{}}
	s.object.SetAPIVersion("netbaseline.io/v1alpha1")
	s.object.SetKind("NetworkBaseline")
	s.object.SetName(name)
	var fields map[string]any
	s.Expect(yaml.Unmarshal([]byte(spec), &fields)).To(Succeed())
	fields["namespaceSelector"] = map[string]any{"matchLabels": map[string]any{selectedBy: name}}
	s.object.Object["spec"] = fields
	return s
}

// create creates the baseline.
func (s *stage) create() {
	s.t.Helper()
	s.Expect(here.client.Create(s.t.Context(), s.object)).To(Succeed())
}

func (s *stage) namespace(name string) string {
	s.t.Helper()
	return s.newNamespace(name, map[string]string{selectedBy: s.object.GetName()})
}

// holdable is a namespace in which the creation of policies can be held.
func (s *stage) holdable(name string) {
	s.t.Helper()
	s.newNamespace(name, map[string]string{selectedBy: s.object.GetName(), holdLabel: ""})
}

// altered is a namespace in which a webhook changes every policy that is created.
func (s *stage) altered(name string) {
	s.t.Helper()
	s.newNamespace(name, map[string]string{selectedBy: s.object.GetName(), alterLabel: ""})
}

// other creates a second baseline that selects the same namespaces.
func (s *stage) other(name, spec string) {
	s.t.Helper()
	other := newStage(s.t, name, spec)
	s.Expect(unstructured.SetNestedField(other.object.Object, s.object.GetName(), "spec", "namespaceSelector", "matchLabels", selectedBy)).To(Succeed())
	other.create()
	other.awaits("Ready=False/PreflightFailed")
	s.t.Cleanup(func() { _ = here.client.Delete(background, other.object) })
}

func (s *stage) newNamespace(name string, labels map[string]string) string {
	s.t.Helper()
	s.Expect(here.client.Create(s.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})).To(Succeed())
	return name
}

// foreign creates a policy of somebody else.
func (s *stage) foreign(namespace, name string, spec networkingv1.NetworkPolicySpec) {
	s.t.Helper()
	s.Expect(here.client.Create(s.t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec})).To(Succeed())
}

// quota lets a namespace hold so many policies. The controller that counts does not run here.
func (s *stage) quota(namespace, policies string) {
	s.t.Helper()
	const counted = "count/networkpolicies.networking.k8s.io"
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "team-quota"}}
	q.Spec.Hard = corev1.ResourceList{counted: resource.MustParse(policies)}
	s.Expect(here.client.Create(s.t.Context(), q)).To(Succeed())
	q.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: corev1.ResourceList{counted: resource.MustParse("0")}}
	s.Expect(here.client.Status().Update(s.t.Context(), q)).To(Succeed())
}

// hold lets the creation of policies in a namespace wait while the test runs, or until the result is called.
func (s *stage) hold(namespace string) (release func()) {
	release = here.hold.hold(namespace)
	s.t.Cleanup(release)
	return release
}

func (s *stage) patch(merge string) {
	s.t.Helper()
	s.Expect(here.client.Patch(s.t.Context(), s.object, client.RawPatch(types.MergePatchType, []byte(merge)))).To(Succeed())
}

func (s *stage) remove() {
	s.t.Helper()
	s.Expect(here.client.Delete(s.t.Context(), s.object)).To(Succeed())
}

// now is the baseline as it is.
func (s *stage) now() *unstructured.Unstructured {
	s.t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(s.object.GroupVersionKind())
	s.Expect(here.client.Get(s.t.Context(), client.ObjectKeyFromObject(s.object), o)).To(Succeed())
	return o
}

// awaits waits until the operator says something of this generation, as "<condition>=<status>/<reason>".
func (s *stage) awaits(says string) {
	s.t.Helper()
	s.Eventually(func() []string { return said(s.now()) }).Should(ContainElement(says))
}

// said are the conditions of an object's generation, as "<condition>=<status>/<reason>".
func said(o *unstructured.Unstructured) []string {
	if observed, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration"); observed != o.GetGeneration() {
		return nil
	}
	var out []string
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, item := range conditions {
		c, _ := item.(map[string]any)
		out = append(out, c["type"].(string)+"="+c["status"].(string)+"/"+c["reason"].(string))
	}
	return out
}
