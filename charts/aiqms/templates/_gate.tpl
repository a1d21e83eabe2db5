{{- /* What the policies take from .Values.gate where a value is not simply put in. They are rendered by python -m aiqms.gate.render. */ -}}

{{- /* Namespaces that can never be governed: the cluster's own, AIQMS' own, and the site's. */ -}}
{{- define "aiqms.gate.exempt" -}}
{{ concat (list "kube-system" "aiqms-system") .Values.gate.exemptNamespaces | uniq | toJson }}
{{- end }}

{{- /* What happens to an open ask for devices in a namespace that is not governed. YAML reads an unquoted Off as false. */ -}}
{{- define "aiqms.gate.elsewhere" -}}
{{- $choice := toString .Values.gate.elsewhere -}}
{{- if eq $choice "Deny" }}["Deny"]{{ else if eq $choice "Warn" }}["Warn", "Audit"]{{ else }}[]{{ end }}
{{- end }}
