"""Bad input on a real cluster: each hostile object is refused with words that help, or judged with a reason.

Whatever is tried, the neighbours are judged as soon as ever, the operator fails at nothing, and nothing is cleared that was not.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest

from tests.e2e.conftest import RBAC, binding, govern
from tests.e2e.given import Place, placed, procedure, record, unique
from tests.e2e.hostile.judged import ALLOWED, ENTRIES, RECORDS, SINKS, Entry, Said, Sink
from tests.e2e.hostile.refused import REFUSED, Refused
from tests.e2e.hostile.town import CROWD, Town, beside, measured, settled, stranger
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

STRICT = {"dryRun": "All", "fieldValidation": "Strict"}
AT_ONCE = 8
Say = Callable[[str], None]


@pytest.fixture(scope="module")
def settlement(cluster: Cluster, installed: Operator) -> Iterator[Town]:
    with settled(cluster, installed) as town:
        yield town


@pytest.fixture
def town(settlement: Town, say: Say) -> Iterator[Town]:
    """The town before a try, and unharmed after it."""
    settlement.slowest = 0.0
    yield settlement
    settlement.assert_unharmed()
    seconds, passes = (measured(settlement.operator.metrics(), f"aiqms_reconcile_seconds_{what}") for what in ("sum", "count"))
    say(f"neighbours were judged within {settlement.slowest:.2f} s; {passes:.0f} passes of {1000 * seconds / passes:.0f} ms each")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print to the terminal."""

    def printed(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="")

    return printed


@pytest.mark.parametrize("what", REFUSED)
def test_the_api_server_refuses_and_says_what_to_do(town: Town, say: Say, what: str) -> None:
    table = REFUSED[what]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(table, pool.map(lambda each: refusal(town.here, each), table.values()), strict=True))
    say(f"{len(table)} hostile {what}")
    assert {name: (words, answers[name]) for name, each in table.items() for words in each.says if words not in answers[name]} == {}


def refusal(place: Place, hostile: Refused) -> str:
    """What the API server says to it; empty where it would take it."""
    made, api = hostile.make(place.namespace), place.by(hostile.by)
    path = api.resource(made["kind"]).path(made["metadata"].get("namespace"), None, None)
    try:
        api.request("POST", path, made, query=STRICT)
    except ApiError as error:
        return str(error)
    return ""


class TestJudged:
    def test_each_register_entry_with_a_reason(self, town: Town, say: Say) -> None:
        places = {what: town.of(f"strange-{number}") for number, what in enumerate(ENTRIES)}
        for what, entry in ENTRIES.items():
            put(places[what], entry)
        say(f"{len(places)} hostile register entries and workloads")
        agreed(lambda: {what: judged(place) for what, place in places.items()}, lambda: {what: expected(places[what], e) for what, e in ENTRIES.items()})

    def test_each_record_with_a_reason(self, town: Town, say: Say) -> None:
        place = beside(town, "strange")
        place.admin.create(binding(place.namespace, "aiqms-role-incident-commander", "risk-managers"))
        place.awaited(lambda: bool(subject_of(place)), "its subject is known")
        subject = subject_of(place)
        place.awaited(lambda: may_decide(place.by("bob"), place), "bob holds another role")
        for said in RECORDS.values():
            place.by(said.by).create(made(said, subject), namespace=place.namespace)
        say(f"{len(RECORDS)} hostile records")
        wanted = {what: worded(said, subject) for what, said in RECORDS.items()}
        agreed(lambda: {what: verdict(place, said.name) for what, said in RECORDS.items()}, lambda: wanted)
        assert place.ready() == ("False", "ApprovalMissing")


class TestRoom:
    def test_approvals_at_once_of_more_than_a_clearance_can_hold(self, town: Town, say: Say) -> None:
        """Twelve templates of 150 KiB are more than the API server stores in one object: what has room is cleared, the rest waits and says so."""
        with full(town) as places:
            town.operator.start()
            waits = "the Clearance of namespace {} is near the size that the API server can store: spread its deployments over more namespaces"
            reasons = eventually(lambda: all_judged(places), within=40, what="each is judged", ignoring=(KeyError,))
            size = len(json.dumps(places[0].admin.get("clearances", "clearance", places[0].namespace)))
            say(f"{len(places)} templates of 150 KiB at once: {Counter(reason for reason, _ in reasons)}, the Clearance has {size / 1024:.0f} KiB")
            assert {message for reason, message in reasons if reason == "ClearanceTooLarge"} == {waits.format(places[0].namespace)}
            assert size < 1.3 * 2**20
            assert Counter(reason for reason, _ in reasons)["Approved"] >= 5


class TestProcedures:
    def test_one_that_matches_everything_holds_what_is_new_and_stops_nothing(self, town: Town, say: Say) -> None:
        everything = procedure(unique("everything"), "", roles=[{"role": "quality-manager", "count": 16}])
        del everything["spec"]["appliesTo"]
        name = town.here.admin.create(everything)["metadata"]["name"]
        try:
            for neighbour in (town.here, town.there):
                neighbour.await_phase("ChangePending", "ApprovalMissing")
                assert neighbour.condition()["message"].startswith(f"{name}: 0 of 16 quality-manager approvals for ")
                neighbour.await_pods(running=1)
        finally:
            town.here.admin.delete("qmsp", name)
        for neighbour in (town.here, town.there):
            neighbour.await_phase("Running", "Approved")

    def test_64_at_once_are_too_many_for_one_deployment_and_no_matter_to_others(self, town: Town, say: Say) -> None:
        place = town.of("ruled")
        where = {"namespaces": [place.namespace], "riskClasses": ["Minimal"]}
        for number in range(64):
            place.govern(f"{place.namespace}-{number}", appliesTo=where, roles=[{"role": f"role-{n}", "count": 16} for n in range(16)])
        place.by("mallory").create(stranger(place, riskClass="Minimal"))
        place.deploy()
        said = "64 procedures apply in Enforce, and at most 32 can be kept with a clearance: merge some, or narrow their spec.appliesTo"
        place.awaited(lambda: judged(place)[1] == "TooManyProcedures" and judged(place)[2].startswith(said), "it has too many procedures")


class TestAround:
    """What a procedure asks of network, people and logs, with what it looks at made hostile."""

    @pytest.fixture
    def rule(self, town: Town) -> str:
        """A procedure for deployers that asks for all of it."""
        place = town.here
        logging = {"streams": [{"name": "inference", "retention": "99999d", "maxCheckAge": "99999d"}], "endpoints": ALLOWED}
        access = {"network": "Clients", "networkUnverified": "Warned", "editors": {"groups": ["lending-platform"]}}
        where = {"namespaces": [place.namespace], "riskClasses": ["Limited"], "roles": ["Deployer"]}
        return place.govern(f"{place.namespace}-around", roles=CROWD, appliesTo=where, access=access, logging=logging)

    def test_network_policies_with_endless_selectors(self, town: Town, say: Say, rule: str) -> None:
        place = deployer(town, "netted")
        for number in range(20):
            place.admin.create(tangle(place.namespace, f"tangle-{number}"))
        place.admin.create(tangle(place.namespace, "open") | {"spec": {"podSelector": {}, "ingress": [{}], "policyTypes": ["Ingress"]}})
        place.awaited(lambda: row(place, "access/network")[:2] == ("Fail", "NetworkPolicyOpensMore"), "what others open is seen")
        assert row(place, "access/network")[2].endswith("policies add up: narrow or delete what opens more, or name it in spec.access")

    def test_a_binding_with_thousands_of_subjects(self, town: Town, say: Say, rule: str) -> None:
        place = deployer(town, "mobbed")
        place.admin.create(mob(place.namespace, 5000))
        place.awaited(lambda: row(place, "access/editors")[:2] == ("Fail", "EditorUnexpected"), "the mob is seen")
        assert row(place, "access/editors")[2].startswith("access.editors does not name user \u202euser-0, who may edit (RoleBinding ")
        assert row(place, "access/editors")[2].endswith("take them off the binding, or name them with a higher revision")
        place.admin.delete("rolebindings", "edit", place.namespace)

    def test_log_sinks_with_hostile_values(self, town: Town, say: Say, rule: str) -> None:
        places = {what: town.of(f"sink-{number}") for number, what in enumerate(SINKS)}
        for what, place in places.items():
            place.by("mallory").create(stranger(place, role="Deployer", logging={"streams": SINKS[what].streams}))
        say(f"{len(SINKS)} hostile log sinks")
        wanted = {what: worded_(sink, rule, town.here.namespace) for what, sink in SINKS.items()}
        agreed(lambda: {what: row(place, "logging/inference") for what, place in places.items()}, lambda: wanted)


class TestRecords:
    """Last, for the verdicts of so many are written for a while yet."""

    @pytest.mark.parametrize("number", [300, pytest.param(2000, marks=pytest.mark.full)])
    def test_hundreds_of_one_deployment(self, town: Town, say: Say, number: int) -> None:
        place = beside(town, f"crowded-{number}")
        place.awaited(lambda: bool(subject_of(place)), "its subject is known")
        subject, began = subject_of(place), time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            made = [pool.submit(place.decide, "alice", subject=subject) for _ in range(number)]
            while not all(each.done() for each in made):
                town.assert_unharmed()
        wrote = time.monotonic() - began
        place.awaited(lambda: place.status["approvals"][0]["by"] == ["alice"], "the approval is seen")
        found = eventually(lambda: told(place, 200), within=60, every=1, what="200 of them are told their verdict")
        say(f"{number} records written in {wrote:.1f} s, {sum(found.values())} told their verdict after {time.monotonic() - began:.1f} s")
        assert set(found) <= {"Counted", "SamePersonTwice"}
        assert found["Counted"] <= 1


def told(place: Place, least: int) -> Counter[str]:
    """The verdicts on the deployment's records, once there are so many."""
    records = [r for r in place.admin.list("apr", place.namespace) if r["spec"]["deployment"] == place.name and "status" in r]
    assert len(records) >= least, len(records)
    return Counter(r["status"]["reason"] for r in records)


def agreed(found: Callable[[], Json], wanted: Callable[[], Json]) -> None:
    """Wait until everything is judged, and in these words."""

    def so() -> bool:
        seen, expected_ = found(), wanted()
        differing = {what: each for what, each in seen.items() if each != expected_[what]}
        assert not differing, "\n".join(map(str, differing.items()))
        return True

    eventually(so, within=20, what="everything is judged in the words that it should be", every=0.2, ignoring=(KeyError,))


def put(place: Place, entry: Entry) -> None:
    place.by("mallory").create(stranger(place, **entry.spec(place)))
    if found := entry.workload(place):
        place.by("mallory").create(found)


def judged(place: Place) -> tuple[str, str, str]:
    found = place.condition()
    return found["status"], found["reason"], found["message"]


def expected(place: Place, entry: Entry) -> tuple[str, str, str]:
    reason, message = entry.says
    subject = place.status.get("subject", {}).get("fingerprint", "")[:15]
    return "False", reason, message.format(name=place.name, place=place.namespace, subject=subject)


def made(said: Said, subject: str) -> Json:
    spec = {"subject": subject, "rationale": "hostile"} | said.spec
    found = record(spec.pop("subject"), said.role, said.decision, **{"deployment": "strange"} | spec)
    found["spec"] = {key: value for key, value in found["spec"].items() if value is not None}
    return found | {"metadata": {"name": said.name} | said.metadata}


def may_decide(api: Api, place: Place) -> bool:
    return api.may("approve", "approvalroles", place.namespace, name="incident-commander", group="aiqms.dev")


@contextmanager
def full(town: Town) -> Iterator[list[Place]]:
    """A namespace of deployments with large templates, each approved, and none judged yet."""
    name = unique("full")
    town.more.append(name)
    govern(town.here.cluster, name)
    with placed(town.here.cluster, name) as place:
        places = [place.of(f"big-{number}") for number in range(12)]
        place.govern()
        for each in places:
            each.register()
            each.deploy(args=[f"--{each.name}={'x' * 150 * 1024}"])
        subjects = {each: eventually(partial(subject_of, each), within=20, what="its subject", ignoring=(KeyError,)) for each in places}
        town.operator.stop()
        for each, subject in subjects.items():
            each.decide("alice", subject=subject)
        yield places


def subject_of(place: Place) -> str:
    return str(place.status["subject"]["fingerprint"])


def all_judged(places: list[Place]) -> list[tuple[str, str]]:
    """Reason and message of each, once no approval is missing any more."""
    found = [judged(place) for place in places]
    assert not any(reason == "ApprovalMissing" for _, reason, _ in found), found
    return [(reason, message) for _, reason, message in found]


def deployer(town: Town, name: str) -> Place:
    """A deployment of role Deployer."""
    place = town.of(name)
    place.by("mallory").create(stranger(place, role="Deployer"))
    place.deploy()
    return place


def tangle(namespace: str, name: str) -> Json:
    """A NetworkPolicy of many selectors, each of many expressions."""
    expressions = [{"key": f"k{n}", "operator": "NotIn", "values": [f"v{m}" for m in range(40)]} for n in range(20)]
    peers = [{"namespaceSelector": {"matchExpressions": expressions}, "podSelector": {"matchExpressions": expressions[:n]}} for n in range(20)]
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers, "ports": [{"port": n + 1} for n in range(50)]}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def mob(namespace: str, number: int) -> Json:
    """A RoleBinding that lets so many people edit."""
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": f"\u202euser-{n}"} for n in range(number)]
    return binding(namespace, "edit", "nobody") | {"subjects": subjects}


def row(place: Place, id_: str) -> tuple[str, str, str]:
    """A control: result, reason and message."""
    return next((c["result"], c["reason"], c["message"]) for c in place.status["controls"] if c["id"] == id_)


def worded_(sink: Sink, rule: str, namespace: str) -> tuple[str, str, str]:
    result, reason, message = sink.says
    return result, reason, message.format(rule=rule, place=namespace)


def verdict(place: Place, name: str) -> tuple[bool, str, str]:
    found = place.admin.get("apr", name, place.namespace)["status"]
    return found["counts"], found["reason"], found["message"]


def worded(said: Said, subject: str) -> tuple[bool, str, str]:
    counts, reason, message = said.says
    return counts, reason, message.format(current=subject[:15])
