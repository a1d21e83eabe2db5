"""Any Input that the schemas let through, small enough that its parts meet: few people, roles, templates and days."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from aiqms.api.clearance import Entry, Orphan
from aiqms.api.deployment import RiskClass
from aiqms.api.procedure import OnChange, OnLapse
from aiqms.policy.decide import decide
from aiqms.policy.facts import Broken, Input, Origin, PodFacts, Procedure, PullSecrets, Record, WorkloadFacts
from aiqms.policy.procedures import term
from tests.unit.policy.given import CURRENT, HEX, change, day, fed, fingerprint, given, pod, procedure, record, spec, template, workload

DAYS = st.integers(0, 60)
PEOPLE = st.sampled_from(["alice", "bob", "carol", "dave", "\U0001f9d1" * 1024])
ROLES = ("model-owner", "risk-manager", "r" * 63)
WORDS = st.sampled_from(["v1", "v2", "v3"])
GRACES = st.sampled_from([None, None, "5s", "9d", "40d", "99999d"])
EXPIRES = st.sampled_from([None, None, "2027-01-20T00:00:00Z", "2027-02-10T00:00:00.000000001+23:59", "1000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
SUPPLIES = st.sampled_from([  # half of them ask nothing, so that what is asked hides nothing else
    None, None, None, {"model": "Declared"}, {"model": "Bound", "pinnedImages": "Required"}, {"registries": ["bank.example/*"], "pullSecrets": ["puller"]},
])  # fmt: skip
PULL_SECRETS = st.sampled_from([PullSecrets(), PullSecrets({"Deployment/credit-scoring": ("other",)}, {"a": ("puller", "other")})])
NAMES = ("credit-scoring", "n" * 253)


_OF_PROCEDURES = ["unprocedured", "crowd", "broken-procedure"]
_OF_WORKLOADS = ["missing", "unlabelled", "claimed", "mismatch", "undeclared", "secretive", "unreadable"]
_OF_ENTRY = ["prohibited", "retired", "limited", "ungoverned", "full"]
ODDITIES = st.lists(st.sampled_from([*_OF_PROCEDURES, *_OF_WORKLOADS, *_OF_ENTRY]), max_size=2)  # one hides what another does


@st.composite
def procedures(draw: st.DrawFn, name: str, odd: Collection[str]) -> Procedure:
    """A procedure of this name."""
    grace = draw(GRACES)
    return procedure(
        name,
        draw(st.dictionaries(st.sampled_from(ROLES), st.just(16) if "crowd" in odd else st.integers(1, 2), min_size=1, max_size=3)),
        valid_for=draw(GRACES),
        lapse=draw(st.sampled_from(["Stop", f"Hold {grace or ''}".strip()])),
        change=draw(GRACES),
        audit=draw(st.integers(0, 3)) == 3,
        distinct=draw(st.booleans()),
        since=draw(st.sampled_from([None, 1])),
        revision=draw(st.integers(1, 2)),
        inputs={"secrets": draw(st.sampled_from(["Rotatable", "Frozen"]))},
        reviewBy=draw(st.sampled_from([None, "2027-01-15T00:00:00Z"])),
        supply=draw(SUPPLIES),
    )


@st.composite
def workloads(draw: st.DrawFn, ref: str, odd: Collection[str]) -> WorkloadFacts:
    """A workload of this kind and name, or none."""
    if "missing" in odd:
        return workload(None, ref=ref)
    return workload(
        draw(WORDS),
        ref=ref,
        label="other" if "claimed" in odd else None if "unlabelled" in odd else "credit-scoring",
        inputs=draw(st.dictionaries(st.sampled_from(["configmaps/a", "configmaps/b"]), st.sampled_from([HEX["5"], HEX["6"], "absent"]), max_size=2)),
        secrets=tuple(f"secrets/s{n}" for n in range(257)) if "secretive" in odd else draw(st.sampled_from([(), ("secrets/key",)])),
        model=HEX["2"] if "mismatch" in odd else None if "undeclared" in odd else HEX["1"],
    )


@st.composite
def pods(draw: st.DrawFn, name: str) -> PodFacts:
    """A pod of this name."""
    held = draw(st.booleans())
    return pod(
        name,
        draw(WORDS),
        held=held,
        going=draw(st.integers(0, 5)) == 5,
        before=draw(st.integers(0, 4)) == 4,
        origin=draw(st.sampled_from(Origin)),
        differs=draw(st.sampled_from([(), ("image: a -> b",)])) if held else (),
        outdated=held and draw(st.booleans()),
    )


@st.composite
def records(draw: st.DrawFn, name: str, subjects: list[str]) -> Record:
    """A record of this name about one of these subjects."""
    decision = draw(st.sampled_from(["Approve", "Approve", "Reject", "Withdraw"]))
    more: dict[str, Any] = {"withdraws": draw(st.sampled_from([f"r{n}" for n in range(8)]))} if decision == "Withdraw" else {}
    more |= {"expires": draw(EXPIRES)} if decision == "Approve" else {}
    authorized = draw(st.integers(0, 4)) < 4
    return record(
        decision, draw(PEOPLE), draw(st.sampled_from(ROLES)), draw(DAYS), name=name, of=draw(st.sampled_from(subjects)), authorized=authorized, **more
    )


@st.composite
def quorate(draw: st.DrawFn, of: Sequence[Procedure | tuple[str, Broken]], subject: str, tag: str) -> list[Record]:
    """Approvals of the subject by enough people of every role, as late as each comes."""
    most = {role.role: role.count for p in of if isinstance(p, Procedure) for role in sorted(p.spec.approvals.roles, key=lambda r: r.count)}
    places = [f"{role}-{n}" for role, count in most.items() for n in range(count)]
    return [record("Approve", f"person-{p}", p.rpartition("-")[0], draw(DAYS), name=f"q{tag}-{n}", of=subject) for n, p in enumerate(places)]


@st.composite
def entries(draw: st.DrawFn, known: list[str], terms: list[Any]) -> Entry:
    """An entry as the operator may have written it, for one of these subjects under some of these terms."""
    if draw(st.integers(0, 5)) == 5:
        return Entry(audit=True)
    lax = [t.model_copy(update={"on_lapse": OnLapse(), "on_change": OnChange()}) for t in terms]
    return Entry(
        fingerprint=draw(st.sampled_from([f for f in known if f != CURRENT] or [HEX["d"]])),
        valid_until=day(draw(DAYS)),
        superseded=draw(st.sampled_from([None, day(0), day(10)])),
        components=draw(st.sampled_from([None, {"model": HEX["1"]}])),
        risk_class=draw(st.sampled_from([None, *RiskClass])),
        terms=draw(st.sampled_from([None, [], terms, lax, terms[:1]])),
        inputs=draw(st.sampled_from([None, {"configmaps/a": HEX["5"]}, {"configmaps/a": ""}])),
        template=template(draw(WORDS)),
    )


@st.composite
def bare(draw: st.DrawFn) -> Input:
    """An Input without records and entries."""
    odd = draw(ODDITIES) if draw(st.booleans()) else []
    refs = draw(st.lists(st.sampled_from([f"Deployment/{NAMES[0]}", "Job/batch", f"StatefulSet/{NAMES[1]}"]), min_size=1, max_size=2, unique=True))
    names = [] if "unprocedured" in odd else draw(st.lists(st.sampled_from(["p", "q", "q" * 253]), min_size=1, max_size=3, unique=True))
    each: list[Any] = [draw(procedures(name, odd)) for name in names]
    return given(
        of=spec(
            risk_class="Prohibited" if "prohibited" in odd else "Limited" if "limited" in odd else "High",
            lifecycle="Retired" if "retired" in odd else "Active",
            intended_purpose=draw(st.sampled_from(["score credit", "score mortgages"])),
        ),
        procedures=each + ([("zz", Broken("spec.title: too long"))] if "broken-procedure" in odd else []),
        workloads=[draw(workloads(ref, odd if n == 0 else ())) for n, ref in enumerate(refs)],
        pods=[draw(pods(name)) for name in draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=4, unique=True))],
        orphan=draw(st.sampled_from([None, None, Orphan(since=day(1)), Orphan(since=day(1), stop_at=day(20))])),
        governed="ungoverned" not in odd,
        unreadable="configmaps/a could not be read" if "unreadable" in odd else "",
        pull_secrets=draw(PULL_SECRETS),
        clearance_bytes=draw(st.sampled_from([800_000, 2_000_000])) if "full" in odd else 0,
    )


@st.composite
def inputs(draw: st.DrawFn) -> Input:
    """Any Input: a history of changes, decided and stored, or entries that no history of ours made."""
    now = draw(bare())
    subjects = [fingerprint(now), *(fingerprint(change(now, workloads=[workload(word)])) for word in ("v1", "v2")), HEX["d"]]
    made = [draw(records(f"r{n}", subjects)) for n in range(draw(st.integers(0, 6)))]
    made += [r for n, about in enumerate(subjects[:3]) if draw(st.integers(0, 3)) for r in draw(quorate(now.procedures, about, str(n)))]
    now = replace(now, records=tuple(made))
    kind = draw(st.sampled_from(["history", "history", "anything", "unreadable entry"]))
    if kind == "anything":
        terms = [term(p) for p in now.procedures if isinstance(p, Procedure)]
        return replace(now, entries=tuple(draw(st.lists(entries(subjects, terms), max_size=4))))
    for word, at in zip(draw(st.lists(WORDS, max_size=2)), (2, 5), strict=False):
        past = change(now, workloads=[workload(word)])
        now = replace(fed(past, decide(past, day(at))), workloads=now.workloads)
    return broken(now) if kind == "unreadable entry" else now


def broken(of: Input) -> Input:
    """The same with a register entry that cannot be read."""
    return replace(of, spec=Broken("spec.role: none of Provider, Deployer"))


TIMES = (st.floats(5, 70, allow_nan=False) | st.integers(5, 70)).map(day)
