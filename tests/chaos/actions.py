"""What people and tenants do, each by their own credentials: each act changes the world and, once it is carried out, the model."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from urllib3.exceptions import HTTPError

from tests.chaos.model import ROLE_OF, Decision, Deployment, Model, Stop, Subject
from tests.chaos.stage import EXISTS, Broken, Stage, Story, insist, now
from tests.e2e.given import LABEL, UNSEEN, Place, config_map, held, procedure, record, registered, template, workload
from tests.testbed.api import ApiError, Json
from tests.testbed.waiting import eventually

APPROVERS = list(ROLE_OF)
VERSIONS, MODELS = 4, 2


@dataclass
class World:
    """One run."""

    stage: Stage
    place: Place
    outside: str
    model: Model
    dice: random.Random
    story: Story
    step: int = 0
    attempts: int = 0
    fingerprints: dict[tuple[str, Subject], str] = field(default_factory=dict)

    def any(self, wanted: Callable[[Deployment], object] = lambda _: True) -> Deployment | None:
        """One of the deployments for which this is so."""
        found = [d for d in self.model.deployments.values() if wanted(d)]
        return self.dice.choice(found) if found else None

    def tell(self, line: str) -> None:
        """A line of the story."""
        self.story.tell(f"step {self.step:2}  {line}")

    def name(self) -> str:
        """One that nothing else has."""
        self.attempts += 1
        return f"s{self.step}-{self.attempts}"


Action = Callable[[World], bool]  # False: there was nothing to do


def model_digest(number: int) -> str:
    return f"sha256:{number + 1:064x}"


def arguments(version: int) -> list[str]:
    """Of a pod of this version, by which one knows it again."""
    return [f"--version={version}"]


def version_of(pod: Json) -> int:
    """The version that a pod runs; -1 for one that no register entry ever had."""
    args = pod["spec"]["containers"][0].get("args") or [""]
    return int(args[0].removeprefix("--version=")) if args[0].startswith("--version=") else -1


# the pipeline's


def register(world: World) -> bool:
    if not (of := world.any(lambda d: not d.registered)):
        return False
    return _registered(world, of, of.model, "registers")


def change_model(world: World) -> bool:
    if not (of := world.any(lambda d: d.registered)):
        return False
    return _registered(world, of, (of.model + 1) % MODELS, "changes the model of")


def _registered(world: World, of: Deployment, number: int, what: str) -> bool:
    entry = registered(world.place.namespace, of.name, model=model_digest(number))
    world.tell(f"mallory {what} {of.name}: model {number}")
    insist(world.stage, lambda: world.place.by("mallory").apply(entry))
    of.registered, of.model = True, number
    return True


def unregister(world: World) -> bool:
    if not (of := world.any(lambda d: d.registered)):
        return False
    world.tell(f"mallory deletes the register entry of {of.name}")
    insist(world.stage, lambda: _gone(world, "aimd", of.name))
    of.registered = False
    return True


def _gone(world: World, resource: str, name: str) -> None:
    try:
        world.place.by("mallory").delete(resource, name, world.place.namespace)
    except ApiError as error:
        if error.reason != "NotFound":
            raise


def deploy(world: World) -> bool:
    of = world.any()
    assert of
    return _deployed(world, of, world.dice.randrange(VERSIONS), of.replicas)


def go_back(world: World) -> bool:
    """To a version that was approved once."""
    of = world.any(lambda d: d.decisions)
    return of is not None and _deployed(world, of, world.dice.choice(of.decisions).subject.version, of.replicas)


def scale(world: World) -> bool:
    of = world.any(lambda d: d.deployed)
    return of is not None and _deployed(world, of, of.version, world.dice.randint(1, 3))


def _deployed(world: World, of: Deployment, version: int, replicas: int) -> bool:
    world.tell(f"mallory applies {of.name}: version {version}, {replicas} replicas")
    made = workload(world.place.namespace, of.name, replicas=replicas, model=None, args=arguments(version))
    insist(world.stage, lambda: world.place.by("mallory").apply(made))
    of.deployed, of.version, of.replicas = True, version, replicas
    return True


def delete_pod(world: World) -> bool:
    if not (of := world.any(lambda d: d.deployed)):
        return False
    pods = insist(world.stage, world.place.of(of.name).pods)
    if not pods:
        return False
    pod = world.dice.choice(pods)
    world.tell(f"mallory deletes pod {pod['metadata']['name']}, {'held' if held(pod) else 'free'}")
    insist(world.stage, lambda: _gone(world, "pods", pod["metadata"]["name"]))
    return True


# approvers'


def approve(world: World) -> bool:
    """Somebody whose approval is missing, more often than not."""
    of = world.any(lambda d: d.registered and d.deployed)
    if not of:
        return False
    given = {ROLE_OF[d.person] for d in of.decisions if d.subject == world.model.current(of) and d.approves and not d.glass and d.stands(now())}
    missing = [p for p in APPROVERS if ROLE_OF[p] not in given] or APPROVERS
    return _decided(world, of, world.dice.choice(missing), approves=True)


def approve_wholly(world: World) -> bool:
    """By all who have to, at once."""
    of = world.any(lambda d: d.registered and d.deployed and world.model.demand(d, now()).must is None)
    return of is not None and all(_decided(world, of, person, approves=True) for person in ("alice", world.dice.choice(["bob", "carol"])))


def reject(world: World) -> bool:
    of = world.any(lambda d: d.registered and d.deployed)
    return of is not None and _decided(world, of, world.dice.choice(APPROVERS), approves=False)


def emergency(world: World) -> bool:
    """One risk-manager alone, for what is stored now."""
    of = world.any(lambda d: d.registered and d.deployed and world.model.demand(d, now()).must is None)
    return of is not None and _decided(world, of, world.dice.choice(["bob", "carol"]), approves=True, glass=True)


def _decided(world: World, of: Deployment, person: str, *, approves: bool, glass: bool = False) -> bool:
    subject = world.model.current(of)
    fingerprint = _fingerprint(world, of)
    end = now() + datetime.timedelta(seconds=world.dice.randint(3, 8)) if approves and world.dice.random() < 0.15 else None
    what = "Emergency" if glass else "Approve" if approves else "Reject"
    world.tell(f"{person} decides {what} of {of.name} {subject}{f' until {end:%H:%M:%S}' if end else ''}")
    until = {"expires": end.replace(microsecond=0).isoformat()} if end else {}
    made = _recorded(world, person, record(fingerprint, ROLE_OF[person], what, deployment=of.name, **until))
    if made:
        of.decisions.append(Decision(made[0], person, subject, made[1], approves, glass, end and end.replace(microsecond=0)))
    return True


def _fingerprint(world: World, of: Deployment) -> str:
    """What the approver looks at; the same for the same subject, whatever happened in between."""
    found: str = insist(world.stage, world.place.of(of.name).foreseen)
    key = (of.name, world.model.current(of))
    if world.fingerprints.setdefault(key, found) != found or [f for k, f in world.fingerprints.items() if k != key and f == found]:
        raise Broken(f"invariant 4: {key} is {found}, and the subjects so far are {world.fingerprints}")
    return found


def _recorded(world: World, person: str, made: Json) -> tuple[str, datetime.datetime] | None:
    """The record's name and time; one that was stored though its answer was lost is found again. None where its end passed before it could be made."""
    name = world.name()
    made["metadata"] = {"name": name}
    try:
        stored = insist(world.stage, lambda: world.place.by(person).create(made, namespace=world.place.namespace))
    except ApiError as error:
        if "is not after now" in error.message:
            return None
        if error.reason != EXISTS:
            raise
        stored = insist(world.stage, lambda: world.place.admin.get("apr", name, world.place.namespace))
    return name, datetime.datetime.fromisoformat(stored["metadata"]["creationTimestamp"])


def withdraw(world: World) -> bool:
    of = world.any(lambda d: any(x.stands(now()) for x in d.decisions))
    if not of:
        return False
    standing = [d for d in of.decisions if d.stands(now())]
    # What matters most is what serves now.
    taken = world.dice.choice([d for d in standing if d.subject == world.model.current(of)] or standing)
    world.tell(f"{taken.person} withdraws {taken.name} of {of.name} {taken.subject}")
    fields = {"withdraws": taken.name}
    made = _recorded(world, taken.person, record(world.fingerprints[of.name, taken.subject], ROLE_OF[taken.person], "Withdraw", deployment=of.name, **fields))
    assert made
    taken.withdrawn = made[1]
    return True


def stop(world: World) -> bool:
    of = world.any()
    assert of
    person = world.dice.choice(["bob", "carol"])
    world.tell(f"{person} stops {of.name}")
    made = _recorded(world, person, record(UNSEEN, "risk-manager", "Stop", deployment=of.name))
    assert made
    of.stops.append(Stop(made[1]))
    return True


def resume(world: World) -> bool:
    if not (of := world.any(lambda d: d.stopped)):
        return False
    last = max(s.made for s in of.stops)
    eventually(lambda: now() >= last + datetime.timedelta(seconds=1), within=5, what="the second of the Stop is over")
    world.tell(f"carol resumes {of.name}")
    made = _recorded(world, "carol", record(UNSEEN, "risk-manager", "Resume", deployment=of.name))
    assert made
    for each in of.stops:
        each.lifted = each.lifted or made[1]
    return True


def revise(world: World) -> bool:
    """A new revision of the procedure: half of them keep the approvals."""
    keeps = world.dice.random() < 0.5
    revision = world.model.revision + 1
    since = world.model.since if keeps else revision
    world.tell(f"platform revises the procedure: revision {revision}, approvals since {since}")
    insist(world.stage, lambda: world.place.admin.apply(rule(world.place.namespace, revision, since), manager="platform"))
    world.model.revision, world.model.since = revision, since
    return True


GLASS = {"roles": ["risk-manager"], "maxDuration": "1h", "reviewWithin": "2h"}


def rule(namespace: str, revision: int, since: int) -> Json:
    """The procedure of a run."""
    roles = [{"role": "model-owner"}, {"role": "risk-manager"}]
    spec: dict[str, Any] = {"stop": {"roles": ["risk-manager"]}, "onLapse": {"action": "Stop"}, "emergency": GLASS}
    return procedure(f"{namespace}-rule", namespace, roles=roles, revision=revision, approvals={"since": since}, **spec)


# attacks: each has to fail, whatever is broken


def attack(world: World) -> bool:
    what = world.dice.choice(list(ATTACKS))
    made = ATTACKS[what](world)
    if made is None:
        return False
    world.tell(f"attack: {what}")
    try:
        made()
    except (ApiError, HTTPError):
        return True
    raise Broken(f"attack succeeded: {what}")


Attempt = Callable[[], object]


def _unlabelled(world: World) -> Attempt:
    made = _pod(world, template("stray", labelled=None, model=None))
    return lambda: world.place.by("mallory").create(made)


def _pod(world: World, of: Json) -> Json:
    metadata = of["metadata"] | {"name": world.name(), "namespace": world.place.namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": of["spec"]}


def _pod_patched(world: World, wanted: Callable[[Json], object], patch: Any) -> Attempt | None:
    of = world.any()
    assert of
    pods = [p for p in insist(world.stage, world.place.of(of.name).pods) if wanted(p)]
    if not pods:
        return None
    name = world.dice.choice(pods)["metadata"]["name"]
    return lambda: world.place.by("mallory").patch("pods", name, patch, world.place.namespace)


def _relabelled(world: World) -> Attempt | None:
    return _pod_patched(world, lambda _: True, {"metadata": {"labels": {LABEL: "another"}}})


def _ungated(world: World) -> Attempt | None:
    return _pod_patched(world, held, [{"op": "remove", "path": "/spec/schedulingGates"}])


def _other_image(world: World) -> Attempt | None:
    return _pod_patched(world, lambda p: not held(p), [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil.example/miner:v1"}])


def _forged(world: World) -> Attempt:
    spec = {"epoch": 10**6, "deployments": {}}
    made = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": "clearance", "namespace": world.place.namespace}, "spec": spec}
    return lambda: world.place.admin.apply(made, force=True)


def _record_changed(world: World) -> Attempt | None:
    of = world.any(lambda d: d.decisions)
    if not of:
        return None
    name = world.dice.choice(of.decisions).name
    return lambda: world.place.admin.patch("apr", name, {"spec": {"rationale": "another"}}, world.place.namespace)


def _record_deleted(world: World) -> Attempt | None:
    of = world.any(lambda d: d.decisions)
    if not of:
        return None
    name = world.dice.choice(of.decisions).name
    return lambda: world.place.admin.delete("apr", name, world.place.namespace)


def _without_role(world: World) -> Attempt:
    made = record(UNSEEN, "risk-manager", deployment="scoring")
    return lambda: world.place.by("alice").create(made, namespace=world.place.namespace)


def _ungoverned(world: World) -> Attempt:
    return lambda: world.place.by("mallory").patch("namespaces", world.place.namespace, {"metadata": {"labels": {"aiqms.dev/governed": None}}})


ATTACKS: dict[str, Callable[[World], Attempt | None]] = {
    "a GPU pod without the label": _unlabelled,
    "another label on a pod": _relabelled,
    "a tenant takes the gate off": _ungated,
    "another image in a running pod": _other_image,
    "the administrator writes a Clearance": _forged,
    "a record is changed": _record_changed,
    "a record is deleted": _record_deleted,
    "an approval without the role": _without_role,
    "a tenant takes the namespace out": _ungoverned,
}


def smuggle(world: World) -> bool:
    """A labelled pod from nowhere: it is taken in and held for ever (that it is never free is checked by whoever watches)."""
    of = world.any()
    assert of
    world.tell(f"mallory makes a pod of {of.name} with another image")
    made = _pod(world, template(of.name, labelled=of.name, model=None, image="evil.example/miner:v1"))
    made["metadata"]["labels"].pop("app")  # no ReplicaSet may adopt it
    try:
        insist(world.stage, lambda: world.place.by("mallory").create(made))
    except ApiError as error:
        if error.reason != EXISTS and not of.stopped:
            raise
    return True


# elsewhere


def elsewhere(world: World) -> bool:
    """In a namespace that nobody governs everything is as if AIQMS were not there (invariant 12)."""
    name = world.name()
    pod = _pod(world, template("free", labelled=None, model=None))
    pod["metadata"] |= {"namespace": world.outside}
    pod["spec"]["containers"][0]["resources"] = {}
    world.tell("somebody works in a namespace that is not governed")
    for made in (pod, config_map(world.outside, name, key="value")):
        insist(world.stage, lambda made=made: _unhindered(world, made))  # type: ignore[misc]
    return True


def _unhindered(world: World, made: Json) -> None:
    try:
        world.place.admin.create(made)
    except ApiError as error:
        if "aiqms" in error.message and error.reason != EXISTS:
            raise Broken(f"invariant 12: refused outside governed namespaces: {error}") from error
        if error.reason != EXISTS:
            raise


ACTIONS: dict[Action, int] = {
    register: 3, unregister: 1, change_model: 2, deploy: 4, go_back: 3, scale: 2, delete_pod: 4, approve: 4, approve_wholly: 8, reject: 1, emergency: 2,
    withdraw: 4, stop: 2, resume: 4, revise: 1, attack: 4, smuggle: 1, elsewhere: 2,
}  # fmt: skip
