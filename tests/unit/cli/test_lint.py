"""Each rule of `kubectl qms lint`: what it finds, on which line, in which words; and what it leaves alone."""

from __future__ import annotations

import io
import json
import pathlib
import subprocess
import sys
from datetime import timedelta

import pytest

from aiqms.cli.lint_rules import RULES, Linted, findings
from aiqms.cli.manifests import STDIN, OfflineError, read
from aiqms.gate.rules import DEFAULTS

CLI = pathlib.Path(sys.executable).parent / "kubectl-qms"
DIGEST = "sha256:" + "4" * 64

# Lines are counted in these texts: a change of them changes the tables.
ENTRY = f"""\
apiVersion: aiqms.dev/v1alpha1
kind: AIModelDeployment
metadata: {{name: scoring, namespace: lending}}
spec:
  intendedPurpose: Score
  riskClass: High
  role: Provider
  owner: {{name: Lending, contact: lending@bank.example}}
  model: {{name: llm, version: "1", uri: "oci://registry.bank.example/llm", digest: "{DIGEST}"}}
  workloads:
  - {{apiVersion: apps/v1, kind: Deployment, name: scoring}}
"""
PROCEDURE = """\
apiVersion: aiqms.dev/v1alpha1
kind: QMSProcedure
metadata: {name: high-risk}
spec:
  title: High risk
  revision: 2
  owner: Quality
  appliesTo: {riskClasses: [High]}
  reviewBy: 2028-05-31T00:00:00Z
  approvals:
    since: 1
    roles: [{role: model-owner}]
"""
WORKLOAD = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: scoring, namespace: lending}}
spec:
  progressDeadlineSeconds: 604800
  strategy: {{rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}
  selector: {{matchLabels: {{app: scoring}}}}
  template:
    metadata:
      labels: {{app: scoring, aiqms.dev/deployment: scoring}}
      annotations: {{aiqms.dev/model: "{DIGEST}"}}
    spec:
      containers:
      - name: serve
        image: registry.bank.example/vllm:v1
        envFrom: [{{configMapRef: {{name: prompts-7h2k6t4f5m}}}}]
        resources: {{limits: {{nvidia.com/gpu: "1"}}}}
"""
NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: lending
  labels: {aiqms.dev/governed: "true"}
"""
GOOD = {"entry.yaml": ENTRY, "procedure.yaml": PROCEDURE, "workload.yaml": WORKLOAD, "namespace.yaml": NAMESPACE}


def linted(folder: pathlib.Path, files: dict[str, str]) -> list[tuple[str, str, str]]:
    """Rule, file:line and message of each finding."""
    for name, text in files.items():
        (folder / name).write_text(text)
    found = findings(Linted(read([folder]), DEFAULTS, timedelta(days=1)))
    return [(f.rule, f"{pathlib.Path(f.file).name}:{f.line}", f.message) for f in found]


def test_good_manifests_have_no_finding(tmp_path: pathlib.Path) -> None:
    assert linted(tmp_path, GOOD) == []


Found = tuple[str, str, str]
REMEDY = "set label aiqms.dev/deployment to the name of its AIModelDeployment (kubectl qms explain --help)"
UNLABELLED = ("labels: {app: scoring, aiqms.dev/deployment: scoring}", "labels: {app: scoring}")
NO_LONGER = ("listed-exists", "entry.yaml:11", "the pods of Deployment/scoring bear no label: set label aiqms.dev/deployment: scoring in its pod template")

# sentence -> file, what is written instead of what, what is found
CASES: dict[str, tuple[str, tuple[str, str], list[Found]]] = {
    "a GPU template without the label": (
        "workload.yaml",
        UNLABELLED,
        [NO_LONGER, ("unlabelled-gpu", "workload.yaml:17", f"its pods will be refused: container serve asks for nvidia.com/gpu: {REMEDY}")],
    ),
    "the label on the Deployment instead of its template": (
        "workload.yaml",
        (WORKLOAD, WORKLOAD.replace(*UNLABELLED).replace("{name: scoring, n", "{labels: {aiqms.dev/deployment: scoring}, name: scoring, n")),
        [
            NO_LONGER,
            (
                "unlabelled-gpu",
                "workload.yaml:17",
                f"its pods will be refused: container serve asks for nvidia.com/gpu: {REMEDY} (it stands on the Deployment itself, not in its pod template)",
            ),
        ],
    ),
    "a rollout that recreates": (
        "workload.yaml",
        ("strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", "strategy: {type: Recreate}"),
        [
            (
                "rollout",
                "workload.yaml:6",
                "spec.strategy.type Recreate takes every old pod away while the new pods wait for approval:"
                " set RollingUpdate with maxUnavailable: 0 and maxSurge: 1",
            )
        ],
    ),
    "a rollout that takes pods away": (
        "workload.yaml",
        ("maxUnavailable: 0", "maxUnavailable: 10%"),
        [
            (
                "rollout",
                "workload.yaml:6",
                "maxUnavailable above 0 takes old pods away while the new pods wait for approval (its default, 25%, does from 4 replicas on):"
                " set spec.strategy.rollingUpdate.maxUnavailable: 0 and maxSurge: 1",
            )
        ],
    ),
    "a rollout by default": (
        "workload.yaml",
        ("  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n", ""),
        [
            (
                "rollout",
                "workload.yaml:4",
                "maxUnavailable above 0 takes old pods away while the new pods wait for approval (its default, 25%, does from 4 replicas on):"
                " set spec.strategy.rollingUpdate.maxUnavailable: 0 and maxSurge: 1",
            )
        ],
    ),
    "a rollout without room": (
        "workload.yaml",
        ("maxSurge: 1", "maxSurge: 0"),
        [("rollout", "workload.yaml:6", "maxSurge 0 leaves no room for a new pod beside the old ones: set spec.strategy.rollingUpdate.maxSurge: 1")],
    ),
    "a deadline of minutes": (
        "workload.yaml",
        ("progressDeadlineSeconds: 604800", "progressDeadlineSeconds: 900"),
        [("deadline", "workload.yaml:5", "a rollout that waits for approval is shown as failed after 900 s: set spec.progressDeadlineSeconds: 86400 or more")],
    ),
    "the deadline by default": (
        "workload.yaml",
        ("  progressDeadlineSeconds: 604800\n", ""),
        [
            (
                "deadline",
                "workload.yaml:4",
                "a rollout that waits for approval is shown as failed after 600 s (the default): set spec.progressDeadlineSeconds: 86400 or more",
            )
        ],
    ),
    "a ConfigMap without a hash": (
        "workload.yaml",
        ("prompts-7h2k6t4f5m", "prompts"),
        [
            (
                "config-hash",
                "workload.yaml:8",
                "ConfigMap prompts is frozen while pods of scoring that read it are cleared, so its change would be refused:"
                " give it a name with a hash or version (Kustomize's configMapGenerator, a checksum in Helm), a new one for each content",
            )
        ],
    ),
    "no model": (
        "workload.yaml",
        (f'      annotations: {{aiqms.dev/model: "{DIGEST}"}}\n', ""),
        [("model", "workload.yaml:9", f"nothing ties the pods to a model: set annotation aiqms.dev/model of the pod template to {DIGEST}")],
    ),
    "another model": (
        "workload.yaml",
        (DIGEST, "sha256:" + "5" * 64),
        [
            (
                "model",
                "workload.yaml:11",
                f"declares sha256:{'5' * 64}, but AIModelDeployment scoring has spec.model.digest {DIGEST}: its pods are held until the two agree",
            )
        ],
    ),
    "an entry that lists another workload": (
        "entry.yaml",
        ("kind: Deployment, name: scoring", "kind: Deployment, name: other"),
        [
            ("listed-exists", "entry.yaml:11", "Deployment/other is not among these manifests: give its file too, or take it off the list"),
            (
                "registered",
                "workload.yaml:10",
                "AIModelDeployment scoring does not list this Deployment, so its pods wait for ever:"
                " add {apiVersion: apps/v1, kind: Deployment, name: scoring} to its spec.workloads",
            ),
        ],
    ),
    "a label that names no entry": (
        "workload.yaml",
        ("aiqms.dev/deployment: scoring", "aiqms.dev/deployment: scorer"),
        [
            (
                "listed-exists",
                "entry.yaml:11",
                "the pods of Deployment/scoring name AIModelDeployment scorer: set label aiqms.dev/deployment: scoring in its pod template",
            ),
            (
                "registered",
                "workload.yaml:10",
                "no AIModelDeployment scorer of namespace lending is among these manifests, so the pods wait for ever: register it",
            ),
        ],
    ),
    "a procedure for another class": (
        "procedure.yaml",
        ("riskClasses: [High]", "riskClasses: [Limited]"),
        [("procedure", "entry.yaml:4", "none of these procedures applies to it, so that nothing can clear it: see their spec.appliesTo")],
    ),
    "a field that is missing": ("entry.yaml", ("  role: Provider\n", ""), [("schema", "entry.yaml:4", "spec.role: is missing: add it")]),
    "a field that is misspelt": (
        "procedure.yaml",
        ("  owner: Quality\n", "  owner: Quality\n  onlapse: {action: Stop}\n"),
        [("schema", "procedure.yaml:8", "spec.onlapse: is unknown: remove it, or write onLapse")],
    ),
    "a digest that is none": (
        "entry.yaml",
        (f'digest: "{DIGEST}"', "digest: sha256:4444"),
        [
            ("schema", "entry.yaml:9", "spec.model.digest: 'sha256:4444' is not of that form: write sha256: and 64 hexadecimal digits in small letters"),
            (
                "model",
                "workload.yaml:11",
                f"declares {DIGEST}, but AIModelDeployment scoring has spec.model.digest sha256:4444: its pods are held until the two agree",
            ),
        ],
    ),
    "a duration that is none": (
        "procedure.yaml",
        ("roles: [{role: model-owner}]", "roles: [{role: model-owner, validFor: 3 months}]"),
        [
            (
                "schema",
                "procedure.yaml:12",
                "spec.approvals.roles.0.validFor: '3 months' is not of that form: write a whole number and d, h, m or s, such as 90d",
            )
        ],
    ),
    "a time that is none": (
        "procedure.yaml",
        ("2028-05-31T00:00:00Z", "next May"),
        [("schema", "procedure.yaml:9", "spec.reviewBy: 'next May' is no time: write one such as 2028-05-31T00:00:00Z")],
    ),
    "a risk class that is none": (
        "entry.yaml",
        ("riskClass: High", "riskClass: Huge"),
        [("schema", "entry.yaml:6", "spec.riskClass: input should be 'Prohibited', 'High', 'Limited' or 'Minimal' (it is 'Huge')")],
    ),
    "approvals of a later revision": (
        "procedure.yaml",
        ("since: 1", "since: 3"),
        [("schema", "procedure.yaml:11", "spec.approvals.since is above revision: name this revision or an older one")],
    ),
    "a grace that Stop does not give": (
        "procedure.yaml",
        ("  owner: Quality\n", "  owner: Quality\n  onLapse: {action: Stop, grace: 7d}\n"),
        [("schema", "procedure.yaml:8", "spec.onLapse.grace belongs to action Hold: with Stop the pods stop at once, leave grace out")],
    ),
    "a role twice": (
        "procedure.yaml",
        ("[{role: model-owner}]", "[{role: model-owner}, {role: model-owner}]"),
        [("schema", "procedure.yaml:12", "spec.approvals.roles: model-owner stands there twice: leave one out")],
    ),
    "a registry twice": (
        "procedure.yaml",
        ("  owner: Quality\n", '  owner: Quality\n  supply: {registries: ["registry.bank.example/*", "registry.bank.example/*"]}\n'),
        [("schema", "procedure.yaml:8", "spec.supply.registries: registry.bank.example/* stands there twice: leave one out")],
    ),
    "a binding that is none": (
        "procedure.yaml",
        ("  owner: Quality\n", "  owner: Quality\n  supply: {pinnedImages: Always}\n"),
        [("schema", "procedure.yaml:8", "spec.supply.pinnedImages: input should be 'Required' (it is 'Always')")],
    ),
    "a Deployment of the wrong group": (
        "entry.yaml",
        ("apiVersion: apps/v1, kind: Deployment", "apiVersion: batch/v1, kind: Deployment"),
        [("schema", "entry.yaml:11", "spec.workloads.0.apiVersion: a Deployment is of apps/v1, not batch/v1")],
    ),
    "a destination that is two": (
        "entry.yaml",
        ("  workloads:", "  access: {egress: [{namespace: features, cidr: 10.0.0.0/8}]}\n  workloads:"),
        [("schema", "entry.yaml:10", "spec.access.egress.0: a destination is pods by their namespace, or addresses by cidr: give one of the two")],
    ),
    "a destination that is none": (
        "entry.yaml",
        ("  workloads:", "  access: {egress: [{ports: [443]}]}\n  workloads:"),
        [("schema", "entry.yaml:10", "spec.access.egress.0: a destination is pods by their namespace, or addresses by cidr: give one of the two")],
    ),
    "pods chosen among addresses": (
        "entry.yaml",
        ("  workloads:", "  access: {egress: [{cidr: 10.0.0.0/8, podSelector: {matchLabels: {app: x}}}]}\n  workloads:"),
        [("schema", "entry.yaml:10", "spec.access.egress.0.podSelector chooses among the pods of a namespace: leave it out beside cidr")],
    ),
    "what is no range of addresses": (
        "entry.yaml",
        ("  workloads:", "  access: {egress: [{cidr: 1.2.3.4/99}]}\n  workloads:"),
        [("schema", "entry.yaml:10", "spec.access.egress.0.cidr: 1.2.3.4/99 is no range of addresses: write one such as 10.20.0.0/16")],
    ),
    "an expression without the values that it compares with": (
        "entry.yaml",
        ("  workloads:", "  access: {clients: [{namespace: web, podSelector: {matchExpressions: [{key: app, operator: In}]}}]}\n  workloads:"),
        [
            (
                "schema",
                "entry.yaml:10",
                "spec.access.clients.0.podSelector.matchExpressions.0: In and NotIn need values, and Exists and DoesNotExist take none (operator In)",
            )
        ],
    ),
    "an expression with values that it takes none of": (
        "procedure.yaml",
        (
            "  owner: Quality\n",
            "  owner: Quality\n  access: {monitoring: [{namespace: a, podSelector: {matchExpressions: [{key: env, operator: Exists, values: [prod]}]}}]}\n",
        ),
        [
            (
                "schema",
                "procedure.yaml:8",
                "spec.access.monitoring.0.podSelector.matchExpressions.0: In and NotIn need values, and Exists and DoesNotExist take none (operator Exists)",
            )
        ],
    ),
    "a label's value that is none": (
        "procedure.yaml",
        (
            "  owner: Quality\n",
            "  owner: Quality\n  access: {monitoring: [{namespace: a, podSelector: {matchExpressions: [{key: env, operator: In, values: [a/b]}]}}]}\n",
        ),
        [
            (
                "schema",
                "procedure.yaml:8",
                "spec.access.monitoring.0.podSelector.matchExpressions.0.values.0: "
                "'a/b' is not of that form: write a label's value: letters, digits, -, _ and .",
            )
        ],
    ),
    "a label's key that is none": (
        "procedure.yaml",
        (
            "  owner: Quality\n",
            "  owner: Quality\n  access: {monitoring: [{namespace: a, podSelector: {matchExpressions: [{key: -env, operator: Exists}]}}]}\n",
        ),
        [
            (
                "schema",
                "procedure.yaml:8",
                "spec.access.monitoring.0.podSelector.matchExpressions.0.key: '-env' is not of that form: "
                "write a label's key: letters, digits, -, _ and ., with or without a domain and a slash before it",
            )
        ],
    ),
    "a kind that is none": (
        "procedure.yaml",
        ("kind: QMSProcedure", "kind: Procedure"),
        [
            (
                "schema",
                "procedure.yaml:2",
                "AIQMS has no Procedure of aiqms.dev/v1alpha1: it has QMSProcedure, AIModelDeployment, ApprovalRecord, Clearance of aiqms.dev/v1alpha1",
            )
        ],
    ),
    "a container that is none": (
        "workload.yaml",
        ("      - name: serve\n        image: registry.bank.example/vllm:v1\n", "      - serve\n      - name: serve\n"),
        [("template", "workload.yaml:12", "this pod template is none that Kubernetes would take: kubectl apply --dry-run=server says where")],
    ),
    "a subject that is set by hand": (
        "workload.yaml",
        ("annotations: {", f'annotations: {{aiqms.dev/subject: "{DIGEST}", '),
        [("set-by-hand", "workload.yaml:11", "annotation aiqms.dev/subject is set by admission alone, and pods that bring it are refused: remove it")],
    ),
    "a gate that is set by hand": (
        "workload.yaml",
        ("      containers:\n", "      schedulingGates: [{name: aiqms.dev/clearance}]\n      containers:\n"),
        [("set-by-hand", "workload.yaml:13", "scheduling gate aiqms.dev/clearance is set by admission, where it is needed: remove it")],
    ),
    "a node that is set by hand": (
        "workload.yaml",
        ("      containers:\n", "      nodeName: gpu-0\n      containers:\n"),
        [("set-by-hand", "workload.yaml:13", "a pod with nodeName cannot be held, so it is refused until it is cleared: use nodeSelector or affinity")],
    ),
    "an author that is set by hand": (
        "entry.yaml",
        ("{name: scoring, namespace: lending}", "{name: scoring, namespace: lending, annotations: {aiqms.dev/edited-by: alice}}"),
        [("set-by-hand", "entry.yaml:3", "annotation aiqms.dev/edited-by is set by admission alone: remove it")],
    ),
    "a label that does not govern": (
        "namespace.yaml",
        ('"true"', "true"),
        [("governed", "namespace.yaml:5", 'label aiqms.dev/governed has one value: write "true", with the quotes')],
    ),
    "a namespace that is not governed": (
        "namespace.yaml",
        ('  labels: {aiqms.dev/governed: "true"}\n', ""),
        [
            (
                "governed",
                "workload.yaml:10",
                "namespace lending is not governed, so these pods run without approval: set label aiqms.dev/governed of the Namespace to true",
            )
        ],
    ),
}


@pytest.mark.parametrize(("file", "change", "found"), CASES.values(), ids=CASES)
def test_a_finding_has_its_line_and_says_what_to_do(file: str, change: tuple[str, str], found: list[Found], tmp_path: pathlib.Path) -> None:
    assert change[0] in GOOD[file]
    assert sorted(linted(tmp_path, GOOD | {file: GOOD[file].replace(*change)})) == sorted(found)


RECORD = """\
apiVersion: aiqms.dev/v1alpha1
kind: ApprovalRecord
metadata: {generateName: scoring-, namespace: lending}
spec: {deployment: scoring, role: model-owner, decision: Approve}
"""
CLEARANCE = """\
apiVersion: aiqms.dev/v1alpha1
kind: Clearance
metadata: {name: clearance, namespace: lending}
spec: {}
"""
JOB = f"""\
apiVersion: batch/v1
kind: Job
metadata: {{name: scoring, namespace: lending}}
spec:
  activeDeadlineSeconds: 3600
  template:
    metadata: {{labels: {{aiqms.dev/deployment: scoring}}, annotations: {{aiqms.dev/model: "{DIGEST}"}}}}
    spec: {{containers: [{{name: train, image: train}}]}}
"""
MORE: dict[str, tuple[dict[str, str], list[Found]]] = {
    "a record among the manifests": (
        {"record.yaml": RECORD},
        [
            (
                "made-by-people",
                "record.yaml:2",
                "a record is its author's own decision, and a pipeline's is refused: leave it out, and let people run kubectl qms approve",
            )
        ],
    ),
    "a Clearance among the manifests": ({"c.yaml": CLEARANCE}, [("made-by-people", "c.yaml:2", "the operator alone writes Clearances: leave it out")]),
    "a workload that two entries list": (
        {"zwei.yaml": ENTRY.replace("name: scoring, namespace", "name: second, namespace"), **{n: GOOD[n] for n in ("entry.yaml", "workload.yaml")}},
        [
            (
                "listed-exists",
                "zwei.yaml:11",
                "the pods of Deployment/scoring name AIModelDeployment scoring: set label aiqms.dev/deployment: second in its pod template",
            ),
            ("listed-twice", "zwei.yaml:11", "Deployment/scoring is listed by AIModelDeployment scoring too: leave it in the one that its pods name"),
        ],
    ),
    "an object that is given twice": (
        {"one.yaml": WORKLOAD, "two.yaml": "---\n" + WORKLOAD},
        [("given-twice", "one.yaml:1", "it is given again in FOLDER/two.yaml:2, which counts: leave one out")],
    ),
    "a namespace that is exempt": (
        {"n.yaml": NAMESPACE.replace("name: lending", "name: kube-system")},
        [("governed", "n.yaml:5", "this namespace is exempt, nothing in it is judged: remove label aiqms.dev/governed")],
    ),
    "a Job whose time runs out": (
        {"job.yaml": JOB},
        [
            (
                "deadline",
                "job.yaml:5",
                "it runs on while pods wait for approval, and then the Job fails: set activeDeadlineSeconds: 86400 or more, or approve beforehand",
            )
        ],
    ),
    "a StatefulSet that replaces in place": (
        {"s.yaml": WORKLOAD.replace("kind: Deployment", "kind: StatefulSet").replace("strategy", "ignored")},
        [
            (
                "rollout",
                "s.yaml:4",
                "a StatefulSet takes each old pod away before its new one, and the new pods wait for approval: have a change approved before you apply it,"
                " or set spec.updateStrategy.type: OnDelete",
            )
        ],
    ),
    "a DaemonSet that takes pods away": (
        {"d.yaml": WORKLOAD.replace("kind: Deployment", "kind: DaemonSet").replace("strategy", "ignored")},
        [
            (
                "rollout",
                "d.yaml:4",
                "a DaemonSet takes old pods away while the new pods wait for approval:"
                " set spec.updateStrategy.rollingUpdate.maxUnavailable: 0 and maxSurge: 1, or type: OnDelete",
            )
        ],
    ),
    "a StatefulSet and a DaemonSet that wait for whoever deletes their pods": (
        {
            f"{kind}.yaml": WORKLOAD.replace("kind: Deployment", f"kind: {kind}").replace("strategy: {rollingUpdate", "updateStrategy: {type: OnDelete, x")
            for kind in ("StatefulSet", "DaemonSet")
        },
        [],
    ),
    "workloads alone, of a register that was not given": ({"w.yaml": WORKLOAD}, []),
    "a GPU pod where nothing is governed": (
        {"w.yaml": WORKLOAD.replace(*UNLABELLED), "n.yaml": NAMESPACE.replace('  labels: {aiqms.dev/governed: "true"}\n', "")},
        [],
    ),
}

UNPINNED = "not pinned, so another image may come under the same name: write NAME@sha256:… of the image that was tested (QMSProcedure high-risk)"
COPY = "from none of other.example/*: have the image copied there, and name it so (QMSProcedure high-risk)"
URI = "from there, and register where it comes from (QMSProcedure high-risk)"
BIND = (
    f"the pod template only declares its model: mount an image volume …@{DIGEST}, run an image of that digest, or have an init container compare the files"
    " (the procedure names none in supply.digestCheckers) (QMSProcedure high-risk)"
)
SECRET = "image pull secret other is not allowed (allowed: puller): take it out, and pull with one that is (QMSProcedure high-risk)"
IMAGE = "image: registry.bank.example/vllm:v1"
INIT = "      initContainers: [{name: first, image: busybox}]\n      volumes: [{name: model, image: {reference: llm}}]\n"
PULLS = "      imagePullSecrets: [{name: puller}, {name: other}]\n"

MOUNT = "        volumeMounts: [{name: model, mountPath: /model}]\n"
CARRIED = (
    WORKLOAD.replace(f'      annotations: {{aiqms.dev/model: "{DIGEST}"}}\n', "")
    + f"{MOUNT}      volumes: [{{name: model, image: {{reference: registry.bank.example/llm@{DIGEST}}}}}]\n"
)


def supplied(supply: str, workload: str = WORKLOAD) -> dict[str, str]:
    """Good manifests under a procedure with this supply."""
    return GOOD | {"procedure.yaml": PROCEDURE + f"  supply: {supply}\n", "workload.yaml": workload}


SUPPLY: dict[str, tuple[dict[str, str], list[Found]]] = {
    "an image with a tag alone": (
        supplied("{pinnedImages: Required}"), [("pinned-images", "workload.yaml:15", f"container serve: registry.bank.example/vllm:v1: {UNPINNED}")]
    ),
    "a pinned image": (supplied("{pinnedImages: Required}", WORKLOAD.replace(IMAGE, f"{IMAGE}@{DIGEST}")), []),
    "an init container and an image volume": (
        supplied("{pinnedImages: Required}", WORKLOAD.replace(IMAGE, f"{IMAGE}@{DIGEST}") + INIT),
        [
            ("pinned-images", "workload.yaml:18", f"init container first: busybox: {UNPINNED}"),
            ("pinned-images", "workload.yaml:19", f"image volume model: llm: {UNPINNED}"),
        ],
    ),
    "an image from another registry": (
        supplied("{registries: [other.example/*]}"), [("registries", "workload.yaml:15", f"container serve: registry.bank.example/vllm:v1: {COPY}")]
    ),
    "a short name from another registry": (
        supplied("{registries: [other.example/*]}", WORKLOAD.replace(IMAGE, "image: vllm")),
        [("registries", "workload.yaml:15", f"container serve: vllm (that is docker.io/library/vllm): {COPY}")],
    ),
    "an image from an allowed registry": (supplied('{registries: ["registry.bank.example/*"]}'), []),
    "a model from elsewhere": (
        supplied('{modelUris: ["s3://models/*"]}'),
        [("model-uri", "entry.yaml:9", f"oci://registry.bank.example/llm is not among s3://models/*: take the model {URI}")],
    ),
    "a model from there": (supplied('{modelUris: ["oci://registry.bank.example/*"]}'), []),
    "a model that is only declared": (supplied("{model: Bound}"), [("model-bound", "workload.yaml:12", BIND)]),
    "a model that is bound": (supplied("{model: Bound}", WORKLOAD.replace(IMAGE, f"{IMAGE}@{DIGEST}")), []),
    "a model that is an image volume, and not declared": (GOOD | {"workload.yaml": CARRIED}, []),
    "a model that is an image volume, and another one declared": (
        GOOD | {"workload.yaml": CARRIED.replace("    spec:\n", f"      annotations: {{aiqms.dev/model: sha256:{'5' * 64}}}\n    spec:\n")},
        [("model", "workload.yaml:11",
          f"declares sha256:{'5' * 64}, but AIModelDeployment scoring has spec.model.digest {DIGEST}: its pods are held until the two agree")],
    ),
    "a model that is an image volume, which no register entry tells": (
        {"workload.yaml": CARRIED},
        [("model", "workload.yaml:9",
          "nothing ties the pods to a model: set annotation aiqms.dev/model of the pod template to the digest of the model that it serves")],
    ),
    "an image volume that nobody mounts, and no model declared": (
        GOOD | {"workload.yaml": CARRIED.replace(MOUNT, "")},
        [("model", "workload.yaml:9", f"nothing ties the pods to a model: set annotation aiqms.dev/model of the pod template to {DIGEST}")],
    ),
    "a model that is declared, where that is enough": (supplied("{model: Declared}"), []),
    "an image pull secret that is not allowed": (
        supplied("{pullSecrets: [puller]}", WORKLOAD + PULLS), [("pull-secrets", "workload.yaml:18", SECRET)]
    ),
    "a procedure that does not apply asks nothing": (
        {name: text.replace("[High]", "[Limited]") for name, text in supplied("{pinnedImages: Required}").items()},
        [("procedure", "entry.yaml:4", "none of these procedures applies to it, so that nothing can clear it: see their spec.appliesTo")],
    ),
    "nobody knows what is asked of a workload without its register entry": (
        {name: text for name, text in supplied("{pinnedImages: Required}").items() if name != "entry.yaml"}, []
    ),
}  # fmt: skip
MORE |= SUPPLY


def logged(endpoint: str = "", allowed: str = "https://*.bank.example") -> dict[str, str]:
    """Good manifests under a procedure that asks for a log stream. endpoint: of its sink, none without one."""
    asks = f"  logging: {{endpoints: ['{allowed}'], streams: [{{name: inference, retention: 184d}}]}}\n"
    sink = f"  logging:\n    streams:\n    - {{name: inference, sink: {{victoriaLogs: {{endpoint: '{endpoint}'}}}}}}\n" if endpoint else ""
    return GOOD | {"procedure.yaml": PROCEDURE + asks, "entry.yaml": ENTRY + sink}


LOGS: dict[str, tuple[dict[str, str], list[Found]]] = {
    "a log stream whose sink is allowed": (logged("https://logs.bank.example"), []),
    "a log stream without a sink": (
        logged(), [("logs", "entry.yaml:4", "QMSProcedure high-risk asks for log stream inference, and nobody knows where it lies: name its sink")]
    ),
    "a log stream at a server that is not allowed": (
        logged("https://evil.example"),
        [("logs", "entry.yaml:14",
          "https://evil.example is no server that logging.endpoints of QMSProcedure high-risk allows, so it will not be asked: name one that it allows")],
    ),
}  # fmt: skip
MORE |= LOGS


@pytest.mark.parametrize(("files", "found"), MORE.values(), ids=MORE)
def test_manifests_of_their_own(files: dict[str, str], found: list[Found], tmp_path: pathlib.Path) -> None:
    said = [(rule, line, message.replace(str(tmp_path), "FOLDER")) for rule, line, message in linted(tmp_path, files)]
    assert sorted(said) == sorted(found)


def test_every_rule_is_tried() -> None:
    lists = [*(found for _, _, found in CASES.values()), *(found for _, found in MORE.values())]
    tried = {rule for found in lists for rule, _, _ in found}
    assert tried == {rule.name for rule in RULES}


# Reading


def test_what_helm_prints_is_read_from_standard_input_and_names_its_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"---\n# Source: app/templates/entry.yaml\n{ENTRY}---\n# Source: app/templates/w.yaml\n{WORKLOAD}"))
    assert [(m.kind, m.file, m.line(), m.source) for m in read([STDIN]).all] == [
        ("AIModelDeployment", "stdin", 3, "app/templates/entry.yaml"),
        ("Deployment", "stdin", 16, "app/templates/w.yaml"),
    ]


def test_a_list_is_read_item_by_item_and_json_too(tmp_path: pathlib.Path) -> None:
    (tmp_path / "list.yaml").write_text(
        "apiVersion: v1\nkind: List\nitems:\n- kind: ConfigMap\n  metadata: {name: a}\n- kind: ConfigMap\n  metadata: {name: b}\n"
    )
    (tmp_path / "one.json").write_text(json.dumps({"kind": "Secret", "metadata": {"name": "c"}}, indent=1))
    assert [(m.kind, m.name, m.line(), m.line("metadata", "name")) for m in read([tmp_path]).all] == [
        ("ConfigMap", "a", 4, 5),
        ("ConfigMap", "b", 6, 7),
        ("Secret", "c", 1, 4),
    ]


def test_dates_are_strings_as_kubectl_has_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: ConfigMap\nmetadata: {name: a}\ndata: {day: 2028-05-31, sign: =}\n")
    assert read([tmp_path]).objects[0]["data"] == {"day": "2028-05-31", "sign": "="}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "kind: ConfigMap\nmetadata: {name: a\ndata: {}\n", "FOLDER/a.yaml:3: no YAML ("),
        ("a.yaml", "kind: ConfigMap\nmetadata:\n  name: {{ .Values.name }}\n", "it is a template, render it first, as in helm template CHART"),
        ("a.yaml", "---\nkind: ConfigMap\n---\na: b\n", "FOLDER/a.yaml:2: an object lacks kind or metadata.name: {'kind': 'ConfigMap'}"),
        ("a.yaml", "- a\n", "FOLDER/a.yaml:1: an object lacks kind or metadata.name: ['a']"),
        ("kustomization.yaml", "resources: []\n", "rendered: kubectl kustomize FOLDER | kubectl qms … -f -"),
        ("Chart.yaml", "name: a\n", "rendered: helm template FOLDER | kubectl qms … -f -"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_to_do(name: str, text: str, said: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(OfflineError) as error:
        read([tmp_path])
    assert said in str(error.value).replace(str(tmp_path), "FOLDER")
    assert "\n" not in str(error.value)


# The command


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([CLI, "lint", *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_it_ends_with_0_where_nothing_is_found() -> None:
    ended = run("-f", "-", stdin="---\n".join(GOOD.values()))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "nothing found in 4 objects\n", "")


def test_it_ends_with_1_and_prints_a_line_a_finding() -> None:
    ended = run("-f", "-", stdin=WORKLOAD.replace("maxSurge: 1", "maxSurge: 0"))
    said = "rollout: Deployment/scoring: maxSurge 0 leaves no room for a new pod beside the old ones: set spec.strategy.rollingUpdate.maxSurge: 1"
    assert (ended.returncode, ended.stdout) == (1, f"stdin:6: {said}\n1 finding in 1 object\n")


def test_a_rule_can_be_left_out_and_the_time_that_people_take_be_said() -> None:
    text = WORKLOAD.replace("604800", "7200")
    assert [run("-f", "-", *more, stdin=text).returncode for more in ((), ("--ignore", "deadline"), ("--approvals-take", "2h"))] == [1, 0, 0]


def test_programs_get_what_people_see() -> None:
    (found,) = json.loads(run("-f", "-", "-o", "json", stdin=WORKLOAD.replace("604800", "7200")).stdout)
    assert (found["rule"], found["file"], found["line"], found["field"], found["kind"], found["name"], found["namespace"]) == (
        "deadline",
        "stdin",
        5,
        "spec.progressDeadlineSeconds",
        "Deployment",
        "scoring",
        "lending",
    )


def test_the_rules_are_told() -> None:
    assert [line.split()[0] for line in run("--rules").stdout.splitlines()] == [rule.name for rule in RULES]


def test_the_docs_list_the_rules_and_say_how_to_print_them() -> None:
    text = (pathlib.Path(__file__).parents[3] / "docs" / "cli.md").read_text().partition("\n## lint\n")[2].partition("\n## ")[0]
    assert [line for line in text.splitlines() if line.startswith("| `")] == [f"| `{rule.name}` | {rule.looks_for} |" for rule in RULES]
    assert "kubectl qms lint --rules" in text


@pytest.mark.parametrize(
    "arguments", [(), ("-f", "-", "--ignore", "no-such-rule"), ("-f", "-", "--approvals-take", "a while")], ids=["no manifests", "no such rule", "no duration"]
)
def test_wrong_usage_ends_with_2_and_says_what_there_is(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2
