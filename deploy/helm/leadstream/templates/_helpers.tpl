{{/* The name of every object of this release. */}}
{{- define "leadstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "leadstream.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "leadstream.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "leadstream.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "leadstream.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "leadstream.fullname" .) -}}
{{- end -}}

{{/* Labels that find the pods. They must never change. */}}
{{- define "leadstream.selector" -}}
app.kubernetes.io/name: {{ include "leadstream.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "leadstream.labels" -}}
{{ include "leadstream.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The port of an address such as 0.0.0.0:8480. */}}
{{- define "leadstream.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* The public webhook listener's address, empty when it is off. */}}
{{- define "leadstream.webhook" -}}
{{- (.Values.config.webhook | default dict).listen | default "" -}}
{{- end -}}

{{/* Not empty where an address is one of the pod's loopback interface. */}}
{{- define "leadstream.loopback" -}}
{{- regexFind "(?i)^(127\\.|localhost:|[^:]*\\.localhost:|\\[::1\\]|\\[::ffff:127\\.|\\[0*(:0*)*:0*1\\])" . -}}
{{- end -}}
