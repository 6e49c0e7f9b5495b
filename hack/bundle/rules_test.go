// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	root    = "../../bundle"
	csvPath = "manifests/netbaseline.clusterserviceversion.yaml"
	crdPath = "manifests/netbaseline.io_networkbaselines.yaml"
)

// TestRules checks the bundle that users get, and not one made for the test.
func TestRules(t *testing.T) {
	if err := check(load(t)); err != nil {
		t.Error(err)
	}
}

func load(t *testing.T) *bundle {
	t.Helper()
	f, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parse(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBrokenRules breaks each rule and wants that rule, and what it says, to complain.
func TestBrokenRules(t *testing.T) {
	tested := map[string]bool{}
	for _, tc := range []struct {
		rule, want string
		breaks     func(t *testing.T, f files)
	}{
		{"one document in each manifest", "holds 2 documents", func(_ *testing.T, f files) {
			f[crdPath] = append(f[crdPath], []byte("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: second}\n")...)
		}},
		{"no folders among the manifests", "manifests/more/config.yaml", func(_ *testing.T, f files) { f["manifests/more/config.yaml"] = nil }},
		{"exactly one ClusterServiceVersion", "has 2", func(_ *testing.T, f files) { f["manifests/second.yaml"] = f[csvPath] }},
		{"exactly one ClusterServiceVersion", "has 0", func(_ *testing.T, f files) { delete(f, csvPath) }},
		{"annotations of the bundle", "mediatype.v1", annotation("operators.operatorframework.io.bundle.mediatype.v1", "helm")},
		{"annotations of the bundle", "manifests.v1", annotation("operators.operatorframework.io.bundle.manifests.v1", "deploy/")},
		{"annotations of the bundle", "metadata.v1", annotation("operators.operatorframework.io.bundle.metadata.v1", "")},
		{"annotations of the bundle", "package.v1", annotation("operators.operatorframework.io.bundle.package.v1", "other")},
		{"channels", `"alpha"`, annotation("operators.operatorframework.io.bundle.channels.v1", "candidate,alpha")},
		{"channels", "default channel", annotation("operators.operatorframework.io.bundle.channel.default.v1", "stable")},
		{"the Dockerfile's labels are the annotations", "lacks", annotation("more", "true")},
		{"the Dockerfile's labels are the annotations", "COPY metadata", replace("Dockerfile", "COPY metadata", "COPY other")},
		{"the Dockerfile's labels are the annotations", "labels that", replace("Dockerfile", "\nCOPY manifests", "LABEL more=true\n\nCOPY manifests")},
		{"scorecard configuration", "v1alpha2", replace("tests/scorecard/config.yaml", "v1alpha3", "v1alpha2")},
		{"scorecard configuration", "olm-spec-descriptors is missing", replace("tests/scorecard/config.yaml", "- olm-spec-descriptors", "- nothing")},
		{"scorecard configuration", "fixed version", replace("tests/scorecard/config.yaml", "scorecard-test:v", "scorecard-test:latest #")},
		{"size", "1048576", func(_ *testing.T, f files) { f["metadata/large"] = make([]byte, 1<<20) }},

		{"name and version", "semantic version", csv(func(c *clusterServiceVersion) { c.Name, c.Spec.Version = "netbaseline.v1.0", "1.0" })},
		{"name and version", "metadata.name", csv(func(c *clusterServiceVersion) { c.Name = "netbaseline-0.1.0" })},
		{"name and version", "label value", csv(func(c *clusterServiceVersion) {
			c.Spec.Version = "0.1.0-" + strings.Repeat("x", 60)
			c.Name = "netbaseline.v" + c.Spec.Version
		})},
		{"texts", "displayName", csv(func(c *clusterServiceVersion) { c.Spec.DisplayName = "" })},
		{"texts", "spec.description", csv(func(c *clusterServiceVersion) { c.Spec.Description = "" })},
		{"texts", "135", csv(func(c *clusterServiceVersion) { c.Annotations["description"] = strings.Repeat("x", 136) })},
		{"texts", "keywords", csv(func(c *clusterServiceVersion) { c.Spec.Keywords = nil })},
		{"texts", "maturity", csv(func(c *clusterServiceVersion) { c.Spec.Maturity = "" })},
		{"createdAt", "2026-11-21", csv(func(c *clusterServiceVersion) { c.Annotations["createdAt"] = "2026-11-21" })},
		{"provider, maintainers and links", "provider.name", csv(func(c *clusterServiceVersion) { c.Spec.Provider.Name = "" })},
		{"provider, maintainers and links", "maintainers is empty", csv(func(c *clusterServiceVersion) { c.Spec.Maintainers = nil })},
		{"provider, maintainers and links", "e-mail", csv(func(c *clusterServiceVersion) { c.Spec.Maintainers[0].Email = "netbaseline.io" })},
		{"provider, maintainers and links", "links is empty", csv(func(c *clusterServiceVersion) { c.Spec.Links = nil })},
		{"provider, maintainers and links", "https URL", csv(func(c *clusterServiceVersion) { c.Spec.Links[0].URL = "github.com" })},
		{"provider, maintainers and links", "repository", csv(func(c *clusterServiceVersion) { delete(c.Annotations, "repository") })},
		{"provider, maintainers and links", "support", csv(func(c *clusterServiceVersion) { delete(c.Annotations, "support") })},
		{"icon", "has 2", csv(func(c *clusterServiceVersion) { c.Spec.Icon = append(c.Spec.Icon, c.Spec.Icon[0]) })},
		{"icon", "not base64", csv(func(c *clusterServiceVersion) { c.Spec.Icon[0].Data = "<svg/>" })},
		{"icon", "image/webp", csv(func(c *clusterServiceVersion) { c.Spec.Icon[0].MediaType = "image/webp" })},
		{"icon", "is not what", csv(func(c *clusterServiceVersion) {
			c.Spec.Icon[0].Data = base64.StdEncoding.EncodeToString([]byte("<html/>"))
		})},
		{"minKubeVersion", `"1.30"`, csv(func(c *clusterServiceVersion) { c.Spec.MinKubeVersion = "1.30" })},
		{"capability level and categories", "capabilities", csv(func(c *clusterServiceVersion) { c.Annotations["capabilities"] = "Expert" })},
		{"capability level and categories", `" Security"`, csv(func(c *clusterServiceVersion) { c.Annotations["categories"] = "Networking, Security" })},
		{"install modes", "AllNamespaces", csv(func(c *clusterServiceVersion) { c.Spec.InstallModes[0].Supported = true })},
		{"install modes", "all four", csv(func(c *clusterServiceVersion) { c.Spec.InstallModes = c.Spec.InstallModes[1:] })},
		{"architectures", "os.linux", csv(func(c *clusterServiceVersion) { delete(c.Labels, "operatorframework.io/os.linux") })},
		{"architectures", "x86", csv(func(c *clusterServiceVersion) { c.Labels["operatorframework.io/arch.x86"] = "supported" })},

		{"examples", "JSON", csv(func(c *clusterServiceVersion) { c.Annotations["alm-examples"] = "{}" })},
		{"examples", "no example", csv(func(c *clusterServiceVersion) { c.Annotations["alm-examples"] = "[]" })},
		{"examples", "not owned", example(`"kind": "NetworkBaseline"`, `"kind": "NetworkPolicy"`)},
		{"examples", "two examples", example(`"name": "zero-trust"`, `"name": "production"`)},
		{"examples", "no spec", example(`"spec": {`, `"specification": {`)},
		{"owned CRDs", "displayName", csv(func(c *clusterServiceVersion) { c.Spec.CRDs.Owned[0].DisplayName = "" })},
		{"owned CRDs", "resources", csv(func(c *clusterServiceVersion) { c.Spec.CRDs.Owned[0].Resources = nil })},
		{"owned CRDs", "is not in the bundle", func(_ *testing.T, f files) { delete(f, crdPath) }},
		{"owned CRDs", "not owned", csv(func(c *clusterServiceVersion) { c.Spec.CRDs.Owned = nil })},
		{"owned CRDs", "no version v1", csv(func(c *clusterServiceVersion) { c.Spec.CRDs.Owned[0].Version = "v1" })},
		{"descriptors", "spec.profile", csv(func(c *clusterServiceVersion) {
			owned := &c.Spec.CRDs.Owned[0]
			owned.SpecDescriptors = slices.DeleteFunc(owned.SpecDescriptors, func(d descriptor) bool { return d.Path == "profile" })
		})},
		{"descriptors", "status.", csv(func(c *clusterServiceVersion) { c.Spec.CRDs.Owned[0].StatusDescriptors[0].Description = "" })},

		{"supported kinds", "ValidatingAdmissionPolicy guard", object("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "guard", nil)},
		{"no namespaces", "Service metrics", object("v1", "Service", "metrics", func(o *unstructured.Unstructured) { o.SetNamespace("netbaseline-system") })},
		{"no namespaces", "subjects", object("rbac.authorization.k8s.io/v1", "RoleBinding", "binding", func(o *unstructured.Unstructured) {
			o.Object["subjects"] = []any{map[string]any{"kind": "ServiceAccount", "name": "x", "namespace": "y"}}
		})},
		{"no ServiceAccount of a deployment", "ServiceAccount netbaseline-controller-manager", object("v1", "ServiceAccount", "netbaseline-controller-manager", nil)},
		{"unique objects", "is there twice", func(_ *testing.T, f files) { f["manifests/second.yaml"] = f[crdPath] }},
		{"install strategy", "helm", csv(func(c *clusterServiceVersion) { c.Spec.Install.Strategy = "helm" })},
		{"install strategy", "is empty", csv(func(c *clusterServiceVersion) { c.Spec.Install.Spec.Deployments = nil })},
		{"deployments", "no cpu", csv(func(c *clusterServiceVersion) {
			delete(c.Spec.Install.Spec.Deployments[0].Spec.Template.Spec.Containers[0].Resources.Requests, "cpu")
		})},
		{"deployments", "no memory", csv(func(c *clusterServiceVersion) {
			delete(c.Spec.Install.Spec.Deployments[0].Spec.Template.Spec.Containers[0].Resources.Requests, "memory")
		})},
		{"deployments", "containerImage", csv(func(c *clusterServiceVersion) { c.Annotations["containerImage"] = "other" })},
		{"deployments", "relatedImages", csv(func(c *clusterServiceVersion) { c.Spec.RelatedImages = nil })},
		{"deployments", "not of version", csv(func(c *clusterServiceVersion) {
			c.Spec.Install.Spec.Deployments[0].Spec.Template.Spec.Containers[0].Image = "ghcr.io/netbaseline/netbaseline:latest"
		})},
		{"permissions", "clusterPermissions", csv(func(c *clusterServiceVersion) {
			c.Spec.Install.Spec.ClusterPermissions[0].ServiceAccountName = "default"
		})},
		{"permissions", "spec.install.spec.permissions", csv(func(c *clusterServiceVersion) { c.Spec.Install.Spec.Permissions = nil })},
		{"permissions", "binds nobody", object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "binding", nil)},
		{"no rights to make CRDs", "create or patch", grants("apiextensions.k8s.io", "customresourcedefinitions", "create")},
		{"no rights to make CRDs", "create or patch", grants("*", "*", "*")},
		{"CRDs", "v1beta1", replace(crdPath, "apiextensions.k8s.io/v1\n", "apiextensions.k8s.io/v1beta1\n")},
		{"CRDs", "no schema", replace(crdPath, "openAPIV3Schema", "schema")},
		{"disruption budgets", "evicted", object("policy/v1", "PodDisruptionBudget", "budget", func(o *unstructured.Unstructured) {
			o.Object["spec"] = map[string]any{"maxUnavailable": int64(0)}
		})},
	} {
		tested[tc.rule] = true
		t.Run(tc.rule+"/"+tc.want, func(t *testing.T) {
			f := load(t).files
			tc.breaks(t, f)
			b, err := parse(f)
			if err != nil {
				t.Fatal(err)
			}
			err = check(b)
			if err == nil {
				t.Fatal("nothing complains")
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.HasPrefix(line, tc.rule+": ") && strings.Contains(line, tc.want) {
					return
				}
			}
			t.Errorf("rule %q does not complain of %q, but: %v", tc.rule, tc.want, err)
		})
	}
	for _, r := range slices.Concat(structure, csvRules, objectRules) {
		if !tested[r.name] {
			t.Errorf("nothing breaks rule %q", r.name)
		}
	}
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	f := load(t).files
	replace(csvPath, "minKubeVersion", "minKubernetesVersion")(t, f)
	if _, err := parse(f); err == nil || !strings.Contains(err.Error(), "minKubernetesVersion") {
		t.Errorf("got %v, want a complaint about minKubernetesVersion", err)
	}
}

// replace changes a text in a file.
func replace(path, old, by string) func(*testing.T, files) {
	return func(t *testing.T, f files) {
		t.Helper()
		if !strings.Contains(string(f[path]), old) {
			t.Fatalf("%s has no %q", path, old)
		}
		f[path] = []byte(strings.ReplaceAll(string(f[path]), old, by))
	}
}

// example changes a text in the examples.
func example(old, by string) func(*testing.T, files) {
	return csv(func(c *clusterServiceVersion) {
		c.Annotations["alm-examples"] = strings.Replace(c.Annotations["alm-examples"], old, by, 1)
	})
}

func annotation(name, value string) func(*testing.T, files) {
	return func(t *testing.T, f files) {
		t.Helper()
		const path = "metadata/annotations.yaml"
		var content annotationsFile
		edit(t, f, path, &content, func() { content.Annotations[name] = value })
	}
}

func csv(change func(*clusterServiceVersion)) func(*testing.T, files) {
	return func(t *testing.T, f files) {
		t.Helper()
		c := &clusterServiceVersion{}
		edit(t, f, csvPath, c, func() { change(c) })
	}
}

func grants(group, resource, verb string) func(*testing.T, files) {
	return csv(func(c *clusterServiceVersion) {
		p := &c.Spec.Install.Spec.ClusterPermissions[0]
		p.Rules = append(p.Rules, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}})
	})
}

// object adds one.
func object(apiVersion, kind, name string, change func(*unstructured.Unstructured)) func(*testing.T, files) {
	return func(t *testing.T, f files) {
		t.Helper()
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
		o.SetName(name)
		if change != nil {
			change(o)
		}
		if err := f.add(fileName(o), o.Object); err != nil {
			t.Fatal(err)
		}
	}
}

func edit(t *testing.T, f files, path string, content any, change func()) {
	t.Helper()
	if err := yaml.UnmarshalStrict(f[path], content); err != nil {
		t.Fatal(err)
	}
	change()
	delete(f, path)
	if err := f.add(path, content); err != nil {
		t.Fatal(err)
	}
}
