{{- define "chimp.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Of one process: (dict "root" $ "component" "page") */ -}}
{{- define "chimp.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "chimp.image" -}}
{{- $repository := required "image.repository must be given: REGISTRY/chimp-assets" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ required "image.tag must be given" .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "chimp.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "chimp.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "chimp.env" -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- /* What a process writes: its home, which it can do without, and scratch. */ -}}
{{- define "chimp.mounts" -}}
- {name: home, mountPath: /chimp}
- {name: scratch, mountPath: /scratch}
{{- if . }}
- {name: vault, mountPath: /run/secrets/vault, readOnly: true}
{{- end }}
{{- end }}

{{- /* (list SCRATCH KEY_VAULT_SECRET) */ -}}
{{- define "chimp.volumes" -}}
- name: home
  emptyDir: {sizeLimit: 64Mi}
- name: scratch
  emptyDir: {sizeLimit: {{ index . 0 }}}
{{- with index . 1 }}
- name: vault
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes: {secretProviderClass: {{ . }}}
{{- end }}
{{- end }}

{{- define "chimp.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
