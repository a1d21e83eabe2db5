"""The laws of DESIGN 4 for whatever the schemas let through: decide never raises, what it says can be stored, and no odd value clears anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.api import conditions
from aiqms.api.clearance import Entry, Orphan
from aiqms.api.deployment import DeploymentSpec, DeploymentStatus, Exposure, Workload
from aiqms.api.logging import Protection
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.record import Decision as What
from aiqms.api.record import RecordSpec, RecordStatus
from aiqms.api.values import Json
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.digests import digest
from aiqms.policy.facts import AccountRight, Broken, Decision, Input, Origin, PodFacts, Procedure, PullSecrets, Reach, Record, WorkloadFacts
from aiqms.policy.logs import FOREVER, Ask, Checked, Delivery, Proof, Sample
from aiqms.policy.networks import Contest, Failing, Network, Outcome, Probe, Stored
from aiqms.policy.rbac import Ask as Asked
from aiqms.policy.rbac import Binding, Given, Rule, Subject
from aiqms.policy.surroundings import Leading, Surroundings, Uses, Volume
from tests.unit.policy import test_laws
from tests.unit.policy.given import HEX, day, fed, fingerprint, template
from tests.unit.policy.people import stop_roles
from tests.unit.policy.schemas import NAMES, ODD, ROLES, STREAMS, of
from tests.unit.policy.test_laws import live, shuffled

law = settings(deadline=None, max_examples=30, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
NAME = "credit-scoring"
LARGEST = 1_400_000  # bytes of an object, below what etcd takes
TIMES = st.sampled_from([0, 1, 5, 30, 60, 400]).map(day) | st.floats(0, 70, allow_nan=False).map(day)
TEXTS = st.sampled_from([*ODD, "x" * 5000, "\U0001f9e8" * 1500])
OBJECTS = st.sampled_from(["", "a", "credit-scoring", "n" * 253])  # names of objects, as the API server bounds them
SPACES = st.sampled_from(["lending", "n" * 63])
PARTS = st.sampled_from(["a", "logs", "n" * 63])  # of a pod
WORDS = st.sampled_from(["v1", "v2", "v3"])
TEMPLATES = st.builds(template, WORDS, st.sampled_from([HEX["1"], HEX["2"], None, "SHA256:" + "1" * 64, "\u200b" * 3000]))
BROKEN = TEXTS.map(Broken)
REFS = st.sampled_from([f"{kind}/{name}" for kind in ("Deployment", "Job", "Pod") for name in NAMES])
LABELS = st.dictionaries(st.sampled_from(["app", "aiqms.dev/deployment", "kubernetes.io/metadata.name"]), st.sampled_from(["", "a", NAME]), max_size=3)
MAYBE = st.none() | TIMES


def some(each: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(each, max_size=most).map(tuple)


def many(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A few, or more than any list of a status holds."""
    return some(each) | some(each).map(lambda found: found * 200)


@st.composite
def named(draw: st.DrawFn, each: Callable[[str], st.SearchStrategy[Any]], names: tuple[str, ...]) -> tuple[Any, ...]:
    """One for each of some of the names."""
    return tuple(draw(each(name)) for name in draw(st.lists(st.sampled_from(names), max_size=len(names), unique=True)))


def procedures(name: str) -> st.SearchStrategy[Procedure | tuple[str, Broken]]:
    found: st.SearchStrategy[Procedure] = of(ProcedureSpec).map(lambda spec: Procedure(name, spec))
    return st.one_of(*[found] * 7, BROKEN.map(lambda broken: (name, broken)))


@st.composite
def records(draw: st.DrawFn, name: str, subjects: list[str]) -> Record:
    """A record, most often about a subject that there is."""
    spec = draw(of(RecordSpec))
    if draw(st.integers(0, 3)) or spec.subject is None:
        spec = spec.model_copy(update={"subject": draw(st.sampled_from(subjects)), "deployment": NAME})
    return Record(name, draw(TIMES), spec, draw(st.none() | of(RecordStatus)), marked=draw(st.booleans()))


@st.composite
def workloads(draw: st.DrawFn, ref: Workload) -> WorkloadFacts:
    """A workload of this name, or none."""
    if draw(st.integers(0, 5)) == 5:
        return WorkloadFacts(ref)
    form, label = draw(TEMPLATES), draw(st.sampled_from([NAME, NAME, NAME, "other", "", None]))
    inputs = draw(st.dictionaries(st.sampled_from(["configmaps/a", "resourceclaims/b"]), st.sampled_from([HEX["5"], "absent", ""]), max_size=2))
    secrets = draw(st.sampled_from([(), ("secrets/key",), tuple(f"secrets/{n}" for n in range(400))]))
    return WorkloadFacts(ref, form, digest(form), draw(st.sampled_from([0, 10, 2**40])), label, inputs, secrets)


def pods(name: str) -> st.SearchStrategy[PodFacts]:
    flags = {flag: st.booleans() for flag in ("held", "going", "before", "outdated")}
    return st.builds(PodFacts, st.just(name), st.just(f"uid-{name}"), TEMPLATES, origin=st.sampled_from(Origin), differs=some(TEXTS), **flags)


@st.composite
def entries(draw: st.DrawFn, subjects: list[str]) -> Entry:
    """An entry of a Clearance, for a subject that there is or was; one that audits has nothing else."""
    found = draw(of(Entry))
    if found.audit:
        return Entry(audit=True)
    told = {"fingerprint": draw(st.sampled_from(subjects)), "template": draw(TEMPLATES), "valid_until": draw(TIMES)}
    return found.model_copy(update=told)


# What surrounds it

KINDS = st.sampled_from(["EmptyDir", "PersistentVolumeClaim", "Ephemeral", "VolumeClaimTemplate", "HostPath"])
VOLUMES = st.builds(Volume, PARTS, KINDS, OBJECTS, st.none() | OBJECTS)
USES = st.builds(
    Uses, LABELS, OBJECTS, st.none() | st.booleans(), some(PARTS), many(OBJECTS), some(OBJECTS), many(VOLUMES), st.booleans(),
    some(st.integers(0, 65535)),
)  # fmt: skip
LEADING = st.builds(Leading, st.sampled_from(["Service", "Ingress", "Pod"]), SPACES, OBJECTS, st.sampled_from(Exposure), some(TEXTS), some(TEXTS), some(TEXTS))
AROUND = st.builds(
    Surroundings,
    workloads=st.dictionaries(REFS, USES, max_size=2),
    pods=st.dictionaries(st.sampled_from(NAMES), USES, max_size=2),
    accounts=st.dictionaries(OBJECTS, some(OBJECTS), max_size=2),
    claims=st.dictionaries(OBJECTS, OBJECTS, max_size=2),
    endpoints=many(LEADING),
)
EXPRESSIONS = st.fixed_dictionaries(
    {"key": st.sampled_from(["app", "a/b"]), "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"])},
    optional={"values": st.lists(st.sampled_from(["a", "b", ""]), max_size=2)},
)
SELECTORS = st.fixed_dictionaries({}, optional={"matchLabels": LABELS, "matchExpressions": st.lists(EXPRESSIONS, max_size=2)})
BLOCKS = st.sampled_from([{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}, {"cidr": "::/0"}, {"cidr": "0.0.0.0/0"}])
PEERS = st.fixed_dictionaries({}, optional={"podSelector": SELECTORS, "namespaceSelector": SELECTORS}) | BLOCKS.map(lambda block: {"ipBlock": block})
PORTS = st.fixed_dictionaries(
    {}, optional={"protocol": st.sampled_from(["TCP", "UDP", "SCTP"]), "port": st.sampled_from([1, 8000, 65535, "http"]), "endPort": st.just(65535)}
)


def rules(way: str) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional={way: st.lists(PEERS, max_size=2), "ports": st.lists(PORTS, max_size=2)})


POLICY_SPECS = st.fixed_dictionaries(
    {"podSelector": SELECTORS},
    optional={
        "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
        "ingress": st.lists(rules("from"), max_size=2),
        "egress": st.lists(rules("to"), max_size=2),
    },
)
POLICIES = st.builds(
    Stored, st.sampled_from(["aiqms-credit-scoring", "a", "b"]), POLICY_SPECS, labels=LABELS, owners=some(TEXTS), ours=st.booleans(), appliers=some(TEXTS),
    changer=TEXTS,
)  # fmt: skip
NETWORKS = st.builds(
    Network,
    owner=st.just("uid"),
    policies=st.lists(POLICIES, max_size=3, unique_by=lambda p: p.name).map(tuple),
    labels=some(LABELS),
    contest=st.none() | st.builds(Contest, TEXTS, MAYBE, st.booleans()),
    failing=st.none() | st.builds(Failing, TIMES, TEXTS),
    probe=st.none() | st.builds(Probe, st.sampled_from(Outcome), TIMES, TEXTS),
    pending=st.booleans(),
)
SUBJECTS = st.builds(Subject, st.sampled_from(["User", "Group", "ServiceAccount"]), TEXTS, TEXTS)
BINDINGS = st.none() | st.builds(Binding, st.just("RoleBinding"), TEXTS, TEXTS, st.just(("ClusterRole", "edit")))
RULES = st.builds(Rule, some(TEXTS), some(TEXTS), some(TEXTS), some(TEXTS), some(TEXTS))
REACHES = st.builds(
    Reach,
    editors=many(st.builds(Given, SUBJECTS, st.just(Asked("update", "apps", "deployments")), BINDINGS, way=st.sampled_from(["", "impersonate", "bind"]))),
    holders=st.dictionaries(st.tuples(st.sampled_from(What), st.sampled_from(ROLES)), many(SUBJECTS), max_size=4),
    accounts=some(st.builds(AccountRight, TEXTS, RULES, TEXTS, TEXTS)),
    list=st.sampled_from([HEX["1"], HEX["2"], ""]),
)
SPANS = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(days=30), timedelta(days=184), timedelta(days=99_999), FOREVER])
PROTECTIONS = st.sampled_from(Protection)
DELIVERIES = st.none() | st.builds(Delivery, TEXTS, st.sampled_from([0.0, 1e300]), st.none() | SPANS, st.booleans())
SAMPLES = st.none() | st.builds(Sample, st.integers(0, 2**31), some(st.tuples(TEXTS, some(st.sampled_from(["time", "model"])))), TEXTS)
PROOFS = st.builds(Proof, TEXTS, st.none() | SPANS, TEXTS, TEXTS, TEXTS, PROTECTIONS, TEXTS, TEXTS, DELIVERIES, TEXTS, SAMPLES)
TROUBLES = st.none() | st.tuples(st.sampled_from([conditions.Reason.SINK_UNREACHABLE, conditions.Reason.ADDRESS_REFUSED]), TEXTS)
ASKS = st.builds(Ask, SPANS, PROTECTIONS, st.just(timedelta(seconds=60)), some(st.sampled_from(["time", "model"])))
CHECKED = st.builds(Checked, st.none() | PROOFS, st.none() | ASKS, MAYBE, DELIVERIES, MAYBE, TROUBLES, MAYBE)


@st.composite
def anything(draw: st.DrawFn) -> Input:
    """Any Input that the schemas, and the readers of the cluster, let through."""
    spec: DeploymentSpec | Broken = draw(st.one_of(*[of(DeploymentSpec)] * 9, BROKEN))
    applying = draw(named(procedures, ("p", "q", "n" * 253)))
    refs = () if isinstance(spec, Broken) else tuple(spec.workloads)
    bare = Input(
        namespace="lending",
        name=NAME,
        spec=spec,
        generation=draw(st.sampled_from([0, 1, 2**53])),
        governed=draw(st.integers(0, 5)) > 0,
        procedures=applying,
        workloads=tuple(draw(workloads(ref)) for ref in refs),
        pods=draw(named(pods, ("a", "b", "c"))),
        orphan=draw(st.none() | of(Orphan)),
        unreadable=draw(st.sampled_from(["", "", "", *ODD, "x" * 5000])),
        clearance_bytes=draw(st.sampled_from([0, 800_000, 2**40])),
        stop_roles=draw(st.just(stop_roles(applying)) | st.dictionaries(TEXTS, some(st.sampled_from(ROLES)), max_size=2)),
        editors=draw(some(st.sampled_from(["", "alice", "bob", "system:serviceaccount:ci:ci", "\U0001f9d1" * 1024]))),
        around=draw(AROUND),
        pull_secrets=draw(st.builds(PullSecrets, st.dictionaries(REFS, some(TEXTS), max_size=2), st.dictionaries(TEXTS, some(TEXTS), max_size=2))),
        network=draw(NETWORKS),
        reach=draw(st.none() | REACHES),
        logs=draw(st.dictionaries(st.sampled_from(STREAMS), CHECKED, max_size=2)),
        before=draw(of(DeploymentStatus)),
    )
    subjects = [fingerprint(bare), HEX["d"]]
    made = draw(named(lambda name: records(name, subjects), (*NAMES, *(f"x{n}" for n in range(4)))))
    return replace(bare, records=made, entries=tuple(draw(st.lists(entries(subjects), max_size=4))))


def stored(status: DeploymentStatus) -> DeploymentStatus:
    """As the API server would have it, every bound of the CRD kept: the models have the same."""
    assert len({c.type for c in status.conditions}) == len(status.conditions)
    text = status.model_dump_json(by_alias=True, exclude_none=True)
    assert len(text.encode()) < LARGEST
    return DeploymentStatus.model_validate_json(text)


def storable(decision: Decision) -> None:
    """Everything that is written of it keeps the bounds of what it is written to."""
    assert stored(decision.status) == decision.status
    for each in (*decision.records.values(), *decision.entries):
        assert type(each).model_validate_json(each.model_dump_json(by_alias=True, exclude_none=True)) == each
    assert [t.note for t in decision.told if len(t.note.encode()) > 1024] == []


@law
@for_all(anything(), TIMES)
def test_whatever_the_schemas_let_through_is_judged_and_what_is_said_can_be_stored(of_: Input, now: datetime) -> None:
    for decision in (decide(of_, now), deregistered(of_, now)):
        storable(decision)
        assert set(decision.records) == {r.name for r in of_.records}
        assert decision.wake is None or decision.wake > now


@law
@for_all(anything(), TIMES)
def test_deciding_twice_changes_nothing(of_: Input, now: datetime) -> None:
    """From the first decision on: what was stored before may be of another version."""
    inner(test_laws.test_deciding_twice_changes_nothing)(fed(of_, decide(of_, now)), now)


@law
@for_all(anything(), TIMES, st.randoms(use_true_random=False))
def test_no_order_of_facts_matters(of_: Input, now: datetime, random: Random) -> None:
    shuffled_network = replace(of_.network, policies=shuffled(of_.network.policies, random))
    inner(test_laws.test_no_order_of_facts_matters)(replace(of_, network=shuffled_network), now, random)


@law
@for_all(anything(), TIMES, st.integers(0, 7), st.sampled_from(["alice", "bob", "аlice"]), st.sampled_from(ROLES))
def test_withdrawing_never_clears(of_: Input, now: datetime, number: int, person: str, role: str) -> None:
    inner(test_laws.test_withdrawing_an_approval_never_clears)(of_, now, number, person, role)


@law
@for_all(anything(), TIMES)
def test_no_input_clears_an_expired_subject(of_: Input, now: datetime) -> None:
    """With every permission ended a second ago, whatever else is there."""
    ended = {"expires": now - timedelta(seconds=1)}
    over = replace(of_, records=tuple(replace(r, spec=r.spec.model_copy(update=ended)) for r in of_.records))
    for decision in (decide(over, now), deregistered(over, now)):
        assert live(decision, now) == []
        assert any(e.audit for e in decision.entries) or decision.releases == ()


@law
@for_all(anything(), TIMES)
def test_only_equal_pods_are_let_go_and_only_pods_that_run_are_ended(of_: Input, now: datetime) -> None:
    inner(test_laws.test_invariant_1_only_equal_pods_are_let_go)(of_, now)
    inner(test_laws.test_only_pods_that_run_or_are_stuck_are_ended)(of_, now)


@law
@for_all(anything(), TIMES, st.floats(0, 1))
def test_nothing_changes_before_the_wake_up(of_: Input, now: datetime, share: float) -> None:
    inner(test_laws.test_nothing_changes_before_the_wake_up)(of_, now, share)


def inner(law_: Any) -> Callable[..., None]:
    """A law as it is written, to be held against other Inputs."""
    found: Callable[..., None] = law_.hypothesis.inner_test
    return found
