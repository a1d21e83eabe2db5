"""Logs on a real cluster and real stores: a deployment whose logs are not kept as asked is held, and says which setting to change."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest
import yaml

from tests.e2e.conftest import govern
from tests.e2e.given import NAME, Place, await_gone, placed, refused, registered
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster
from tests.testbed.logstores import HOST, free_port, victorialogs, vlagent
from tests.testbed.objectstore import moto, versitygw
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

CLI = Path(sys.executable).parent / "kubectl-qms"
EXAMPLES = Path(__file__).parents[2] / "examples"
STREAM: Json = {"name": "inference", "retention": "184d", "protection": "Deletable"}
ROW = "logging/inference"
SECRET = "s3cr3t-0f-the-store"


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def asks(endpoint: str, *streams: Json, **more: object) -> Json:
    """What a procedure asks of logs; the canary has ten seconds."""
    return {"streams": list(streams) or [STREAM], "endpoints": [endpoint], "canary": {"every": "1h", "within": "10s"}} | more


def sent_to(sink: Json, **more: object) -> Json:
    return {"streams": [{"name": "inference", "sink": sink} | more]}


def store(endpoint: str, **more: object) -> Json:
    return sent_to({"victoriaLogs": {"endpoint": endpoint} | more})


def say(place: Place) -> str:
    """The stream's row, in words."""
    return next((str(c["message"]) for c in place.status["controls"] if c["id"] == ROW), "")


def until(place: Place, result: str, reason: str) -> str:
    place.awaited(lambda: place.control(ROW) == (result, reason), f"{ROW} is {result}: {reason}")
    return say(place)


def waiting(place: Place, endpoint: str, **logging: object) -> None:
    """Governed, registered with that store, deployed and approved; whether it runs is up to the store."""
    place.govern(logging=asks(endpoint, **logging))
    place.register(logging=store(endpoint))
    place.deploy()
    place.await_pods(held=1)
    place.decide("alice")


class TestRetention:
    """The story: 30 days where 184 are asked."""

    def test_too_short_a_period_holds_and_names_the_setting_and_once_it_is_raised_the_pods_run(self, place: Place) -> None:
        port = free_port()
        endpoint = f"http://{HOST}:{port}"
        with victorialogs("-retentionPeriod=30d", port=port):
            waiting(place, endpoint)
            said = until(place, "Fail", "RetentionTooShort")
            assert re.sub(r"v1\S+", "V", said) == (
                "VictoriaLogs V keeps inference for 30d (-retentionPeriod=30d), and 184d are asked: start VictoriaLogs with -retentionPeriod=184d"
            )
            place.await_pods(held=1)
            explained = kubectl_qms(place, "explain", NAME, code=1)
            assert "✗ logging/inference" in explained
            assert "-retentionPeriod=184d" in explained
            assert place.condition("LogsRetained")["status"] == "False"
        with victorialogs("-retentionPeriod=200d", port=port):
            place.await_pods(running=1)
            assert place.control(ROW) == ("Pass", "LogsKept")
            (seen,) = place.status["logs"]
            assert (seen["stream"], seen["endpoint"], seen["kept"], seen["protection"], seen["route"]) == (
                "inference",
                endpoint,
                "200d",
                "Deletable",
                "directly",
            )
            assert place.condition("LogsRetained")["status"] == "True"

    def test_a_period_shortened_after_approval_is_a_lapse_and_onlapse_rules(self, place: Place) -> None:
        port = free_port()
        endpoint = f"http://{HOST}:{port}"
        with victorialogs("-retentionPeriod=200d", port=port):
            waiting(place, endpoint, canary={"every": "2s", "within": "10s"})
            place.await_pods(running=1)
        with victorialogs("-retentionPeriod=30d", port=port):
            until(place, "Fail", "RetentionTooShort")
            place.await_replacement(place.running()[0])
            place.await_pods(held=1)

    def test_an_outage_stops_nothing_until_the_last_good_check_is_too_old(self, place: Place) -> None:
        port = free_port()
        endpoint = f"http://{HOST}:{port}"
        with victorialogs("-retentionPeriod=200d", port=port):
            waiting(place, endpoint, canary={"every": "1s", "within": "10s"}, streams=[STREAM | {"maxCheckAge": "12s"}])
            place.await_pods(running=1)
        said = until(place, "Warn", "SinkUnreachable")
        assert "what it answered last counts until" in said
        assert not [p for p in place.pods() if p["status"]["phase"] != "Running"]
        until(place, "Error", "CheckTooOld")
        place.await_replacement(place.running()[0])
        place.await_pods(held=1)

    def test_a_store_that_hangs_is_given_up_in_time_and_others_go_on(self, place: Place) -> None:
        with hanging() as endpoint:
            waiting(place, endpoint)
            other = place.of("beside")
            other.register()
            other.deploy()
            other.awaited(lambda: other.control(ROW) == ("Fail", "StreamUnregistered"), "another deployment is judged meanwhile", 5)
            said = until(place, "Error", "SinkUnreachable")
            assert said == f"{endpoint} did not answer within 10 s: correct the sink's endpoint, or let the operator reach it"

    def test_another_operator_goes_on_with_what_was_found_and_writes_nothing(self, place: Place, operator: Operator) -> None:
        with victorialogs("-retentionPeriod=200d") as endpoint:
            waiting(place, endpoint)
            place.await_pods(running=1)
            place.await_phase("Running")
            before = place.entry["metadata"]["resourceVersion"]
            operator.restart()
            place.awaited(lambda: _checks(operator) > 0, "the new operator has asked the store")
            assert place.entry["metadata"]["resourceVersion"] == before
            place.await_replacement(place.running()[0])
            place.await_pods(running=1)
            assert place.control(ROW) == ("Pass", "LogsKept")


def _checks(operator: Operator) -> float:
    found = re.findall(r'aiqms_log_checks_total\{backend="VictoriaLogs",outcome="Answered"\} (\S+)', operator.metrics())
    return sum(map(float, found))


@contextmanager
def hanging() -> Iterator[str]:
    """A store that takes connections, and says nothing."""
    with socket.create_server((HOST, 0)) as listener:
        yield f"http://{HOST}:{listener.getsockname()[1]}"


def secret(place: Place, **data: str) -> None:
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    metadata = {"name": "log-reader", "namespace": place.namespace}
    place.by("mallory").apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded})


class TestCredentials:
    """A Secret of the deployment's own namespace, which somebody there opens to the operator by name."""

    def test_the_operator_reads_the_secret_only_once_it_was_opened_to_it_and_says_nothing_of_it(self, place: Place, operator: Operator) -> None:
        with victorialogs("-retentionPeriod=200d", "-httpAuth.username=reader", f"-httpAuth.password={SECRET}") as endpoint:
            place.govern(logging=asks(endpoint))
            place.register(logging=store(endpoint, credentials={"secretName": "log-reader"}))
            place.deploy()
            place.await_pods(held=1)
            place.decide("alice")
            said = until(place, "Error", "CredentialsUnreadable")
            commands = re.findall(r"kubectl create (?:role|rolebinding) .*?(?= && |$)", said)
            assert len(commands) == 2, said
            secret(place, username="reader", password="wrong-" + SECRET)
            for command in commands:
                kubectl(place, "mallory", command)
            refused_ = until(place, "Error", "CredentialsRefused")
            assert "correct the Secret" in refused_
            secret(place, username="reader", password=SECRET)
            place.await_pods(running=1)
            told = [json.dumps(place.entry), json.dumps(place.admin.list("events", place.namespace)), operator.log, operator.metrics()]
            assert [text for text in told if SECRET in text or base64.b64encode(SECRET.encode()).decode() in text] == []


# What a tenant may write of a sink, and what comes of it.
REFUSED: dict[str, tuple[Json, str]] = {
    "credentials in the URL": ({"endpoint": "http://user:pass@logs.bank.example"}, "should match"),
    "a query in the URL": ({"endpoint": "http://logs.bank.example/?x=y"}, "should match"),
    "a file": ({"endpoint": "file:///etc/passwd"}, "should match"),
    "another namespace's Secret": ({"endpoint": "http://logs.bank.example", "credentials": {"secretName": "kube-system/token"}}, "should match"),
    "a namespace beside the Secret": (
        {"endpoint": "http://logs.bank.example", "credentials": {"secretName": "token", "namespace": "kube-system"}},
        "unknown field",
    ),
}
NOT_ASKED = ("http://169.254.169.254/latest", "http://127.0.0.1:2379", "https://kubernetes.default.svc", "http://2130706433", "http://evil.example")


class TestTenants:
    """Whoever writes the register entry chooses the sink, and no more than that."""

    @pytest.mark.parametrize(("sink", "why"), REFUSED.values(), ids=REFUSED.keys())
    def test_the_api_server_refuses(self, place: Place, sink: Json, why: str) -> None:
        with refused(why, code=400 if why == "unknown field" else 422):
            strictly(place, store(**sink))

    def test_two_kinds_of_sink_are_one_too_many(self, place: Place) -> None:
        both = {"victoriaLogs": {"endpoint": "http://a.example"}, "persistentVolumeClaim": {"claimName": "logs"}}
        with refused("a sink is one of victoriaLogs, s3, loki, persistentVolumeClaim and other: give one of them", code=422):
            place.register(logging=sent_to(both))

    @pytest.mark.parametrize("endpoint", NOT_ASKED)
    def test_no_address_is_asked_that_the_procedure_does_not_spell(self, place: Place, endpoint: str) -> None:
        place.govern(logging=asks("http://*.bank.example") | {"endpoints": ["http://*.bank.example", "https://*.bank.example", "http://*:2379", "http://1*"]})
        place.register(logging=store(endpoint))
        place.deploy()
        said = until(place, "Fail", "EndpointNotAllowed")
        assert said.startswith(f"{endpoint} is no server that logging.endpoints of")

    def test_a_name_that_leads_to_a_refused_address_is_not_asked(self, place: Place) -> None:
        """The platform team allowed the name; localhost.localdomain and its like lead to this machine."""
        name = next((n for n in ("ip6-localhost", "localhost.localdomain") if _leads_here(n)), "")
        if not name:
            pytest.skip("no other name of this machine leads to a loopback address")
        place.govern(logging=asks(f"http://{name}:9428"))
        place.register(logging=store(f"http://{name}:9428"))
        place.deploy()
        assert "this machine itself" in until(place, "Error", "AddressRefused")


def _leads_here(name: str) -> bool:
    try:
        return all(str(a[4][0]) in ("127.0.0.1", "::1") for a in socket.getaddrinfo(name, 80))
    except OSError:
        return False


def strictly(place: Place, logging: Json) -> None:
    """As kubectl does, which asks for unknown fields to be refused."""
    at = f"/apis/aiqms.dev/v1alpha1/namespaces/{place.namespace}/aimodeldeployments"
    place.by("mallory").request("POST", at, registered(place.namespace, NAME, logging=logging), query={"fieldValidation": "Strict"})


class TestImmutable:
    """Object Lock, proved by a deletion that the store refuses, and by what is then read back."""

    def test_a_store_that_locks_what_is_written_lets_the_pods_run(self, place: Place) -> None:
        with versitygw("writer", SECRET) as endpoint:
            locked = Bucket(endpoint, "audit", "writer", SECRET)
            locked.create()
            place.govern(logging=asks(endpoint, STREAM | {"protection": "Immutable"}))
            secret(place, accessKeyId="writer", secretAccessKey=SECRET)
            opened_to_the_operator(place)
            sink = {"endpoint": endpoint, "bucket": "audit", "credentials": {"secretName": "log-reader"}}
            place.register(logging=sent_to({"s3": sink}))
            place.deploy()
            place.await_pods(held=1)
            place.decide("alice")
            said = until(place, "Fail", "NotProtected")
            assert "objectLock: Writer" in said  # versitygw stamps no objects with the bucket's default
            place.register(logging=sent_to({"s3": sink | {"objectLock": "Writer"}}))
            place.await_pods(running=1)
            assert "protection Immutable" in until(place, "Pass", "LogsKept")
            kept = [version for version in locked.versions() if locked.deleted(version) in (400, 403)]
            assert kept  # the first canary, which bore no lock, is gone
            assert {locked.read(version) for version in kept} == {200}

    def test_a_mock_that_declares_locks_and_honours_none_is_found_out(self, place: Place) -> None:
        with moto(lax=True) as endpoint:
            locked = Bucket(endpoint, "audit", "writer", SECRET)
            locked.create()
            place.govern(logging=asks(endpoint, STREAM | {"protection": "Immutable"}))
            secret(place, accessKeyId="writer", secretAccessKey=SECRET)
            opened_to_the_operator(place)
            sink = {"endpoint": endpoint, "bucket": "audit", "objectLock": "Writer", "credentials": {"secretName": "log-reader"}}
            place.register(logging=sent_to({"s3": sink}))
            place.deploy()
            until(place, "Fail", "NotProtected")


@dataclass(frozen=True)
class Bucket:
    """As a writer sees it, by a client of its own: boto3."""

    endpoint: str
    name: str
    key: str
    secret: str

    @property
    def _client(self) -> Any:
        config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=self.key, aws_secret_access_key=self.secret, config=config
        )

    def create(self) -> None:
        """With Object Lock."""
        self._client.create_bucket(Bucket=self.name, ObjectLockEnabledForBucket=True)

    def versions(self) -> list[dict[str, str]]:
        """Key and version of each object that is there."""
        found = self._client.list_object_versions(Bucket=self.name).get("Versions") or []
        return [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found]

    def deleted(self, version: dict[str, str]) -> int:
        """The status of an attempt."""
        return self._status(lambda: self._client.delete_object(Bucket=self.name, **version))

    def read(self, version: dict[str, str]) -> int:
        """The status of reading it."""
        return self._status(lambda: self._client.get_object(Bucket=self.name, **version))

    @staticmethod
    def _status(ask: Callable[[], Any]) -> int:
        try:
            return int(ask()["ResponseMetadata"]["HTTPStatusCode"])
        except botocore.exceptions.ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def opened_to_the_operator(place: Place) -> None:
    """As docs/logs.md says."""
    kubectl(place, "mallory", f"kubectl create role aiqms-reads-log-reader -n {place.namespace} --verb=get --resource=secrets --resource-name=log-reader")
    account = "--serviceaccount=aiqms-system:aiqms-operator"
    kubectl(place, "mallory", f"kubectl create rolebinding aiqms-reads-log-reader -n {place.namespace} --role=aiqms-reads-log-reader {account}")


class TestVolumes:
    """A volume proves no period by itself, which is said, and is a warning where the procedure says so."""

    def test_a_claim_is_looked_at_and_not_believed(self, place: Place) -> None:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "", "volumeName": f"pv-{place.namespace}"}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"pv-{place.namespace}"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/var/log/none"},
                "persistentVolumeReclaimPolicy": "Retain",
            },
        }
        place.admin.apply(volume)
        try:
            metadata = {"name": "logs", "namespace": place.namespace}
            place.by("mallory").apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim})
            place.govern(logging={"streams": [{"name": "inference", "retention": "184d"}]})
            place.register(logging=sent_to({"persistentVolumeClaim": {"claimName": "logs"}}))
            place.deploy()
            assert "not verified" in until(place, "Error", "NotVerifiable")
            place.govern(revision=2, logging={"streams": [{"name": "inference", "retention": "184d"}], "unverified": "Warned"})
            until(place, "Warn", "NotVerifiable")
        finally:
            place.admin.delete("persistentvolumes", f"pv-{place.namespace}")


class TestTrace:
    """From a line in the store to the people who allowed it."""

    def test_a_line_of_a_real_governed_server_leads_to_its_approvals(self, cluster: Cluster, installed: Operator, tmp_path: Path) -> None:
        admin = cluster.api("admin")
        await_gone(admin, "scoring")
        govern(cluster, "scoring")
        try:
            with victorialogs("-retentionPeriod=200d") as endpoint, vlagent(endpoint) as intake, placed(cluster, "scoring") as scoring:
                there = {"http://victoria-logs.logging.svc:9428": endpoint, "http://vlagent.logging.svc:9429/insert/jsonline": intake}
                for name in ("procedure", "deployment", "workload"):
                    for manifest in manifests(EXAMPLES / "logging" / f"{name}.yaml", there):
                        (admin if name == "procedure" else scoring.by("mallory")).apply(manifest)
                place = scoring.of("scorer")
                place.await_pods(held=1)
                record = place.decide("alice")
                place.await_pods(running=1)
                assert place.status["logs"][0]["route"] == f"through {intake}"
                with served(place, tmp_path, intake.removesuffix("/insert/jsonline")) as url:
                    answer = post(f"{url}/v1/score", {"income": 42000, "debt": 9000})
                line = eventually(lambda: found(endpoint, answer["request_id"]), within=20, what="the line is in the store")
                assert line is not None
                approved = [r for r in admin.list("apr", "scoring") if r["spec"]["subject"] == line["subject"] and r["spec"]["decision"] == "Approve"]
                assert [(r["metadata"]["name"], r["spec"]["approver"]["username"], r["status"]["counts"]) for r in approved] == [(record, "alice", True)]
                assert line["model_digest"] == place.entry["spec"]["model"]["digest"]
        finally:
            admin.delete("namespaces", "scoring")


def manifests(file: Path, there: dict[str, str]) -> list[Json]:
    """As they are, but for where the servers are on this machine."""
    text = file.read_text()
    for name, address in sorted(there.items(), reverse=True):
        text = text.replace(name, address)
    return [m for m in yaml.safe_load_all(text) if m]


@contextmanager
def served(place: Place, folder: Path, endpoint: str) -> Iterator[str]:
    """examples/logging/server.py as the pod runs it: its files are what the downward API would write, by the pod that admission let in."""
    (pod,) = place.running()
    annotations = pod["metadata"]["annotations"]
    values = {
        "deployment": pod["metadata"]["labels"]["aiqms.dev/deployment"],
        "model": annotations["aiqms.dev/model"],
        "subject": annotations["aiqms.dev/subject"],
    }
    for name, value in values.items():
        (folder / name).write_text(value)
    port = free_port()
    env = os.environ | {"PORT": str(port), "PODINFO": str(folder), "LOG_ENDPOINT": endpoint}
    with subprocess.Popen([sys.executable, "server.py"], cwd=EXAMPLES / "logging", env=env, stderr=subprocess.PIPE) as process:
        try:
            eventually(lambda: get(f"http://{HOST}:{port}/health"), within=10, what="the model server answers", ignoring=(OSError,))
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())


def post(url: str, body: Json) -> Json:
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=10) as answer:
        found: Json = json.loads(answer.read())
        return found


def found(endpoint: str, request_id: str) -> Json | None:
    """As an auditor asks the store."""
    lines = get(f"{endpoint}/select/logsql/query?query=request_id:%3D%22{request_id}%22").splitlines()
    return json.loads(lines[0]) if lines else None


class TestCheckLogs:
    """From a workstation, before anything is registered and after."""

    def test_before_anything_is_registered(self, place: Place, tmp_path: Path) -> None:
        with victorialogs("-retentionPeriod=30d") as endpoint:
            there = {"http://victoria-logs.logging.svc:9428": endpoint}
            for name in ("procedure", "deployment"):
                (tmp_path / f"{name}.yaml").write_text("---\n".join(map(yaml.safe_dump, manifests(EXAMPLES / "lending" / "logging" / f"{name}.yaml", there))))
            said = kubectl_qms(place, "check-logs", "-f", str(tmp_path), code=1)
            assert re.sub(r"v1\S+", "V", said) == (
                "credit-scoring in namespace lending\n  ✗ logging/inference  VictoriaLogs V keeps inference for 30d (-retentionPeriod=30d), "
                "and 184d are asked: start VictoriaLogs with -retentionPeriod=184d\n"
            )

    def test_of_what_is_registered_as_a_program_reads_it(self, place: Place) -> None:
        with victorialogs("-retentionPeriod=200d") as endpoint:
            place.govern(logging=asks(endpoint))
            place.register(logging=store(endpoint))
            (row,) = json.loads(kubectl_qms(place, "check-logs", NAME, "-o", "json", by="auditor"))
            assert (row["deployment"], row["id"], row["result"], row["reason"]) == (NAME, ROW, "Pass", "LogsKept")

    def test_where_nothing_asks_for_logs(self, place: Place) -> None:
        place.govern()
        place.register()
        said = kubectl_qms(place, "check-logs", NAME, by="auditor", code=1)
        assert said == "error: no procedure that applies asks for logs: the platform team sets logging.streams in one\n"


def kubectl_qms(place: Place, *arguments: str, by: str = "admin", code: int = 0) -> str:
    env = os.environ | {"KUBECONFIG": str(place.cluster.kubeconfig)}
    command = [str(CLI), *arguments, "-n", place.namespace, "--context", by]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def kubectl(place: Place, person: str, command: str) -> None:
    """What a person pastes."""
    place.cluster.kubectl(*command.split()[1:], "--context", person)
