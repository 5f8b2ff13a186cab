{{- define "holdfast.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "holdfast.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The table [gateway]: what a change of it needs is a restart, so the pods carry its checksum. */}}
{{- define "holdfast.gateway" -}}
{{- $name := include "holdfast.name" . -}}
{{- $space := printf "%s.%s" $name .Release.Namespace -}}
{{- $names := concat (list $name $space (printf "%s.svc" $space) (printf "%s.svc.cluster.local" $space)) .Values.gateway.names -}}
{{- if and .Values.ingress.enabled .Values.ingress.host -}}
{{- $names = append $names .Values.ingress.host -}}
{{- end -}}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/@]*@" .Values.database.url -}}
{{- fail "database.url holds a password: write it into the secret database.existingSecret" -}}
{{- end -}}
[gateway]
store = {{ required "database.url: write the address of a PostgreSQL database, without a password" .Values.database.url | toJson }}
drain = {{ .Values.gateway.drain | toJson }}
names = {{ $names | uniq | toJson }}
{{- end -}}

{{/* Seconds of a time such as 30s. */}}
{{- define "holdfast.seconds" -}}
{{ trimSuffix "s" . | int }}
{{- end -}}
