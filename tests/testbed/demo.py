"""`make demo`: the story of examples/lending on a real cluster, with the commands that people type and what they print. The cluster stays."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.testbed.__main__ import PLACE, PROJECT
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.build import BuildFailed, say
from tests.testbed.cluster import Cluster, CommandFailed
from tests.testbed.install import GATE, install
from tests.testbed.logstores import HOST, free_port, victorialogs_at
from tests.testbed.operator_process import Operator
from tests.testbed.processes import ComponentFailed, started_in
from tests.testbed.providers import NotOffered
from tests.testbed.waiting import NotInTime, eventually

NAMESPACE = "lending"
NAME = "credit-scoring"
EXAMPLE = "examples/lending"
PEOPLE = (("alice", "model-owner"), ("bob", "risk-manager"), ("carol", "risk-manager"))
RATIONALE = {"alice": "Scores the holdout as specified", "bob": "Residual risk accepted, RA-2026-31", "carol": "Fairness report of 12 Nov reviewed"}
GRACE = "a week"  # as onLapse of examples/lending has it
SECONDS = 30  # for anything that a cluster does by itself; it takes one or two

# What to try next; a test runs it. mallory runs the namespace: each of hers is refused, and so is the administrator's.
GPU_POD = '{"spec": {"containers": [{"name": "free", "image": "vllm", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}}'
BYPASSES = (
    f"kubectl --context mallory -n {NAMESPACE} run free --image=vllm --overrides='{GPU_POD}'",
    f"kubectl --context mallory -n {NAMESPACE} label pods --all --overwrite aiqms.dev/deployment=another",
    f"kubectl --context mallory -n {NAMESPACE} set image pods --all vllm=registry.bank.example/another",
    f"""kubectl --context mallory -n {NAMESPACE} patch configmap {NAME} -p '{{"data":{{"log-level":"DEBUG"}}}}'""",
    f"kubectl --context mallory -n {NAMESPACE} create rolebinding me --clusterrole=aiqms-role-risk-manager --user=mallory",
    f"kubectl --context mallory -n {NAMESPACE} exec deploy/{NAME} -- sh",
    f"kubectl -n {NAMESPACE} delete apr --all",
    f"kubectl -n {NAMESPACE} delete clearance --all",
)
APPLY = f"kubectl --context ci apply -f {EXAMPLE}/deployment.yaml -f {EXAMPLE}/workload.yaml"
READ = ("kubectl get qms -A", f"kubectl -n {NAMESPACE} get events", "kubectl get validatingadmissionpolicies,mutatingadmissionpolicies")


@dataclass
class Story:
    """Tells the story on a cluster where AIQMS runs and namespace lending does not exist yet. Raises NotInTime or CommandFailed where it goes otherwise."""

    cluster: Cluster
    operator: Operator
    out: TextIO = sys.stdout
    chapter: int = 0

    def tell(self) -> None:
        """From the governed namespace to the approved change."""
        self.the_stage()
        self.a_namespace_is_governed()
        self.a_workload_is_held()
        self.people_approve()
        self.the_model_changes()
        self.the_operator_is_killed()
        self.the_change_is_approved()
        self.logs_have_to_be_kept()
        self.somebody_tries_another_way_in()

    def the_stage(self) -> None:
        """What is there before anybody acts."""
        self.heading("A cluster with GPU nodes, and AIQMS")
        self.run("kubectl version")
        self.run("kubectl get nodes -o custom-columns='NAME:.metadata.name,GPUS:.status.capacity.nvidia\\.com/gpu'")
        self.run("helm list -n aiqms-system")

    def a_namespace_is_governed(self) -> None:
        """The rule, the label, and who may decide."""
        self.heading("A platform engineer puts namespace lending under a procedure")
        self.say("High-risk AI needs one model-owner and two risk-managers, three different people. From the label on, the API server judges every pod there.")
        self.run(f"kubectl apply -f {EXAMPLE}/procedure.yaml -f {EXAMPLE}/namespace.yaml -f {EXAMPLE}/people.yaml")
        self.wait(lambda: self.admin.find("clearances", "clearance", NAMESPACE) is not None, "the operator makes the namespace's Clearance")
        self.run("kubectl get qmsp")

    def a_workload_is_held(self) -> None:
        """Applied by a pipeline: nothing is refused, nothing runs."""
        self.heading("The pipeline applies a GPU workload: its pods are made, and held")
        self.run(APPLY)
        self.wait(lambda: self.stands(phase="Held", held=3, running=0), "three pods are held, and the register says so")
        self.run(f"kubectl get pods -n {NAMESPACE}")
        self.run("kubectl get aimd -A")
        self.say("What is missing, who can give it, and how:")
        self.run(f"kubectl qms explain aimd/{NAME} -n {NAMESPACE} --context alice", code=1)

    def people_approve(self) -> None:
        """Three people, each with a certificate of their own."""
        self.heading("Alice, bob and carol approve exactly this, each as themselves")
        self.approve(*PEOPLE[0])
        self.approve(*PEOPLE[1])
        self.wait(lambda: self.given() == 2, "two approvals are counted")
        self.run(f"kubectl get aimd,pods -n {NAMESPACE}")
        self.approve(*PEOPLE[2])
        self.until_running(3, "the three pods run")
        self.wait(lambda: self.stands(phase="Running", held=0, running=3), "the register says so")
        self.run(f"kubectl get aimd,pods -n {NAMESPACE}")

    def the_model_changes(self) -> None:
        """A new subject: held, while the one approved serves."""
        self.heading("The model changes: the new pod waits, the old ones serve")
        self.run(f"kubectl --context ci apply -f {EXAMPLE}/model-4.2.0/")
        self.wait(lambda: self.stands(phase="ChangePending", held=1, running=3), "one new pod is held, the three old ones serve")
        self.run(f"kubectl get aimd,pods -n {NAMESPACE}")
        self.run(f"kubectl qms explain aimd/{NAME} -n {NAMESPACE} --context bob | sed '/^To approve/,$d'", code=1)

    def the_operator_is_killed(self) -> None:
        """The gate is the API server's: it does not need the operator."""
        self.heading("The operator is killed. The gate stays")
        pid = next(process.pid for process in started_in(self.cluster.provider.folder / "run") if process.name == self.operator.name)
        self.run(f"kill -9 {pid}")
        self.wait(lambda: not self.operator.running, "the operator is gone")
        waiting, serving = self.held()[0], self.running()[0]
        self.say("The held pod is deleted. Its successor is held as well:")
        self.run(f"kubectl --context mallory delete pod {waiting} -n {NAMESPACE}")
        self.wait(lambda: len(self.held()) == 1 and waiting not in self.held(), "the successor of the held pod is held")
        self.say("A pod that serves is deleted. Its successor equals what was approved, so it runs at once:")
        self.run(f"kubectl --context mallory delete pod {serving} -n {NAMESPACE}")
        self.wait(lambda: len(self.running()) == 3 and serving not in self.running(), "the successor of the serving pod runs")
        self.run(f"kubectl get pods -n {NAMESPACE}")

    def the_change_is_approved(self) -> None:
        """It rolls out, and who approved what can be read by whoever has to know."""
        self.heading("The operator is back, the change is approved, and it rolls out")
        self.operator.start()
        self.say("The operator runs again; all that it knows is in the API server.")
        for person, role in PEOPLE:
            self.approve(person, role)
        self.until_running(1, "the pod that waited runs")
        self.run(f"kubectl rollout status deployment/{NAME} -n {NAMESPACE} --timeout={SECONDS}s")
        self.wait(lambda: self.stands(phase="Running", held=0, running=3), "three pods of the new model run")
        self.run(f"kubectl get aimd,pods -n {NAMESPACE}")
        self.say("Who decided what, as the auditor reads it. The first three no longer count: another model is the current one.")
        self.run(f"kubectl --context auditor get apr -n {NAMESPACE}")

    def logs_have_to_be_kept(self) -> None:
        """Where they lie, and not in a document."""
        self.heading("The procedure asks for logs that are kept for six months; the store keeps them for thirty days")
        port, folder = free_port(), self.cluster.provider.folder / "run"
        here = f"s#http://victoria-logs.logging.svc:9428#http://{HOST}:{port}#"
        # Anew, also here: a story that was told before on this cluster has left one.
        victorialogs_at(port, folder, "-retentionPeriod=30d").restart()
        self.say(
            f"VictoriaLogs runs on this machine with -retentionPeriod=30d. Approvals go on counting (approvals.since), and pods that run go on for {GRACE}."
        )
        self.run(f"sed '{here}' {EXAMPLE}/logging/procedure.yaml | kubectl apply -f -")
        self.run(f"sed '{here}' {EXAMPLE}/logging/deployment.yaml | kubectl --context ci apply --server-side --field-manager=logs -f -")
        self.wait(lambda: self.control("logging/inference") == "RetentionTooShort", "the operator has asked the store")
        self.run(f"kubectl qms explain {NAME} -n {NAMESPACE} --context bob | grep -E 'HELD|logging/'", code=1)
        self.say("It is started anew with -retentionPeriod=200d:")
        victorialogs_at(port, folder, "-retentionPeriod=200d").restart()
        self.wait(lambda: self.control("logging/inference") == "LogsKept", "the operator has asked again, and read its canaries back, one of them 183 days old")
        self.wait(lambda: self.stands(phase="Running", held=0, running=3), "the register says so")
        self.run(f"kubectl qms explain {NAME} -n {NAMESPACE} --context bob | grep -E 'RUNNING|logging/|log stream'")

    def somebody_tries_another_way_in(self) -> None:
        """A client that is not named, a shell without the right, an image from elsewhere: by mallory, who runs the namespace."""
        self.heading("Mallory, who runs the namespace, tries other ways in")
        self.say("The register names the clients, and the operator's NetworkPolicy lets in no others. Policies add up, so one more would let in all:")
        self.run(f"kubectl --context mallory apply -f {EXAMPLE}/access/open-to-all.yaml")
        self.wait(lambda: self.control("access/network") == "NetworkPolicyOpensMore", "it is found, and named")
        self.run(f"kubectl qms explain {NAME} -n {NAMESPACE} --context bob | grep 'access/network '", code=1)
        self.run(f"kubectl --context mallory delete networkpolicy open-to-all -n {NAMESPACE}")
        self.run(f"kubectl --context mallory delete networkpolicy aiqms-{NAME} -n {NAMESPACE}")
        self.wait(lambda: self.admin.find("networkpolicies", f"aiqms-{NAME}", NAMESPACE) is not None, "the operator puts its own back")
        self.wait(lambda: self.stands(phase="Running", held=0, running=3), "all is as it was")
        self.say("A shell takes a right of its own:")
        self.run(f"kubectl --context mallory exec deploy/{NAME} -n {NAMESPACE} -- sh", code=1)
        self.say("An image from a registry that the procedure does not allow waits, whoever might approve it; the pods approved before serve:")
        self.run(f"kubectl --context mallory set image deployment/{NAME} vllm=docker.io/mallory/vllm:latest -n {NAMESPACE}")
        self.wait(lambda: self.control("supply/registries") == "RegistryNotAllowed" and self.stands(phase="ChangePending", held=1, running=3), "it waits")
        self.run(f"kubectl qms explain {NAME} -n {NAMESPACE} --context bob | grep -A1 'supply/'", code=1)
        self.run(f"kubectl --context mallory rollout undo deployment/{NAME} -n {NAMESPACE}")
        self.wait(lambda: self.stands(phase="Running", held=0, running=3), "the approved one stays")

    def control(self, id_: str) -> str:
        """The reason of a control."""
        return next((str(c["reason"]) for c in self.register().get("status", {}).get("controls", []) if c["id"] == id_), "")

    def approve(self, person: str, role: str) -> None:
        """One record, by the person's own credentials."""
        spec = f"{{deployment: {NAME}, role: {role}, decision: Approve,\n       subject: {self.subject()!r},\n       rationale: {RATIONALE[person]!r}}}"
        record = f"apiVersion: aiqms.dev/v1alpha1\nkind: ApprovalRecord\nmetadata: {{generateName: {NAME}-, namespace: {NAMESPACE}}}\nspec: {spec}"
        self.run(f"kubectl --context {person} create -f - <<'EOF'\n{record}\nEOF")

    def until_running(self, count: int, what: str) -> None:
        """Wait until so many pods of the current model run, say how long that took, and wait until the register says so."""
        began = time.monotonic()
        self.wait(lambda: len(self.running(self.register()["spec"]["model"]["digest"])) >= count, what)
        self.say(f"{time.monotonic() - began:.2f} s after the last record {what}.")

    # what the API server says

    @property
    def admin(self) -> Api:
        """For looking only: whatever the story does, a command does that is shown."""
        return self.cluster.api("admin")

    def register(self) -> Json:
        """The register entry."""
        return self.admin.get("aimd", NAME, NAMESPACE)

    def subject(self) -> str:
        """What is to be approved now."""
        return str(self.register()["status"]["subject"]["fingerprint"])

    def given(self) -> int:
        """Approvals that count for it."""
        return sum(role["given"] for role in self.register()["status"]["approvals"])

    def stands(self, *, phase: str, held: int, running: int) -> bool:
        """Whether the register says so of this generation, and the pods are so."""
        found = self.register()
        status = found.get("status", {})
        said = (status.get("observedGeneration"), status.get("phase"), status.get("pods"))
        pods = {"running": running, "held": held, "before": 0}
        return said == (found["metadata"]["generation"], phase, pods) and (len(self.held()), len(self.running())) == (held, running)

    def held(self) -> list[str]:
        """Names of the pods that wait."""
        return [pod["metadata"]["name"] for pod in self.pods() if {"name": GATE} in pod["spec"].get("schedulingGates", [])]

    def running(self, model: str = "") -> list[str]:
        """Names of the pods that run, of this model or of all."""
        found = [pod for pod in self.pods() if pod["status"]["phase"] == "Running"]
        return [pod["metadata"]["name"] for pod in found if not model or pod["metadata"]["annotations"]["aiqms.dev/model"] == model]

    def pods(self) -> list[Json]:
        """The workload's pods, less those that are going."""
        found = self.admin.list("pods", NAMESPACE, labels=f"aiqms.dev/deployment={NAME}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    # the screen

    def heading(self, text: str) -> None:
        """A chapter."""
        self.chapter += 1
        self.show(f"\n{self.chapter}. {text}", "1;36")

    def say(self, text: str) -> None:
        """What to look at."""
        self.show(text, "2")

    def show(self, text: str, style: str = "") -> None:
        """Coloured for people alone."""
        print(f"\033[{style}m{text}\033[0m" if style and self.out.isatty() else text, file=self.out, flush=True)

    def run(self, command: str, *, code: int = 0) -> None:
        """Show a command, let a shell run it as it is shown, and show what it prints. Raises CommandFailed for another exit code."""
        self.show(f"$ {command}", "1")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], env=self.environment(), cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.stdout:
            self.show(done.stdout.rstrip())
        if done.returncode != code:
            raise CommandFailed([command], done.returncode, done.stdout)

    def environment(self) -> dict[str, str]:
        """What `make -s env` gives a shell."""
        tools = [str(Path(self.cluster.provider.program(name)).parent) for name in ("kubectl", "helm")]
        return self.cluster.environment() | {"PATH": os.pathsep.join([*tools, str(Path(sys.executable).parent), os.environ["PATH"]])}

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for what the cluster does by itself."""
        eventually(condition, within=SECONDS, what=what)


def afterwards(story: Story) -> None:
    """What to try next."""
    for heading, commands in (
        ("The cluster and the operator go on running. To use them from this shell:", ['eval "$(make -s env)"']),
        ("Get round the gate, as mallory who runs the namespace, or as the administrator:", BYPASSES),
        ("Go back to the model approved before, which needs no new approval:", [APPLY]),
        ("Look around:", READ),
        ("Stop it all:", ["make down"]),
    ):
        story.show(f"\n{heading}", "1;36")
        for command in commands:
            story.show(f"  {command}")


def staged(cluster: Cluster) -> Operator:
    """A new cluster with AIQMS on it: what was played with in a former one, or was left by a crash, tells another story."""
    cluster.down()
    cluster.up()
    say("installing AIQMS by its Helm chart")
    install(cluster)
    operator = Operator(cluster=cluster)
    operator.start()
    return operator


def main() -> int:
    """Tell the story; 1 with the reason on standard error where it goes otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=PLACE / "cluster", help="state folder of the cluster (default: .testbed/cluster)")
    cluster = Cluster.at(parser.parse_args().folder)
    began = time.monotonic()
    try:
        story = Story(cluster=cluster, operator=staged(cluster))
        story.tell()
    except (BuildFailed, CommandFailed, ComponentFailed, NotInTime, NotOffered, ApiError) as error:
        print(
            f"\nthe story went otherwise: {type(error).__name__}: {error}\nwhat runs is left as it is; its logs: {cluster.provider.folder / 'run'}",
            file=sys.stderr,
        )
        return 1
    say(f"told in {time.monotonic() - began:.0f} s")
    afterwards(story)
    return 0


if __name__ == "__main__":
    sys.exit(main())
