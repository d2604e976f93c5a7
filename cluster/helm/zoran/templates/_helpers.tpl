{{- define "zoran.name" -}}
{{- if contains "zoran" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-zoran" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "zoran.selector" -}}
app.kubernetes.io/name: zoran
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "zoran.labels" -}}
{{ include "zoran.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "zoran.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "zoran.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "zoran.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Variables of every node. Kubernetes sets ZORAN_… itself for a service of that name: see enableServiceLinks. */}}
{{- define "zoran.env" -}}
- {name: ZORAN_STATE_DIR, value: /var/lib/zoran}
- {name: ZORAN_CLUSTER__ADDRESS, value: auto}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
{{- if .Values.secrets.nodeTls }}
- {name: RAY_USE_TLS, value: "1"}
- {name: RAY_TLS_SERVER_CERT, value: /run/secrets/node-tls/tls.crt}
- {name: RAY_TLS_SERVER_KEY, value: /run/secrets/node-tls/tls.key}
- {name: RAY_TLS_CA_CERT, value: /run/secrets/node-tls/ca.crt}
{{- end }}
{{- end }}

{{- define "zoran.envFrom" -}}
{{- with .Values.secrets.providers }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end }}

{{- define "zoran.mounts" -}}
- {name: config, mountPath: /etc/zoran, readOnly: true}
- {name: run, mountPath: /run/zoran}
- {name: tmp, mountPath: /tmp}
- {name: home, mountPath: /home/zoran}
- {name: state, mountPath: /var/lib/zoran}
{{- if .Values.secrets.nodeTls }}
- {name: node-tls, mountPath: /run/secrets/node-tls, readOnly: true}
{{- end }}
{{- end }}

{{/* All volumes but `state`. */}}
{{- define "zoran.volumes" -}}
- name: config
  configMap: {name: {{ include "zoran.name" . }}}
- name: run
  emptyDir: {sizeLimit: 64Mi}
- name: tmp
  emptyDir: {sizeLimit: 16Gi}
- name: home
  emptyDir: {sizeLimit: 64Gi}
{{- with .Values.secrets.nodeTls }}
- name: node-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "zoran.resources" -}}
{{- $found := dict "cpu" (toString .cpus) "memory" .memory }}
{{- if .gpus }}{{ $found = merge $found (dict "nvidia.com/gpu" (toString .gpus)) }}{{ end }}
limits: {{ toJson $found }}
requests: {{ toJson $found }}
{{- end }}

{{/* KubeRay puts this in front of `ray start`, in the same shell. */}}
{{- define "zoran.prepare" -}}
zoran cluster environment --run-dir /run/zoran --config /etc/zoran/zoran.yaml > /run/zoran/environment && . /run/zoran/environment || exit 3
{{- end }}
