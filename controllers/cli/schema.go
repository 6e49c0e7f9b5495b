// Copyright The netbaseline Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/config/crd"
)

// Schema is the CustomResourceDefinition's, and refuses what the API server would refuse, in its words.
type Schema struct {
	structural *structuralschema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

// BuiltInSchema compiles the schema that is built in, once.
var BuiltInSchema = sync.OnceValues(newSchema)

func newSchema() (*Schema, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.NetworkBaseline, &definition); err != nil {
		return nil, fmt.Errorf("reading the CustomResourceDefinition: %w", err)
	}
	i := slices.IndexFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == v1alpha1.GroupVersion.Version
	})
	if i < 0 {
		return nil, fmt.Errorf("the CustomResourceDefinition has no version %s", v1alpha1.GroupVersion.Version)
	}
	var internal apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(definition.Spec.Versions[i].Schema, &internal, nil); err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	openAPI, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	return &Schema{structural, openAPI, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// Read checks an object as it was decoded from YAML or JSON and returns the baseline that the API server would store.
// Beyond what the API server refuses, it refuses a null in spec, which would be dropped without a word.
func (s *Schema) Read(ctx context.Context, object map[string]any) (*v1alpha1.NetworkBaseline, field.ErrorList) {
	object = runtime.DeepCopyJSON(object)
	delete(object, "status") // as in every create: it is a subresource
	errs := nulls(field.NewPath("spec"), object["spec"])
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, append(errs, field.Invalid(field.NewPath("metadata"), "", err.Error()))
	}
	if !found {
		return nil, append(errs, field.Required(field.NewPath("metadata", "name"), "write a name for the baseline"))
	}
	unknown = append(unknown, pruning.PruneWithOptions(object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	for _, path := range unknown {
		errs = append(errs, field.Invalid(field.NewPath(path), "", "unknown field"+s.fieldsBeside(path)))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	errs = append(errs, metavalidation.ValidateObjectMeta(meta, false, metavalidation.NameIsDNSSubdomain, field.NewPath("metadata"))...)
	schemaErrs := validation.ValidateCustomResource(nil, object, s.openAPI)
	schemaErrs = append(schemaErrs, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if !slices.ContainsFunc(schemaErrs, blocking) {
		ruleErrs, _ := s.rules.Validate(ctx, nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
		schemaErrs = append(schemaErrs, ruleErrs...)
	}
	if errs = append(errs, schemaErrs...); len(errs) > 0 {
		return nil, errs
	}
	baseline := &v1alpha1.NetworkBaseline{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, baseline); err != nil {
		return nil, field.ErrorList{field.InternalError(nil, err)}
	}
	return baseline, nil
}

// blocking says whether the rules cannot be evaluated on an object with this error, as the API server has it.
func blocking(err *field.Error) bool {
	return slices.Contains([]field.ErrorType{
		field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid,
	}, err.Type)
}

// nulls finds fields without a value: "defaultDeny:" for "defaultDeny: {}", say.
func nulls(path *field.Path, value any) field.ErrorList {
	var errs field.ErrorList
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if value[key] == nil {
				errs = append(errs, field.Invalid(path.Child(key), "", "has no value, and would be dropped: write "+key+": {} for its defaults, or leave it out"))
			}
			errs = append(errs, nulls(path.Child(key), value[key])...)
		}
	case []any:
		for i := range value {
			errs = append(errs, nulls(path.Index(i), value[i])...)
		}
	}
	return errs
}

// fieldsBeside names the fields that the schema knows where the path leads.
func (s *Schema) fieldsBeside(path string) string {
	at := s.structural
	parts := strings.Split(path, ".")
	for _, part := range parts[:len(parts)-1] {
		name, _, list := strings.Cut(part, "[")
		next, ok := at.Properties[name]
		if !ok {
			return ""
		}
		if at = &next; list {
			at = at.Items
		}
	}
	known := slices.Sorted(maps.Keys(at.Properties))
	if len(known) == 0 {
		return ""
	}
	return ": the fields here are " + strings.Join(known, ", ")
}

// wording is what an error says; the fields that we refuse ourselves need no value shown.
func wording(err *field.Error) string {
	if err.Type == field.ErrorTypeInvalid && err.BadValue == "" {
		return err.Field + ": " + err.Detail
	}
	return err.Error()
}
