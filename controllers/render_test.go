// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/controllers/cli"
)

// written writes objects to a file of their own, as YAML documents.
func written(objects ...any) string {
	GinkgoHelper()
	var out strings.Builder
	for _, o := range objects {
		data, err := yaml.Marshal(o)
		Expect(err).NotTo(HaveOccurred())
		out.WriteString("---\n" + string(data))
	}
	file := filepath.Join(GinkgoT().TempDir(), "objects.yaml")
	Expect(os.WriteFile(file, []byte(out.String()), 0o600)).To(Succeed())
	return file
}

// manifest is a baseline as a user writes it.
func manifest(b *v1alpha1.NetworkBaseline) map[string]any {
	return map[string]any{"apiVersion": "netbaseline.io/v1alpha1", "kind": "NetworkBaseline", "metadata": map[string]any{"name": b.Name}, "spec": b.Spec}
}

// namespaceManifest is a namespace of the cluster as a user writes it.
func namespaceManifest(name string, labels map[string]string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels}}
}

// renders runs `netbaseline render` and returns the policies by namespace and name, and what it says.
func renders(code int, args ...string) (all map[string]map[string]networkingv1.NetworkPolicy, messages string) {
	GinkgoHelper()
	var out, said strings.Builder
	Expect(cli.Run(ctx, args, strings.NewReader(""), &out, &said)).To(Equal(code), said.String())
	all = map[string]map[string]networkingv1.NetworkPolicy{}
	for text := range strings.SplitSeq(out.String(), "---\n") {
		if text == "" {
			continue
		}
		var p networkingv1.NetworkPolicy
		Expect(yaml.UnmarshalStrict([]byte(text), &p)).To(Succeed())
		if all[p.Namespace] == nil {
			all[p.Namespace] = map[string]networkingv1.NetworkPolicy{}
		}
		all[p.Namespace][p.Name] = p
	}
	return all, said.String()
}

// asWritten is what of the live policies somebody wrote: without what the API server adds, and without owners unless
// they are asked for.
func asWritten(namespace string, owners bool) map[string]networkingv1.NetworkPolicy {
	GinkgoHelper()
	out := map[string]networkingv1.NetworkPolicy{}
	for name, p := range policies(namespace) {
		m := metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, Labels: p.Labels, Annotations: p.Annotations}
		if owners {
			m.OwnerReferences = p.OwnerReferences
		}
		out[name] = networkingv1.NetworkPolicy{
			TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}, ObjectMeta: m, Spec: p.Spec,
		}
	}
	return out
}

// previewed checks that render says of a file, beforehand as well as with a look at the cluster, what the operator has
// written into the namespaces, which have these labels.
func previewed(file string, b *v1alpha1.NetworkBaseline, namespaces []string, labels map[string]string) {
	GinkgoHelper()
	var manifests []any
	for _, namespace := range namespaces {
		manifests = append(manifests, namespaceManifest(namespace, labels))
	}
	offline, _ := renders(cli.ExitOK, "-f", file, "--namespaces", written(manifests...))
	online, _ := renders(cli.ExitOK, "-f", file, "--kubeconfig", cluster.Kubeconfig)
	for _, namespace := range namespaces {
		live := asWritten(namespace, false)
		if b.Spec.Profile.AllowKubeAPIServer != nil {
			delete(live, b.Name+"-allow-kube-api-server") // what only a look at the cluster can know
		}
		Expect(offline[namespace]).To(Equal(live), namespace)
		Expect(online[namespace]).To(Equal(asWritten(namespace, true)), namespace)
	}
}

// agrees checks that the built-in schema makes of an object what the API server has made of it: the spec that it would
// store, or what it said.
func agrees(object map[string]any, spec any, said error) {
	GinkgoHelper()
	schema, err := cli.BuiltInSchema()
	Expect(err).NotTo(HaveOccurred())
	data, err := json.Marshal(object)
	Expect(err).NotTo(HaveOccurred())
	var read map[string]any
	Expect(utiljson.Unmarshal(data, &read)).To(Succeed()) // with integers
	stored, errs := schema.Read(ctx, read)
	if said == nil {
		Expect(errs).To(BeEmpty())
		data, err = json.Marshal(stored.Spec)
		Expect(err).NotTo(HaveOccurred())
		server, err := json.Marshal(spec)
		Expect(err).NotTo(HaveOccurred())
		Expect(data).To(MatchJSON(server))
		return
	}
	Expect(errs).NotTo(BeEmpty(), "the API server says: %v", said)
	var status *apierrors.StatusError
	if !errors.As(said, &status) || !apierrors.IsInvalid(said) {
		return // unknown fields, which are told in other words
	}
	var own, theirs []string
	for _, e := range errs {
		own = append(own, e.Field+": "+e.ErrorBody())
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		if !strings.HasPrefix(cause.Message, "Invalid value: null: some validation rules were not checked") {
			theirs = append(theirs, cause.Field+": "+cause.Message)
		}
	}
	Expect(own).To(ConsistOf(theirs))
}

// The parity of every sample is a part of the test of the samples, and that of the schema a part of its table.
var _ = Describe("render", func() {
	It("reads a cluster with the rights of a reader, and composes with the baselines and policies that are there", func() {
		o := startOperator()
		there := create(baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile = v1alpha1.Profile{DefaultDeny: &v1alpha1.DefaultDeny{Directions: []v1alpha1.Direction{"Egress"}}, BlockMetadata: &v1alpha1.BlockMetadata{}}
		}))
		namespace, apart := governed(there), newNamespace(nil)
		inSync(there, 1)
		o.stop()
		foreign(namespace, "reopens", nil)
		// Another baseline, which no cluster knows yet: allow-dns means something in a namespace that denies egress.
		next := baseline(func(b *v1alpha1.NetworkBaseline) {
			b.Spec.Profile = v1alpha1.Profile{AllowDNS: &v1alpha1.AllowDNS{}, AllowKubeAPIServer: &v1alpha1.AllowKubeAPIServer{}}
			b.Spec.Flows = []v1alpha1.Flow{{Name: "out", From: v1alpha1.Peer{PodSelector: &v1alpha1.LabelSelector{}}, To: v1alpha1.Peer{CIDR: "0.0.0.0/0"}}}
			b.Spec.NamespaceSelector = v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{
				{Key: "kubernetes.io/metadata.name", Operator: "In", Values: []v1alpha1.LabelValue{v1alpha1.LabelValue(namespace), v1alpha1.LabelValue(apart)}},
			}}
		})
		foreign(namespace, next.Name+"-allow-dns", nil)
		reader, err := cluster.AddUser("reader")
		Expect(err).NotTo(HaveOccurred())
		mayRead("reader")

		before := versions(namespace, apart)
		all, messages := renders(cli.ExitProblems, "-f", written(manifest(next)), "--kubeconfig", reader)
		Expect(all).To(HaveLen(1))
		Expect(all[namespace]).To(HaveLen(3))
		Expect(all[namespace][next.Name+"-flow-out-egress"].Spec.Egress[0].To[0].IPBlock.Except).To(ContainElement("169.254.0.0/16"), "the other baseline blocks metadata")
		Expect(all[namespace]).To(HaveKey(next.Name + "-allow-kube-api-server"))
		Expect(all[namespace][next.Name+"-allow-dns"].OwnerReferences).To(BeEmpty(), "it has no UID yet")
		Expect(messages).To(ContainSubstring("problem: NetworkBaseline " + next.Name + " in namespace " + namespace + ": NetworkPolicy " + next.Name +
			"-allow-dns: netbaseline did not create this policy, whose name it would use"))
		Expect(messages).To(ContainSubstring("note: NetworkBaseline " + next.Name + " in namespace " + apart + ": allow-dns: Egress is not denied by default"))
		Expect(versions(namespace, apart)).To(Equal(before))
	})

	It("shows an edit of a baseline that is there, and a namespace that is to come", func() {
		startOperator()
		b := create(baseline())
		namespace := governed(b)
		inSync(b, 1)
		file := written(manifest(b), namespaceManifest("to-come", map[string]string{selectedBy: b.Name}))
		all, _ := renders(cli.ExitOK, "-f", file, "--kubeconfig", cluster.Kubeconfig)
		Expect(all[namespace]).To(Equal(asWritten(namespace, true)))
		Expect(all["to-come"]).To(HaveLen(3))

		b.Spec.Profile.AllowIngressController = nil
		all, _ = renders(cli.ExitOK, "-f", written(manifest(b)), "--kubeconfig", cluster.Kubeconfig)
		want := asWritten(namespace, true)
		delete(want, b.Name+"-allow-ingress-controller")
		Expect(all[namespace]).To(Equal(want))
	})

	It("shows what a baseline in mode Audit would do, as its status counts it", func() {
		startOperator()
		b := create(baseline(func(b *v1alpha1.NetworkBaseline) { b.Spec.Mode = "Audit" }))
		namespace := governed(b)
		Eventually(func() int32 {
			if audit := get(b).Status.Audit; audit != nil {
				return audit.Create
			}
			return 0
		}).Should(BeEquivalentTo(3))
		all, messages := renders(cli.ExitOK, "-f", written(manifest(b)), "--kubeconfig", cluster.Kubeconfig)
		Expect(all[namespace]).To(HaveLen(3))
		Expect(messages).To(ContainSubstring("is in mode Audit, and writes nothing"))
		Expect(policies(namespace)).To(BeEmpty())
	})

	It("says what it may not read", func() {
		nobody, err := cluster.AddUser("nobody")
		Expect(err).NotTo(HaveOccurred())
		_, messages := renders(cli.ExitFailed, "-f", written(manifest(baseline())), "--kubeconfig", nobody)
		Expect(messages).To(ContainSubstring("error: listing NetworkBaselines: "))
		Expect(messages).To(ContainSubstring(`User "nobody" cannot list resource "networkbaselines"`))
	})
})

// mayRead gives a user the rights that docs/render.md names.
func mayRead(user string) {
	GinkgoHelper()
	doc, err := os.ReadFile(filepath.Join("..", "docs", "render.md"))
	Expect(err).NotTo(HaveOccurred())
	_, rest, found := strings.Cut(string(doc), "<!-- rights -->\n```yaml\n")
	Expect(found).To(BeTrue())
	text, _, _ := strings.Cut(rest, "```")
	role := &rbacv1.ClusterRole{}
	Expect(yaml.UnmarshalStrict([]byte(text), role)).To(Succeed())
	Expect(k8s.Create(ctx, role)).To(Succeed())
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	Expect(k8s.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func() { Expect(errors.Join(k8s.Delete(ctx, role), k8s.Delete(ctx, binding))).To(Succeed()) })
}
