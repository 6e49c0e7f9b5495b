// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// Revision is the part of a baseline's spec that is admitted and rolled out. It is never changed once it is made.
type Revision struct {
	// Name of the ControllerRevision that keeps it.
	Name string
	// Spec has the revisioned fields only.
	Spec v1alpha1.NetworkBaselineSpec

	selector labels.Selector
	// crosses reports whether a flow names namespaces, so that rendering reads the namespace's labels. See sides.
	crosses bool
}

// NewRevision compiles a revision. A namespaceSelector that does not compile is an error; the API server refuses it.
func NewRevision(name string, spec *v1alpha1.NetworkBaselineSpec) (*Revision, error) {
	selector, err := spec.NamespaceSelector.Selector()
	if err != nil {
		return nil, fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	crosses := slices.ContainsFunc(spec.Flows, func(f v1alpha1.Flow) bool {
		return f.From.NamespaceSelector != nil || f.To.NamespaceSelector != nil
	})
	return &Revision{Name: name, Spec: Revisioned(spec), selector: selector, crosses: crosses}, nil
}

// Revisioned is the part of a spec that is revisioned. The other fields act at once: mode, excludedNamespaces,
// deletionPolicy and preflight.
func Revisioned(spec *v1alpha1.NetworkBaselineSpec) v1alpha1.NetworkBaselineSpec {
	return v1alpha1.NetworkBaselineSpec{
		NamespaceSelector:           spec.NamespaceSelector,
		IncludedProtectedNamespaces: spec.IncludedProtectedNamespaces,
		Profile:                     spec.Profile,
		Flows:                       spec.Flows,
	}
}

// revisionData is what a ControllerRevision holds.
type revisionData struct {
	Spec v1alpha1.NetworkBaselineSpec `json:"spec"`
}

// EncodeRevision returns what a ControllerRevision holds, and its name: of the same baseline, equal specs have equal names,
// so that a reverted change is recognised as the revision that it was.
func EncodeRevision(baseline string, uid types.UID, spec *v1alpha1.NetworkBaselineSpec) (name string, data []byte, err error) {
	data, err = json.Marshal(revisionData{Revisioned(spec)})
	if err != nil {
		return "", nil, fmt.Errorf("encoding the revision: %w", err)
	}
	sum := sha256.Sum256(append([]byte(uid), data...))
	return baseline + "-" + hex.EncodeToString(sum[:5]), data, nil
}

// DecodeRevision reads what EncodeRevision made.
func DecodeRevision(name string, data []byte) (*Revision, error) {
	var decoded revisionData
	if err := json.Unmarshal(data, &decoded); err != nil {
		return nil, fmt.Errorf("decoding revision %s: %w", name, err)
	}
	return NewRevision(name, &decoded.Spec)
}

// Admitted is a baseline whose spec is in force everywhere, for those who ask what a spec means: nothing waits.
func Admitted(b *v1alpha1.NetworkBaseline) (*Baseline, error) {
	name, _, err := EncodeRevision(b.Name, b.UID, &b.Spec)
	if err != nil {
		return nil, err
	}
	r, err := NewRevision(name, &b.Spec)
	if err != nil {
		return nil, err
	}
	return &Baseline{
		Name: b.Name, UID: b.UID, Created: b.CreationTimestamp.Time, Version: name,
		Mode: b.Spec.Mode, Excluded: b.Spec.ExcludedNamespaces, DeletionPolicy: b.Spec.DeletionPolicy,
		Deleting: b.DeletionTimestamp != nil, Current: r, Update: r, Admitted: true, Settled: true,
	}, nil
}
