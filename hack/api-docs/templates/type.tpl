{{- define "type" -}}
{{- $type := . -}}
{{- if markdownShouldRenderType $type }}
### {{ $type.Name }}

{{ $type.Doc }}
{{ if $type.IsAlias }}
Underlying type: {{ markdownRenderTypeLink $type.UnderlyingType }}
{{ end }}
{{- with $type.SortedReferences }}
Used by: {{ range $i, $ref := . }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $ref }}{{ end }}
{{ end }}
{{- with $type.Validation }}
Rules:
{{ range . }}
- {{ . }}
{{- end }}
{{ end }}
{{- if $type.Members }}
| Field | What it is | Default | Rules |
|---|---|---|---|
{{- if $type.GVK }}
| `apiVersion` _string_ | `{{ $type.GVK.Group }}/{{ $type.GVK.Version }}` | | |
| `kind` _string_ | `{{ $type.GVK.Kind }}` | | |
{{- end }}
{{- range $type.Members }}
| `{{ .Name }}` _{{ markdownRenderType .Type }}_ | {{ template "type_members" . }} | {{ with .Default }}`{{ . }}`{{ end }} | {{ range $i, $rule := .Validation }}{{ if $i }}<br />{{ end }}{{ if eq $rule "Optional: {}" }}optional{{ else if eq $rule "Required: {}" }}required{{ else }}{{ markdownRenderFieldDoc $rule }}{{ end }}{{ end }} |
{{- end }}
{{ end }}
{{- if $type.EnumValues }}
| Value | What it means |
|---|---|
{{- range $type.EnumValues }}
| `{{ .Name }}` | {{ markdownRenderFieldDoc .Doc }} |
{{- end }}
{{ end }}
{{- end }}
{{- end -}}
