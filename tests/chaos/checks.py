"""What is looked at after every step: what never may be, at once; what has to come about, until it does."""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path

from urllib3.exceptions import HTTPError

from tests.chaos.actions import World, version_of
from tests.chaos.stage import Broken, now
from tests.e2e.given import LABEL, held
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.waiting import eventually

SUBJECT = "aiqms.dev/subject"
READS = ("get", "list", "watch")
# Everything that the operator may ever write (invariant 8): verb, resource with its subresource.
WRITES = {
    ("patch", "aimodeldeployments/status"), ("patch", "approvalrecords/status"), ("patch", "approvalrecords"), ("create", "clearances"),
    ("update", "clearances"), ("delete", "clearances"), ("patch", "pods"), ("delete", "pods"), ("create", "events"), ("create", "leases"), ("update", "leases"),
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A pod that was seen without the gate. since: when it was made, if it never had one; None if it was let go."""

    deployment: str
    name: str
    version: int
    since: datetime.datetime | None


class Watch:
    """Every pod of a namespace that is ever seen free, by a watch of its own: what comes and goes between two looks is seen too."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._path = api, f"/api/v1/namespaces/{namespace}/pods"
        self.free: dict[str, Seen] = {}
        self._held: set[str] = set()
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No more."""
        self._ended = True

    def _run(self) -> None:
        while not self._ended:
            try:
                for pod in self._pods():
                    self._see(pod)
            except (ApiError, HTTPError, json.JSONDecodeError):
                time.sleep(0.1)

    def _pods(self) -> Iterator[Json]:
        listed = self._api.request("GET", self._path)
        yield from listed["items"]
        query = f"?watch=true&timeoutSeconds=5&resourceVersion={listed['metadata']['resourceVersion']}"
        for line in self._api.lines(self._path + query):
            event = json.loads(line)
            if event["type"] in ("ADDED", "MODIFIED"):
                yield event["object"]

    def _see(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if held(pod):
            self._held.add(uid)
        elif uid not in self.free:
            made = datetime.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            # One that was let go carries the subject that it was released for; another was admitted free.
            released = uid in self._held or SUBJECT in pod["metadata"].get("annotations", {})
            label = pod["metadata"].get("labels", {}).get(LABEL, "")
            self.free[uid] = Seen(label, pod["metadata"]["name"], version_of(pod), None if released else made)


class Audit:
    """The operator's writes, as they are added to the audit log; a file that was rotated is read to its end first."""

    def __init__(self, log: Path, user: str) -> None:
        self._log, self._user = log, user
        self._file: TextIOWrapper = log.open()
        self._file.seek(0, 2)
        self._rest = ""

    def writes(self) -> list[Json]:
        """Those since the last call that the API server carried out."""
        return [e for e in self.attempts() if e["responseStatus"]["code"] < 300 and "requestObject" in e]

    def attempts(self) -> list[Json]:
        """Those since the last call, refused ones too."""
        events = [json.loads(line) for line in self._lines() if self._user in line]
        return [e for e in events if e["user"]["username"] == self._user and e["verb"] not in READS]

    def _lines(self) -> Iterator[str]:
        yield from self._whole()
        if self._log.stat().st_ino != Path(f"/proc/self/fd/{self._file.fileno()}").stat().st_ino:
            yield from self._whole()
            self._file.close()
            self._file = self._log.open()
            yield from self._whole()

    def _whole(self) -> Iterator[str]:
        """Whole lines; the last one may be half written."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        yield from lines


def what(event: Json) -> tuple[str, str]:
    """The verb, and the resource with its subresource."""
    at = event["objectRef"]
    return event["verb"], at["resource"] + (f"/{at['subresource']}" if "subresource" in at else "")


@dataclass
class Checks:
    """Of one run. epoch: the highest of the Clearance so far; cleared: fingerprints that a written Clearance had, each with its time."""

    world: World
    watch: Watch
    audit: Audit
    epoch: int = 0
    cleared: set[str] = field(default_factory=set)
    records: dict[str, Json] = field(default_factory=dict)
    slowest: float = 0.0

    def never(self) -> None:
        """What holds at any time, whatever is broken. Raises Broken."""
        self._writes()
        self._free_pods()

    def _free_pods(self) -> None:
        for seen in list(self.watch.free.values()):
            of = self.world.model.deployments.get(seen.deployment)
            if of is None or not of.ever_approved(seen.version):
                raise Broken(f"invariant 1: {seen} is free, and nobody approved it")
            if seen.since and not of.admitted(seen.version, seen.since):
                raise Broken(f"invariants 2, 5: {seen} was admitted; decisions {of.decisions}, stops {of.stops}")

    def _writes(self) -> None:
        for event in self.audit.writes():
            at = event["objectRef"]
            if what(event) not in WRITES:
                raise Broken(f"invariant 8: the operator wrote {what(event)} {at.get('namespace')}/{at.get('name')}")
            if at.get("namespace") == self.world.outside:
                raise Broken(f"invariant 12: the operator wrote {what(event)} outside governed namespaces")
            if at.get("namespace") == self.world.place.namespace:
                self._written(event)

    def _written(self, event: Json) -> None:
        body, answer = event["requestObject"], event.get("responseObject", {})
        match what(event):
            case "create" | "update", "clearances":
                self._clearance(answer["spec"])
            case "patch", "pods":
                self._release(body)
            case "patch", "approvalrecords":
                if set(body) != {"metadata"} or set(body["metadata"]) != {"labels"} or set(body["metadata"]["labels"]) != {"aiqms.dev/decision"}:
                    raise Broken(f"invariant 8: a record was patched with {body}")

    def _clearance(self, spec: Json) -> None:
        epoch = spec.get("epoch", 0)
        if epoch < self.epoch:
            raise Broken(f"an epoch went back from {self.epoch} to {epoch}")
        self.epoch = epoch
        for name, entries in spec.get("deployments", {}).items():
            for entry in entries:
                self._permitted(name, entry["fingerprint"])

    def _permitted(self, name: str, fingerprint: str) -> None:
        """People approved it before (invariant 6): the model has known of each record since the API server answered, and looks after every step."""
        of = self.world.model.deployments[name]
        subjects = {f: subject for (_, subject), f in self.world.fingerprints.items()}
        if fingerprint not in subjects or not of.ever_cleared(subjects[fingerprint]):
            raise Broken(f"invariants 3, 6: {fingerprint} of {name} was cleared, and nobody approved it: {of.decisions}")
        self.cleared.add(fingerprint)

    def _release(self, body: Json) -> None:
        fingerprint = body["metadata"].get("annotations", {}).get(SUBJECT)
        if set(body) - {"metadata", "spec"} or set(body["spec"]) != {"schedulingGates"} or set(body["metadata"]) - {"uid", "annotations"}:
            raise Broken(f"invariant 8: a pod was patched with {body}")
        if fingerprint not in self.cleared:
            raise Broken(f"invariant 6: a pod was released for {fingerprint}, which no Clearance had before")

    # what has to come about

    def settle(self, within: float) -> None:
        """Wait until everything is as the model demands; the story has how long it took."""
        began = time.monotonic()
        eventually(self._settled, within=within, what="all is as the model demands", every=0.1, ignoring=(ApiError, HTTPError, KeyError))
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.world.tell(f"settled after {time.monotonic() - began:.2f} s")

    def _settled(self) -> bool:
        self.world.stage.keep()
        self.never()
        assert any(each.leads for each in self.world.stage.replicas), "no replica leads"
        for name in self.world.model.deployments:
            self._pods_of(name)
            self._status_of(name)
        self._records_judged()
        return True

    def _pods_of(self, name: str) -> None:
        of = self.world.model.deployments[name]
        demand = self.world.model.demand(of, now())
        pods = self.world.place.of(name).pods()
        free = [version_of(p) for p in pods if not held(p)]
        assert set(free) <= demand.may, f"{name}: free {free}, {demand}"
        assert not of.deployed or of.stopped or len(pods) >= of.replicas, f"{name}: {len(pods)} pods of {of.replicas}"
        if demand.must is not None:
            running = [version_of(p) for p in pods if p["status"]["phase"] == "Running"]
            waiting = [version_of(p) for p in pods if held(p) and p["metadata"].get("ownerReferences")]
            assert (running, waiting, len(free)) == ([demand.must] * demand.replicas, [], demand.replicas), f"{name}: {running} run, {waiting} wait, {demand}"

    def _status_of(self, name: str) -> None:
        of = self.world.model.deployments[name]
        if not of.registered:
            return
        place, demand = self.world.place.of(name), self.world.model.demand(of, now())
        phase = place.status["phase"]
        if of.stopped:
            assert phase == "Stopped", f"{name}: phase {phase}"
        elif demand.must is not None:
            assert phase == "Running", f"{name}: phase {phase}, {place.ready()}"
        else:
            assert phase in ("Held", "ChangePending", "Stopped"), f"{name}: phase {phase}"

    def _records_judged(self) -> None:
        """Each is as it was made (invariant 3), and says whether it counts (invariant 7)."""
        found = {r["metadata"]["name"]: r for r in self.world.place.admin.list("apr", self.world.place.namespace)}
        for name, before in self.records.items():
            if name not in found or found[name]["spec"] != before:
                raise Broken(f"invariant 3: apr/{name} was {before} and is {found.get(name)}")
        self.records |= {name: r["spec"] for name, r in found.items()}
        for of in self.world.model.deployments.values():
            for decision in of.decisions:
                if found[decision.name]["spec"]["approver"]["username"] != decision.person:
                    raise Broken(f"invariant 3: apr/{decision.name} is by {found[decision.name]['spec']['approver']}")
        missing = [name for name, r in found.items() if "counts" not in r.get("status", {})]
        assert not missing, f"not judged: {missing}"

    def idle(self, seconds: float = 2.0, within: float = 20.0) -> None:
        """With nothing changing nothing is written but the Lease (invariant 9). What the last steps set going, such as pods that are made, may come first."""
        quiet, until = time.monotonic(), time.monotonic() + within
        while time.monotonic() < quiet + seconds:
            time.sleep(0.1)
            found = [what(e) for e in self.audit.writes() if e["objectRef"]["resource"] != "leases"]
            quiet = time.monotonic() if found else quiet
            if time.monotonic() > until:
                raise Broken(f"invariant 9: nothing changes, and the operator writes {found}")
