"""The CEL of the gate: how a pod is compared with a Clearance's templates. aiqms.gate.normal says the same in Python.

Expressions are text for a Helm template: what a site may change is a Helm expression inside them. docs/gate.md says what CEL costs in the API server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiqms.gate.rules import (
    APART,
    CONTAINER_APART,
    CONTAINER_FREE,
    FREE,
    GATE,
    GUARDED,
    LABEL,
    OPERATOR,
    OWN_CLAIM,
    PER_POD,
    PER_POD_VALUE,
    SUBJECT,
    TOKEN,
    TOKEN_PATH,
)


def literal(value: Any) -> str:
    """A CEL literal of plain values; dyn() throughout, because the API server's CEL wants literals of one type."""
    if isinstance(value, dict):
        return "dyn({" + ", ".join(f"{json.dumps(k)}: {literal(v)}" for k, v in value.items()) + "})"
    if isinstance(value, list):
        return "dyn([" + ", ".join(literal(v) for v in value) + "])"
    return f"dyn({json.dumps(value)})"


def names(values: Iterable[str]) -> str:
    """A CEL list of words without quotes in them."""
    return "[" + ", ".join(f"'{v}'" for v in values) + "]"


def regex(pattern: str) -> str:
    """A CEL raw string."""
    return f"r'{pattern}'"


class Said(str):
    """A message that admission works out: a CEL expression."""


def say(text: str) -> Said:
    """The message of a text: what stands between backticks in it is a CEL expression, the rest is said as it is."""
    parts = text.split("`")
    return Said(" + ".join(part if i % 2 else literal_text(part) for i, part in enumerate(parts) if part))


def literal_text(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def inline(expression: str, variables: Mapping[str, str]) -> str:
    """A boolean expression without the policy's variables, which a matchCondition may not name: `[x].exists(v, f(v))` is its "let".

    Unlike variables they are worked out whether needed or not.
    """
    for name, value in reversed(list(variables.items())):
        if f"variables.{name}" in expression:
            expression = f"[{value}].exists({name}, {expression.replace(f'variables.{name}', name)})"
    return expression


# What the chart's values say
PLAIN_RESOURCES = "{{ toJson .Values.gate.plainResources }}"
PLAIN_RUNTIMES = "{{ toJson .Values.gate.plainRuntimes }}"
PEOPLE_GROUPS = "{{ toJson .Values.gate.peopleGroups }}"
DEVICE_ENV = "r'^({{ join \"|\" .Values.gate.deviceEnv }})$'"
EXEMPT = '{{ include "aiqms.gate.exempt" . }}'

# The request
CREATED = "request.operation == 'CREATE'"
BY_OPERATOR = f"request.userInfo.username == '{OPERATOR}'"
GOING = "has(namespaceObject.metadata.deletionTimestamp)"  # clearing up a namespace that is going. Only in validations: a matchCondition has no namespaceObject
META_CHANGED = "(object.metadata.?annotations != oldObject.metadata.?annotations || object.metadata.?labels != oldObject.metadata.?labels)"
SPEC_CHANGED = "(request.?subResource.orValue('') != 'status' && object.spec != oldObject.spec)"


def node_right(subresource: str, verb: str) -> str:
    """Whoever asks may do this to pods in all namespaces, as only schedulers, kubelets and network plugins may."""
    return f"authorizer.group('').resource('pods').subresource('{subresource}').check('{verb}').allowed()"


# The pod: `o` is object or oldObject
def who(o: str = "object") -> str:
    """Name of the pod's AIModelDeployment."""
    return f"{o}.metadata.?labels[?'{LABEL}'].orValue('')"


def held(o: str = "object") -> str:
    return f"{o}.spec.?schedulingGates.orValue([]).exists(g, g.name == '{GATE}')"


def subject_of(o: str = "object") -> str:
    return f"{o}.metadata.?annotations[?'{SUBJECT}']"


IS_DEVICE = f"!(k in {PLAIN_RESOURCES} || k.startsWith('hugepages-'))"
IS_GUARDED = f"k.matches({regex(GUARDED)})"


def listed(kind: str) -> str:
    """Resources of container `c`: kind is limits or requests."""
    return f"dyn(c.?resources.?{kind}.orValue({{}}))"


# The normal form of a pod that the API server has defaulted, as one plain map. Read it beside normal.py. variables.tokens: names of the injected token volumes
AUTOMOUNTED = "object.spec.?automountServiceAccountToken.orValue(true)"  # else no token was injected, and a copy of one is somebody's own
TOKENS = f"object.spec.?volumes.orValue([]).filter(v, {AUTOMOUNTED} && has(v.projected) && v.projected == {literal(TOKEN)}).map(v, v.name)"
INJECTED = f"m.mountPath == '{TOKEN_PATH}' && m.name in variables.tokens && m.?readOnly.orValue(false) && dyn(m).size() == 3"
CONTAINER = f"""{{
    'fields': dyn(dyn(c).transformMap(f, y, !(f in {names(CONTAINER_APART)}), y)),
    'mounts': dyn(c.?volumeMounts.orValue([]).filter(m, !({INJECTED}))),
    'devices': dyn({listed("limits")}.transformMap(k, q, {IS_DEVICE}, q)),
    'claims': dyn(c.?resources.?claims.orValue([]))}}"""
OWNED = """has(v.persistentVolumeClaim) && v.persistentVolumeClaim == {'claimName': v.name + '-' + object.metadata.?name.orValue('')}
      && object.metadata.?ownerReferences.orValue([]).exists(o, o.kind == 'StatefulSet' && o.?controller.orValue(false))"""
NORMAL = f"""{{
  'fields': dyn(dyn(object.spec).transformMap(k, x, !(k in {names((*FREE, *APART))}), x)),
  'containers': dyn(object.spec.containers.map(c, {CONTAINER})),
  'initContainers': dyn(object.spec.?initContainers.orValue([]).map(c, {CONTAINER})),
  'volumes': dyn(object.spec.?volumes.orValue([]).transformMapEntry(i, v, !(v.name in variables.tokens), {{v.name: {OWNED} ? {literal(OWN_CLAIM)} : dyn(v)}}))
}}"""


def counts(guarded: str, read: str) -> str:
    """Whether label or annotation `k` with value `x` is compared."""
    return f"{guarded}({read} && k != '{SUBJECT}' && !(k in {names(PER_POD)} && x.matches({regex(PER_POD_VALUE)})))"


def noted(kind: str, guarded: str) -> str:
    """Labels or annotations of the pod that count are those of the template.

    The pod equals the template in all else, so what it reads through the downward API is what the template reads.
    """
    kept = counts(guarded, "reads.size() > 0 && (k in reads || '*' in reads)")
    return f"[e.template.reads.{kind}].exists(reads, dyn(object.metadata.?{kind}.orValue({{}})).transformMap(k, x, {kept}, x) == e.template.{kind})"


# An entry `e` of the Clearance
AUDIT = "e.?audit.orValue(false)"  # the procedure only watches: whatever the pod is, it passes
EQUAL = f"""variables.normal == e.template.pod
    && {noted("annotations", IS_GUARDED + " || ")}
    && (e.template.reads.labels.size() == 0 || {noted("labels", "")})"""
STAMPS = f"has(e.fingerprint) && ({AUDIT} || e.template.stamp)"

# The server's clock. On CREATE validating admission sees creationTimestamp, which nobody can forge; before that, and on UPDATE, the request's own managedFields
# entry has the time.
BY_CREATION = "timestamp(object.metadata.creationTimestamp) < timestamp(e.validUntil)"
BY_SERVER = "object.metadata.?managedFields.orValue([]).all(m, !has(m.time) || timestamp(m.time) < timestamp(e.validUntil))"


def live(clock: str) -> str:
    return f"(has(e.validUntil) ? {clock} : {AUDIT})"


def covers(clock: str) -> str:
    return f"({AUDIT} || ({EQUAL})) && {live(clock)}"


def compare(clock: str, name: str) -> dict[str, str]:
    """Variables that find the entries which cover the pod `object`; `name` is the expression for its AIModelDeployment."""
    return {
        "entries": f"params.?spec.?deployments[?{name}].orValue([])",
        "tokens": TOKENS,
        "normal": f"variables.entries.all(e, {AUDIT}) ? dyn({{}}) : dyn({NORMAL})",
        "equal": f"variables.entries.filter(e, {AUDIT} || ({EQUAL}))",
        "covering": f"variables.equal.filter(e, {live(clock)})",
    }


# A pod `p` that exists: what it reads through the downward API, and what of it may not change any more
CONTAINERS = "(p.spec.containers + p.spec.?initContainers.orValue([]))"
PATHS = ".filter(i, has(i.fieldRef)).map(i, i.fieldRef.fieldPath).join('\\n')"
IN_ENV = f"{CONTAINERS}.map(c, c.?env.orValue([]).filter(e, has(e.valueFrom)).map(e, e.valueFrom){PATHS}).join('\\n')"
IN_VOLUMES = f"p.spec.?volumes.orValue([]).map(v, v.?downwardAPI.?items.orValue([]){PATHS}).join('\\n')"
IN_SOURCES = f"v.?projected.?sources.orValue([]).map(s, s.?downwardAPI.?items.orValue([]){PATHS}).join('\\n')"
IN_PROJECTED = f"p.spec.?volumes.orValue([]).map(v, {IN_SOURCES}).join('\\n')"
READS = f"[object].map(p, '\\n' + {IN_ENV} + '\\n' + {IN_VOLUMES} + '\\n' + {IN_PROJECTED} + '\\n')[0]"
FIXED_SPEC = f"""dyn(p.spec).transformMap(k, x, !(k in {names(FREE)}),
  k == 'containers' || k == 'initContainers' ? dyn(x.map(c, dyn(c).transformMap(f, y, !(f in {names(CONTAINER_FREE)}), y))) : dyn(x))"""
FIXED_DEVICES = f"{CONTAINERS}.map(c, [dyn({listed('limits')}.transformMap(k, q, {IS_DEVICE}, q)), dyn(c.?resources.?claims.orValue([]))])"


def fixed_notes(kind: str, guarded: str) -> str:
    read = f"(variables.reads.contains('\\nmetadata.{kind}\\n') || variables.reads.contains(\"\\nmetadata.{kind}['\" + k + \"']\\n\"))"
    return f"dyn(p.metadata.?{kind}.orValue({{}})).transformMap(k, x, {counts(guarded, read)}, x)"


def differs(part: str) -> str:
    """Whether a part of the pod `p` is another one than before the request."""
    return f"[[dyn(object), dyn(oldObject)].map(p, {part})].exists(b, b[0] != b[1])"
