// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
)

// semver is https://semver.org without build metadata, which an image's tag cannot carry.
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// What OperatorHub knows, as in github.com/operator-framework/api/pkg/validation/internal.
var (
	capabilityLevels = []string{"Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"}
	categories       = []string{
		"AI/Machine Learning", "Application Runtime", "Big Data", "Cloud Provider", "Database", "Developer Tools",
		"Integration & Delivery", "Logging & Tracing", "Monitoring", "Networking", "OpenShift Optional", "Security", "Storage",
		"Streaming & Messaging",
	}
	architectures = []string{"amd64", "arm64", "ppc64le", "s390x"}
)

// csvRules are about the ClusterServiceVersion.
var csvRules = []rule{
	ofCSV("name and version", func(csv *clusterServiceVersion) []string {
		wrong := unless(semver.MatchString(csv.Spec.Version), "spec.version %q is not a semantic version, 1.2.3 say", csv.Spec.Version)
		wrong = append(wrong, unless(csv.Name == packageName+".v"+csv.Spec.Version, "metadata.name is %q: it must be %s.v<spec.version>", csv.Name, packageName)...)
		return append(wrong, unless(len(validation.IsValidLabelValue(csv.Name)) == 0, "metadata.name %q becomes a label value, which it cannot be", csv.Name)...)
	}),
	ofCSV("texts", func(csv *clusterServiceVersion) []string {
		short := csv.Annotations["description"]
		wrong := unless(csv.Spec.DisplayName != "", "spec.displayName is empty")
		wrong = append(wrong, unless(len(csv.Spec.Description) > len(short), "spec.description says no more than the annotation description")...)
		wrong = append(wrong, unless(short != "" && len(short) <= 135, "the annotation description has %d characters: OperatorHub shows 1 to 135", len(short))...)
		wrong = append(wrong, unless(len(csv.Spec.Keywords) > 0, "spec.keywords is empty")...)
		return append(wrong, unless(csv.Spec.Maturity != "", "spec.maturity is empty")...)
	}),
	ofCSV("createdAt", func(csv *clusterServiceVersion) []string {
		_, err := time.Parse(time.RFC3339, csv.Annotations["createdAt"])
		return unless(err == nil, "the annotation createdAt is %q: write a time, 2006-01-02T15:04:05Z say", csv.Annotations["createdAt"])
	}),
	ofCSV("provider, maintainers and links", checkPeople),
	ofCSV("icon", func(csv *clusterServiceVersion) []string {
		if len(csv.Spec.Icon) != 1 {
			return []string{fmt.Sprintf("spec.icon has %d icons: it must have one", len(csv.Spec.Icon))}
		}
		only := csv.Spec.Icon[0]
		data, err := base64.StdEncoding.DecodeString(only.Data)
		wrong := unless(err == nil && len(data) > 0, "spec.icon[0].base64data is not base64")
		wrong = append(wrong, unless(slices.Contains([]string{"image/svg+xml", "image/png"}, only.MediaType), "spec.icon[0].mediatype is %q: write image/svg+xml or image/png", only.MediaType)...)
		var root struct{ XMLName xml.Name }
		isSVG := xml.Unmarshal(data, &root) == nil && root.XMLName.Local == "svg"
		return append(wrong, unless(isSVG == (only.MediaType == "image/svg+xml"), "spec.icon[0] is not what its mediatype %s says", only.MediaType)...)
	}),
	ofCSV("minKubeVersion", func(csv *clusterServiceVersion) []string {
		return unless(semver.MatchString(csv.Spec.MinKubeVersion), "spec.minKubeVersion is %q: write three numbers, 1.30.0 say", csv.Spec.MinKubeVersion)
	}),
	ofCSV("capability level and categories", func(csv *clusterServiceVersion) []string {
		level := csv.Annotations["capabilities"]
		wrong := unless(slices.Contains(capabilityLevels, level), "the annotation capabilities is %q: write one of %q", level, capabilityLevels)
		for category := range strings.SplitSeq(csv.Annotations["categories"], ",") {
			wrong = append(wrong, unless(slices.Contains(categories, category), "the annotation categories has %q: write one of %q, with a comma and no space between two", category, categories)...)
		}
		return wrong
	}),
	ofCSV("install modes", func(csv *clusterServiceVersion) []string {
		got := map[string]bool{}
		for _, mode := range csv.Spec.InstallModes {
			got[mode.Type] = mode.Supported
		}
		modes := len(csv.Spec.InstallModes) == 4 && len(got) == 4
		return unless(modes && got["AllNamespaces"] && !got["OwnNamespace"] && !got["SingleNamespace"] && !got["MultiNamespace"],
			"spec.installModes must name all four modes and support AllNamespaces only, because baselines select among all namespaces")
	}),
	ofCSV("architectures", func(csv *clusterServiceVersion) []string {
		wrong := unless(csv.Labels["operatorframework.io/os.linux"] == "supported", "the label operatorframework.io/os.linux is missing")
		for label, value := range csv.Labels {
			arch, ok := strings.CutPrefix(label, "operatorframework.io/arch.")
			wrong = append(wrong, unless(!ok || slices.Contains(architectures, arch) && value == "supported", "label %s: %s: OLM knows no such architecture", label, value)...)
		}
		return wrong
	}),
	{"examples", checkExamples},
	{"owned CRDs", checkOwned},
	{"descriptors", checkDescriptors},
}

// ofCSV is a rule about the one ClusterServiceVersion.
func ofCSV(name string, check func(*clusterServiceVersion) []string) rule {
	return rule{name, func(b *bundle) []string { return check(b.csvs[0]) }}
}

func checkPeople(csv *clusterServiceVersion) []string {
	wrong := unless(csv.Spec.Provider.Name != "", "spec.provider.name is empty")
	wrong = append(wrong, unless(len(csv.Spec.Maintainers) > 0, "spec.maintainers is empty")...)
	for _, m := range csv.Spec.Maintainers {
		address, err := mail.ParseAddress(m.Email)
		wrong = append(wrong, unless(m.Name != "" && err == nil && address.Address == m.Email, "maintainer %q <%s>: write a name and an e-mail address", m.Name, m.Email)...)
	}
	wrong = append(wrong, unless(len(csv.Spec.Links) > 0, "spec.links is empty")...)
	for _, l := range append(csv.Spec.Links, link{"annotation repository", csv.Annotations["repository"]}) {
		u, err := url.Parse(l.URL)
		wrong = append(wrong, unless(l.Name != "" && err == nil && u.Scheme == "https" && u.Host != "", "link %q to %q: write a name and an https URL", l.Name, l.URL)...)
	}
	return append(wrong, unless(csv.Annotations["support"] != "", "the annotation support is empty")...)
}

// examplesOf decodes alm-examples.
func examplesOf(csv *clusterServiceVersion) ([]*unstructured.Unstructured, error) {
	var list []map[string]any
	if err := json.Unmarshal([]byte(csv.Annotations["alm-examples"]), &list); err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, o := range list {
		out = append(out, &unstructured.Unstructured{Object: o})
	}
	return out, nil
}

func checkExamples(b *bundle) (wrong []string) {
	examples, err := examplesOf(b.csvs[0])
	if err != nil {
		return []string{"the annotation alm-examples is not a JSON array of objects: " + err.Error()}
	}
	owned := map[string]bool{} // and whether it has an example
	for _, crd := range b.csvs[0].Spec.CRDs.Owned {
		owned[crd.Version+" "+crd.Kind] = false
	}
	names := map[string]bool{}
	for _, o := range examples {
		kind := o.GroupVersionKind().Version + " " + o.GetKind()
		_, ok := owned[kind]
		wrong = append(wrong, unless(ok, "the annotation alm-examples has an example of %s, which is not owned", kind)...)
		wrong = append(wrong, unless(!names[o.GetName()], "the annotation alm-examples has two examples named %s", o.GetName())...)
		owned[kind], names[o.GetName()] = true, true
		_, hasSpec := o.Object["spec"]
		wrong = append(wrong, unless(hasSpec, "example %s has no spec", o.GetName())...)
	}
	for kind, has := range owned {
		wrong = append(wrong, unless(has, "the annotation alm-examples has no example of %s", kind)...)
	}
	return wrong
}

func checkOwned(b *bundle) (wrong []string) {
	owned := map[string]bool{}
	for _, o := range b.csvs[0].Spec.CRDs.Owned {
		owned[o.Name] = true
		wrong = append(wrong, unless(o.DisplayName != "" && o.Description != "", "owned CRD %s needs a displayName and a description", o.Name)...)
		wrong = append(wrong, unless(len(o.Resources) > 0, "owned CRD %s needs the resources that it makes", o.Name)...)
		at := slices.IndexFunc(b.crds, func(crd *unstructured.Unstructured) bool { return crd.GetName() == o.Name })
		if at < 0 {
			wrong = append(wrong, fmt.Sprintf("owned CRD %s is not in the bundle", o.Name))
			continue
		}
		kind, _, _ := unstructured.NestedString(b.crds[at].Object, "spec", "names", "kind")
		wrong = append(wrong, unless(kind == o.Kind && schemaOf(b.crds[at], o.Version) != nil, "owned CRD %s: its kind is %s, or it has no version %s with a schema", o.Name, kind, o.Version)...)
	}
	for _, crd := range b.crds {
		wrong = append(wrong, unless(owned[crd.GetName()], "CRD %s is in the bundle and not owned", crd.GetName())...)
	}
	return wrong
}

// checkDescriptors wants one for every field at the top of an example's spec, and of the schema's status: the scorecard
// compares with the status of a live object, which may have any of them.
func checkDescriptors(b *bundle) (wrong []string) {
	examples, _ := examplesOf(b.csvs[0]) // checkExamples has looked at the error
	for _, o := range b.csvs[0].Spec.CRDs.Owned {
		for _, example := range examples {
			spec, _, _ := unstructured.NestedMap(example.Object, "spec")
			if example.GetKind() == o.Kind {
				wrong = append(wrong, missing(o.SpecDescriptors, "spec", spec)...)
			}
		}
		for _, crd := range b.crds {
			if status, ok, _ := unstructured.NestedMap(schemaOf(crd, o.Version), "properties", "status", "properties"); ok && crd.GetName() == o.Name {
				wrong = append(wrong, missing(o.StatusDescriptors, "status", status)...)
			}
		}
	}
	return wrong
}

func missing(have []descriptor, part string, fields map[string]any) (wrong []string) {
	for name := range fields {
		described := slices.ContainsFunc(have, func(d descriptor) bool { return d.Path == name && d.DisplayName != "" && d.Description != "" })
		wrong = append(wrong, unless(described, "%s.%s has no descriptor with a displayName and a description", part, name)...)
	}
	return wrong
}
