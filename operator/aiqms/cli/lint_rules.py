"""The rules of `kubectl qms lint`: one small function each, and the list of them is their documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from aiqms.api.conditions import Reason
from aiqms.api.crds import CLEARANCE, DEPLOYMENT, KINDS, PROCEDURE, RECORD
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.values import API_VERSION, GROUP, Json
from aiqms.cli.lint_reach import mapping, mappings, reaches
from aiqms.cli.lint_schema import wrong
from aiqms.cli.lint_supply import Asked, Place, asking, elsewhere, strange_secrets, unbound, unpinned
from aiqms.cli.manifests import Manifest, Sources, Step
from aiqms.cli.offline import MALFORMED, namespace_labels
from aiqms.gate.defaults import defaulted
from aiqms.gate.normal import inputs
from aiqms.gate.normal import template as normal_form
from aiqms.gate.policies.advise import ROLLOUTS
from aiqms.gate.rules import ALWAYS_EXEMPT, EDITORS, GATE, GOVERNED, LABEL, MODEL, SUBJECT, Rules
from aiqms.gate.workload import BY_KIND, pod_of
from aiqms.policy.binding import tie
from aiqms.policy.facts import Procedure
from aiqms.policy.procedures import applies
from aiqms.policy.sinks import refused
from aiqms.policy.supply import uri_refused

Path = tuple[Step, ...]
Found = tuple[Manifest, Path, str]  # the object, the field, and what is wrong with it and what to do
(_, RECREATE), (_, UNAVAILABLE), (_, STATEFULSET), (_, DAEMONSET) = ROLLOUTS  # as policy `advise` says it
NONE_AWAY = ("0", "0%")
PROGRESS_DEADLINE = 600  # seconds, where a Deployment says none (k8s.io/api/apps/v1)
HASHED = re.compile(r"-(v?[0-9]+|(?=[a-z0-9]*[0-9])[a-z0-9]{6,64})$")  # Kustomize's and Helm charts' hashes, and versions counted by hand


@dataclass(frozen=True)
class Finding:
    """What a rule found, and where. field: dotted, below the object."""

    rule: str
    file: str
    line: int
    source: str
    namespace: str
    kind: str
    name: str
    field: str
    message: str

    def dump(self) -> Json:
        """Plain values for -o json and -o yaml."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Work:
    """A workload with a pod template. at: where the template is in the object."""

    manifest: Manifest
    namespace: str
    at: Path
    template: Json

    @property
    def kind(self) -> str:
        return self.manifest.kind

    @property
    def spec(self) -> Json:
        return mapping(self.manifest.obj.get("spec"))

    @property
    def label(self) -> str:
        """The AIModelDeployment that its pods name."""
        return str(self.noted("labels").get(LABEL) or "")

    def noted(self, kind: str) -> Json:
        """Labels or annotations of the template."""
        return mapping(mapping(self.template.get("metadata")).get(kind))

    def found(self, path: Path, message: str) -> Found:
        """A finding at a field of the template."""
        return self.manifest, (*self.at, *path), message


@dataclass(frozen=True)
class Linted:
    """What rules look at. given: every manifest; rules: of the gate; approvals_take: how long people take to approve."""

    given: Sources
    rules: Rules
    approvals_take: timedelta

    @cached_property
    def manifests(self) -> Sources:
        """Each object once."""
        return self.given.applied()

    @cached_property
    def works(self) -> list[Work]:
        """Every object with a pod template."""
        return [w for m in self.manifests.all if (w := self._work(m)) is not None]

    def _work(self, manifest: Manifest) -> Work | None:
        kind = BY_KIND.get((str(manifest.obj.get("apiVersion")), manifest.kind))
        if kind is None:
            return None
        template: Any = manifest.obj
        for step in kind.template:
            template = mapping(template).get(step)
        return Work(manifest, self.manifests.place(manifest.obj), kind.template, template) if isinstance(template, dict) else None

    @cached_property
    def labelled(self) -> list[Work]:
        """Those whose pods name an AIModelDeployment."""
        return [w for w in self.works if w.label]

    @cached_property
    def register(self) -> list[Manifest]:
        """The AIModelDeployments."""
        return self.manifests.of_kind(DEPLOYMENT.kind)

    @cached_property
    def procedures(self) -> list[tuple[str, ProcedureSpec]]:
        """The QMSProcedures that can be read, by name."""
        return [(m.name, p) for m in self.manifests.of_kind(PROCEDURE.kind) if (p := wrong(m)[0]) is not None]

    def entry(self, namespace: str, name: str) -> Manifest | None:
        """The register entry of this name."""
        return next((m for m in self.register if m.name == name and self.manifests.place(m.obj) == namespace), None)

    def listed(self, entry: Manifest) -> list[tuple[int, str, str]]:
        """Index, kind and name of each workload that a register entry lists."""
        found = mappings(mapping(entry.obj.get("spec")).get("workloads"))
        return [(i, str(item.get("kind")), str(item.get("name"))) for i, item in found]

    def may_be_governed(self, namespace: str) -> bool:
        """Not exempt, and its manifest, if it is among these, has the label."""
        labels = namespace_labels(self.manifests.objects, namespace)
        return namespace not in (*ALWAYS_EXEMPT, *self.rules.exempt_namespaces) and (labels is None or GOVERNED in labels)


def unlabelled_gpu(lint: Linted) -> Iterator[Found]:
    for work in lint.works:
        if work.label or not lint.may_be_governed(work.namespace):
            continue
        misplaced = LABEL in mapping(work.manifest.obj["metadata"].get("labels"))
        hint = f" (it stands on the {work.kind} itself, not in its pod template)" if misplaced and work.at else ""
        yield from (work.found(path, f"its pods will be refused: {message}{hint}") for path, message in reaches(work.template, lint.rules))


def rollout(lint: Linted) -> Iterator[Found]:
    for work in lint.labelled:
        match work.kind:
            case "Deployment":
                yield from _deployment_rollout(work)
            case "StatefulSet" if mapping(work.spec.get("updateStrategy")).get("type") != "OnDelete":
                yield work.manifest, ("spec", "updateStrategy", "type"), STATEFULSET
            case "DaemonSet" if mapping(work.spec.get("updateStrategy")).get("type") != "OnDelete" and _share(work, "updateStrategy", 1) not in NONE_AWAY:
                yield work.manifest, ("spec", "updateStrategy", "rollingUpdate", "maxUnavailable"), DAEMONSET


def _deployment_rollout(work: Work) -> Iterator[Found]:
    at: Path = ("spec", "strategy", "rollingUpdate")
    if mapping(work.spec.get("strategy")).get("type") == "Recreate":
        yield work.manifest, ("spec", "strategy", "type"), RECREATE
    elif _share(work, "strategy", "25%") not in NONE_AWAY:
        yield work.manifest, (*at, "maxUnavailable"), UNAVAILABLE
    elif _share(work, "strategy", "25%", "maxSurge") in NONE_AWAY:
        yield work.manifest, (*at, "maxSurge"), "maxSurge 0 leaves no room for a new pod beside the old ones: set spec.strategy.rollingUpdate.maxSurge: 1"


def _share(work: Work, strategy: str, default: object, field: str = "maxUnavailable") -> str:
    return str(mapping(mapping(work.spec.get(strategy)).get("rollingUpdate")).get(field, default))


def deadline(lint: Linted) -> Iterator[Found]:
    people = lint.approvals_take.total_seconds()
    for work in lint.labelled:
        if work.kind == "Deployment" and _seconds(work.spec, "progressDeadlineSeconds", PROGRESS_DEADLINE) < people:
            given = "" if "progressDeadlineSeconds" in work.spec else " (the default)"
            seconds = _seconds(work.spec, "progressDeadlineSeconds", PROGRESS_DEADLINE)
            message = f"a rollout that waits for approval is shown as failed after {seconds:g} s{given}: set spec.progressDeadlineSeconds: {people:g} or more"
            yield work.manifest, ("spec", "progressDeadlineSeconds"), message
        job: Path = {"Job": ("spec",), "CronJob": ("spec", "jobTemplate", "spec")}.get(work.kind, ())
        if job and _seconds(_below(work.manifest.obj, job), "activeDeadlineSeconds", people) < people:
            message = f"it runs on while pods wait for approval, and then the Job fails: set activeDeadlineSeconds: {people:g} or more, or approve beforehand"
            yield work.manifest, (*job, "activeDeadlineSeconds"), message


def _below(obj: Json, path: Path) -> Json:
    for step in path:
        obj = mapping(obj.get(str(step)))
    return obj


def _seconds(of: Json, field: str, default: float) -> float:
    value = of.get(field, default)
    return float(value) if isinstance(value, int | float) else default


def config_hash(lint: Linted) -> Iterator[Found]:
    seen: set[tuple[str, str]] = set()
    for work in lint.labelled:
        for name in _config_maps(work, lint.rules):
            if HASHED.search(name) or (work.namespace, name) in seen:
                continue
            seen.add((work.namespace, name))
            own = next((m for m in lint.manifests.of_kind("ConfigMap") if m.name == name and lint.manifests.place(m.obj) == work.namespace), None)
            at = (own, ("metadata", "name")) if own else (work.manifest, work.at)
            message = (
                f"ConfigMap {name} is frozen while pods of {work.label} that read it are cleared, so its change would be refused:"
                " give it a name with a hash or version (Kustomize's configMapGenerator, a checksum in Helm), a new one for each content"
            )
            yield (*at, message)


def _config_maps(work: Work, rules: Rules) -> list[str]:
    try:
        return [r.removeprefix("configmaps/") for r in inputs(pod_of(defaulted(work.manifest.obj)), rules) if r.startswith("configmaps/")]
    except (ValueError, *MALFORMED):
        return []  # rule `template` says so


def template(lint: Linted) -> Iterator[Found]:
    for work in lint.works:
        try:
            inputs(pod_of(defaulted(work.manifest.obj)), lint.rules)
        except (ValueError, *MALFORMED):
            yield work.found(("spec",), "this pod template is none that Kubernetes would take: kubectl apply --dry-run=server says where")


def model(lint: Linted) -> Iterator[Found]:
    for work in lint.labelled:
        entry = lint.entry(work.namespace, work.label)
        wanted = str(mapping(mapping((entry.obj if entry else {}).get("spec")).get("model")).get("digest") or "")
        match _tied(lint, work, wanted):
            case Reason.MODEL_DECLARED_NOWHERE:
                said = wanted or "the digest of the model that it serves"
                yield work.found(("metadata",), f"nothing ties the pods to a model: set annotation {MODEL} of the pod template to {said}")
            case Reason.MODEL_MISMATCH:
                declares = f"declares {work.noted('annotations')[MODEL]}, but AIModelDeployment {work.label} has spec.model.digest {wanted}"
                yield work.found(("metadata", "annotations", MODEL), f"{declares}: its pods are held until the two agree")


def _tied(lint: Linted, work: Work, wanted: str) -> Reason | None:
    """How the template is tied to the register's model, as the operator judges it; without a register entry the annotation alone tells."""
    if not wanted:
        return None if work.noted("annotations").get(MODEL) else Reason.MODEL_DECLARED_NOWHERE
    normal = _normal(lint, work)
    return tie(normal, wanted, ()).reason if normal else None


def _normal(lint: Linted, work: Work) -> Json | None:
    """The normal form of the template; None where Kubernetes would not take it, as rule `template` says."""
    try:
        return normal_form(pod_of(defaulted(work.manifest.obj)), lint.rules)
    except (ValueError, *MALFORMED):
        return None


def registered(lint: Linted) -> Iterator[Found]:
    for work in lint.labelled if lint.register else []:
        entry, at = lint.entry(work.namespace, work.label), ("metadata", "labels", LABEL)
        if entry is None:
            message = f"no AIModelDeployment {work.label} of namespace {work.namespace} is among these manifests, so the pods wait for ever: register it"
            yield work.found(at, message)
        elif (work.kind, work.manifest.name) not in [(kind, name) for _, kind, name in lint.listed(entry)]:
            what = f"{{apiVersion: {work.manifest.obj['apiVersion']}, kind: {work.kind}, name: {work.manifest.name}}}"
            yield work.found(at, f"AIModelDeployment {work.label} does not list this {work.kind}, so its pods wait for ever: add {what} to its spec.workloads")


def listed_twice(lint: Linted) -> Iterator[Found]:
    first: dict[tuple[str, str, str], str] = {}
    for entry in lint.register:
        for i, kind, name in lint.listed(entry):
            other = first.setdefault((lint.manifests.place(entry.obj), kind, name), entry.name)
            if other != entry.name:
                yield entry, ("spec", "workloads", i), f"{kind}/{name} is listed by AIModelDeployment {other} too: leave it in the one that its pods name"


def listed_exists(lint: Linted) -> Iterator[Found]:
    for entry in lint.register if lint.works else []:
        namespace = lint.manifests.place(entry.obj)
        there = {(w.kind, w.manifest.name): w for w in lint.works if w.namespace == namespace}
        for i, kind, name in lint.listed(entry):
            work = there.get((kind, name))
            if work is None:
                yield entry, ("spec", "workloads", i), f"{kind}/{name} is not among these manifests: give its file too, or take it off the list"
            elif work.label != entry.name:
                now = f"name AIModelDeployment {work.label}" if work.label else "bear no label"
                yield entry, ("spec", "workloads", i), f"the pods of {kind}/{name} {now}: set label {LABEL}: {entry.name} in its pod template"


def procedure(lint: Linted) -> Iterator[Found]:
    for entry in lint.register if lint.procedures else []:
        if _applying(lint, entry) == []:
            yield entry, ("spec",), "none of these procedures applies to it, so that nothing can clear it: see their spec.appliesTo"


def _applying(lint: Linted, entry: Manifest) -> list[tuple[str, ProcedureSpec]] | None:
    """The procedures that apply to a register entry, by name; None where these manifests do not tell."""
    spec, namespace = wrong(entry)[0], lint.manifests.place(entry.obj)
    labels = namespace_labels(lint.manifests.objects, namespace)
    if spec is None or (labels is None and any(p.applies_to.namespace_selector for _, p in lint.procedures)):
        return None
    known = {"kubernetes.io/metadata.name": namespace} | (labels or {})
    return [(name, p) for name, p in lint.procedures if applies(p.applies_to, spec=spec, namespace=namespace, labels=known)]


def model_uri(lint: Linted) -> Iterator[Found]:
    for entry in lint.register:
        for name, supply in asking(_applying(lint, entry) or []):
            why = uri_refused(wrong(entry)[0].model.uri, supply.model_uris) if supply.model_uris else ""
            if why:
                yield entry, ("spec", "model", "uri"), f"{why} (QMSProcedure {name})"


def supplied(find: Callable[[Asked], Iterator[Place]]) -> Callable[[Linted], Iterator[Found]]:
    """A rule on the pod template of each registered workload, by each procedure that applies and asks anything of supply."""

    def rule(lint: Linted) -> Iterator[Found]:
        for work in lint.labelled:
            yield from (work.found(path, message) for asked in _asked(lint, work) for path, message in find(asked))

    return rule


def logs(lint: Linted) -> Iterator[Found]:
    for entry in lint.register:
        for name, spec in _applying(lint, entry) or []:
            known = {r.name: (i, r) for i, r in enumerate(wrong(entry)[0].logging.streams)}
            for stream in spec.logging.streams if spec.logging else []:
                if stream.name not in known:
                    message = f"QMSProcedure {name} asks for log stream {stream.name}, and nobody knows where it lies: name its sink"
                    yield entry, ("spec", "logging", "streams"), message
                elif server := refused(known[stream.name][1], Procedure(name, spec)):
                    message = f"{server} is no server that logging.endpoints of QMSProcedure {name} allows, so it will not be asked: name one that it allows"
                    yield entry, ("spec", "logging", "streams", known[stream.name][0]), message


def _asked(lint: Linted, work: Work) -> Iterator[Asked]:
    entry = lint.entry(work.namespace, work.label)
    found = asking(_applying(lint, entry) or []) if entry else []
    normal = _normal(lint, work) if found else None
    if entry and normal:
        yield from (Asked(name, supply, work.template, normal, wrong(entry)[0].model.digest) for name, supply in found)


def schema(lint: Linted) -> Iterator[Found]:
    known = {k.kind: k for k in KINDS}
    for manifest in lint.manifests.all:
        version = str(manifest.obj.get("apiVersion"))
        if version.partition("/")[0] != GROUP:
            continue
        if version != API_VERSION or manifest.kind not in known:
            yield manifest, ("kind",), f"AIQMS has no {manifest.kind} of {version}: it has {', '.join(known)} of {API_VERSION}"
        elif manifest.kind in (PROCEDURE.kind, DEPLOYMENT.kind):
            yield from ((manifest, path, message) for path, message in wrong(manifest)[1])


def given_twice(lint: Linted) -> Iterator[Found]:
    kept = {id(m) for m in lint.manifests.all}
    last = {lint.manifests.identity(m): m for m in lint.manifests.all}
    for manifest in lint.given.all:
        if id(manifest) not in kept:
            other = last[lint.given.identity(manifest)]
            yield manifest, (), f"it is given again in {other.file}:{other.line()}, which counts: leave one out"


def made_by_people(lint: Linted) -> Iterator[Found]:
    for manifest in lint.manifests.of_kind(RECORD.kind):
        yield manifest, ("kind",), "a record is its author's own decision, and a pipeline's is refused: leave it out, and let people run kubectl qms approve"
    for manifest in lint.manifests.of_kind(CLEARANCE.kind):
        yield manifest, ("kind",), "the operator alone writes Clearances: leave it out"


def set_by_hand(lint: Linted) -> Iterator[Found]:
    for work in lint.works:
        if SUBJECT in work.noted("annotations"):
            message = f"annotation {SUBJECT} is set by admission alone, and pods that bring it are refused: remove it"
            yield work.found(("metadata", "annotations", SUBJECT), message)
        spec = mapping(work.template.get("spec"))
        for i, gate in mappings(spec.get("schedulingGates")):
            if gate.get("name") == GATE:
                yield work.found(("spec", "schedulingGates", i), f"scheduling gate {GATE} is set by admission, where it is needed: remove it")
        if work.label and spec.get("nodeName"):
            message = "a pod with nodeName cannot be held, so it is refused until it is cleared: use nodeSelector or affinity"
            yield work.found(("spec", "nodeName"), message)
    for entry in lint.register:
        if EDITORS in mapping(entry.obj["metadata"].get("annotations")):
            yield entry, ("metadata", "annotations", EDITORS), f"annotation {EDITORS} is set by admission alone: remove it"


def governed(lint: Linted) -> Iterator[Found]:
    exempt = (*ALWAYS_EXEMPT, *lint.rules.exempt_namespaces)
    for manifest in lint.manifests.of_kind("Namespace"):
        labels = mapping(manifest.obj["metadata"].get("labels"))
        at = ("metadata", "labels", GOVERNED)
        if GOVERNED in labels and labels[GOVERNED] != "true":
            yield manifest, at, f'label {GOVERNED} has one value: write "true", with the quotes'
        if GOVERNED in labels and manifest.name in exempt:
            yield manifest, at, f"this namespace is exempt, nothing in it is judged: remove label {GOVERNED}"
    for work in lint.labelled:
        labels_here = namespace_labels(lint.manifests.objects, work.namespace)
        if labels_here is not None and GOVERNED not in labels_here:
            message = f"namespace {work.namespace} is not governed, so these pods run without approval: set label {GOVERNED} of the Namespace to true"
            yield work.found(("metadata", "labels", LABEL), message)


@dataclass(frozen=True)
class Rule:
    """A rule's name, what it looks for, and how."""

    name: str
    looks_for: str
    find: Callable[[Linted], Iterator[Found]]


RULES: tuple[Rule, ...] = (
    Rule("unlabelled-gpu", "a pod template that reaches a GPU or its node, without the label: its pods will be refused", unlabelled_gpu),
    Rule("rollout", "a rollout that takes old pods away while the new ones wait for approval", rollout),
    Rule("deadline", "a deadline shorter than people take to approve: a rollout shown as failed, a Job that fails", deadline),
    Rule("config-hash", "a ConfigMap of labelled pods whose name does not change with its content", config_hash),
    Rule("model", "a labelled pod template that neither names its model nor has it by digest, or that names another one than the register", model),
    Rule("registered", "a labelled workload that no register entry lists", registered),
    Rule("listed-twice", "a workload that two register entries list", listed_twice),
    Rule("listed-exists", "a register entry whose workload is missing, or whose workload's pods do not name it", listed_exists),
    Rule("procedure", "a register entry to which no procedure applies", procedure),
    Rule("model-uri", "a register entry whose model comes from elsewhere than a procedure that applies allows", model_uri),
    Rule("model-bound", "a pod template that only declares its model, where a procedure that applies wants it bound", supplied(unbound)),
    Rule("pinned-images", "an image that is not pinned by digest, where a procedure that applies asks for it", supplied(unpinned)),
    Rule("registries", "an image from a registry that a procedure that applies does not allow", supplied(elsewhere)),
    Rule("pull-secrets", "an image pull secret that a procedure that applies does not allow", supplied(strange_secrets)),
    Rule("logs", "a register entry without the sink of a log stream that a procedure asks for, or with one at a server that this does not allow", logs),
    Rule("schema", "a register entry or procedure that the API server would refuse", schema),
    Rule("template", "a pod template that Kubernetes would refuse", template),
    Rule("given-twice", "an object that is given twice: the last one counts, as with kubectl apply", given_twice),
    Rule("made-by-people", "records and Clearances among the manifests", made_by_people),
    Rule("set-by-hand", "what admission alone sets (subject, gate, author), and nodeName, which goes round the scheduler", set_by_hand),
    Rule("governed", "labels of Namespaces that do not govern, and labelled pods where nothing is governed", governed),
)


def findings(lint: Linted) -> list[Finding]:
    """What all rules find, by file and line."""
    found = [_finding(rule.name, lint.manifests, *one) for rule in RULES for one in rule.find(lint)]
    return sorted(found, key=lambda f: (f.file, f.line))


def _finding(rule: str, manifests: Sources, manifest: Manifest, path: Path, message: str) -> Finding:
    return Finding(
        rule=rule,
        file=manifest.file,
        line=manifest.line(*path),
        source=manifest.source,
        namespace="" if manifest.kind in ("Namespace", PROCEDURE.kind) else manifests.place(manifest.obj),
        kind=manifest.kind,
        name=manifest.name,
        field=".".join(map(str, path)),
        message=message,
    )
