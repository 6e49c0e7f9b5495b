{{- /* The name that all objects begin with. */}}
{{- define "netbaseline.fullname" -}}
{{- $name := .Release.Name }}
{{- if not (contains "netbaseline" $name) }}{{ $name = printf "%s-netbaseline" $name }}{{ end }}
{{- .Values.fullnameOverride | default $name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* The labels of every object. */}}
{{- define "netbaseline.labels" -}}
app.kubernetes.io/name: netbaseline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The labels by which the operator's pods are found. They are those of config/, whose objects select by them. */}}
{{- define "netbaseline.selectorLabels" -}}
app.kubernetes.io/name: netbaseline
control-plane: controller-manager
{{- end }}

{{- define "netbaseline.image" -}}
{{- with .Values.image }}
{{- .repository }}{{ with .digest }}@{{ . }}{{ else }}:{{ .tag | default (printf "v%s" $.Chart.AppVersion) }}{{ end }}
{{- end }}
{{- end }}

{{- /* The protected namespaces of `list` as the alternatives of a regular expression, or the default. */}}
{{- define "netbaseline.protectedPattern" -}}
{{- if kindIs "slice" .list }}{{ .list | join "|" | replace "*" ".*" }}{{ else }}{{ .default }}{{ end }}
{{- end }}
