// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/hack/localcluster"
)

// where the test installs the bundle; any namespace but the one of config/default will do.
const where = "operators"

// TestInstall does by hand what OLM does with a bundle, against a real API server that refuses unknown fields.
func TestInstall(t *testing.T) {
	ctx := t.Context()
	b := load(t)
	c := start(t)
	applyBundle(ctx, t, c, b)

	t.Run("pods pass the restricted standard", func(t *testing.T) {
		for _, d := range deploymentsOf(b) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: where, Name: d.Name, Labels: d.Spec.Template.Labels},
				Spec:       d.Spec.Template.Spec,
			}
			create(ctx, t, c, pod, client.DryRunAll)
		}
	})
	t.Run("examples are accepted", func(t *testing.T) {
		examples, err := examplesOf(b.csvs[0])
		if err != nil || len(examples) == 0 {
			t.Fatal("no examples:", err)
		}
		for _, o := range examples {
			create(ctx, t, c, o, client.DryRunAll)
		}
	})
	t.Run("the ServiceAccount may do what the operator does, and no more", func(t *testing.T) {
		data, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "role.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict(data, &role); err != nil {
			t.Fatal(err)
		}
		for _, r := range role.Rules {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					may(ctx, t, c, true, "", verb, r.APIGroups[0], resource)
				}
			}
		}
		may(ctx, t, c, true, where, "update", "coordination.k8s.io", "leases")
		may(ctx, t, c, true, "", "create", "authentication.k8s.io", "tokenreviews")
		may(ctx, t, c, false, "default", "update", "coordination.k8s.io", "leases")
		may(ctx, t, c, false, "", "list", "", "secrets")
		may(ctx, t, c, false, "", "create", "apiextensions.k8s.io", "customresourcedefinitions")
	})
}

func start(t *testing.T) client.Client {
	t.Helper()
	cluster, err := localcluster.Start(localcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	c, err := client.New(cluster.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

// applyBundle creates the ServiceAccount with its rights, the deployment and the objects beside the CSV.
func applyBundle(ctx context.Context, t *testing.T, c client.Client, b *bundle) {
	t.Helper()
	create(ctx, t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: where, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
	for _, o := range b.objects {
		if o.GetKind() == "ClusterServiceVersion" {
			continue
		}
		if slices.Contains([]string{"Service", "PodDisruptionBudget"}, o.GetKind()) {
			o.SetNamespace(where)
		}
		create(ctx, t, c, o)
	}
	spec := b.csvs[0].Spec.Install.Spec
	own := metav1.ObjectMeta{Namespace: where, Name: spec.Deployments[0].Spec.Template.Spec.ServiceAccountName}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: own.Namespace, Name: own.Name}}
	create(ctx, t, c, &corev1.ServiceAccount{ObjectMeta: own})
	for _, p := range spec.ClusterPermissions {
		create(ctx, t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: own.Name}, Rules: p.Rules})
		create(ctx, t, c, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: own.Name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: own.Name},
		})
	}
	for _, p := range spec.Permissions {
		create(ctx, t, c, &rbacv1.Role{ObjectMeta: own, Rules: p.Rules})
		create(ctx, t, c, &rbacv1.RoleBinding{
			ObjectMeta: own, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: own.Name},
		})
	}
	for _, d := range spec.Deployments {
		create(ctx, t, c, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: where, Name: d.Name, Labels: d.Label}, Spec: d.Spec})
	}
}

// create waits until the API server knows a kind whose CRD has just been created.
func create(ctx context.Context, t *testing.T, c client.Client, o client.Object, options ...client.CreateOption) {
	t.Helper()
	var err error
	_ = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		err = c.Create(ctx, o, options...)
		return !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err), nil
	})
	if err != nil {
		t.Fatalf("%T %s is refused: %v", o, o.GetName(), err)
	}
}

// may asks the API server what the ServiceAccount may do, in a namespace or, if that is empty, everywhere.
func may(ctx context.Context, t *testing.T, c client.Client, want bool, namespace, verb, group, resource string) {
	t.Helper()
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + where + ":netbaseline-controller-manager",
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource,
		},
	}}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		err := c.Create(ctx, review)
		return review.Status.Allowed == want, err
	}); err != nil {
		t.Errorf("%s %s.%s in %q: allowed is %v, want %v (%v)", verb, resource, group, namespace, review.Status.Allowed, want, err)
	}
}
