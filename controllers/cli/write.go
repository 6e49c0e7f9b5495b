// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"io"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// write prints a view in one of the formats.
func write(out io.Writer, format string, v *view) error {
	var text string
	var err error
	switch format {
	case "mermaid":
		text = draw(v).mermaid()
	case "dot":
		text = draw(v).dot()
	default:
		text, err = v.manifests()
	}
	if err == nil {
		_, err = io.WriteString(out, text)
	}
	return err
}

// manifests are the policies as YAML documents, by namespace and name. A baseline that no cluster knows has no UID yet,
// and so its policies have no ownerReferences here.
func (v *view) manifests() (string, error) {
	var policies []*networkingv1.NetworkPolicy
	for _, p := range v.previews {
		policies = append(policies, p.policies...)
	}
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var out strings.Builder
	for _, p := range policies {
		object := p.DeepCopy()
		object.TypeMeta = metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"}
		object.OwnerReferences = slices.DeleteFunc(object.OwnerReferences, func(o metav1.OwnerReference) bool {
			return strings.HasPrefix(string(o.UID), madeUpUID)
		})
		data, err := yaml.Marshal(object)
		if err != nil {
			return "", err
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.String(), nil
}
