"""Checks on who can do what by RBAC: editors, the rights of the pods' ServiceAccounts, who holds roles, and access reviews (AI Act Art. 15(5), 17(1)(m))."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from aiqms.api.access import Access
from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.api.procedure import RequiredRole, SeparationOfDuties
from aiqms.api.record import Decision
from aiqms.policy.checks import Facts, Row, row, unless_missing
from aiqms.policy.facts import AccountRight, Procedure, Reach
from aiqms.policy.procedures import deciding
from aiqms.policy.rbac import Given, Subject
from aiqms.policy.reach import OPERATOR_NAMESPACE, SYSTEM, covers, masters
from aiqms.policy.reviews import due, last
from aiqms.policy.words import moment

EDITORS, RIGHTS, SEPARATION, REVIEW = "access/editors", "access/rights", "access/separation", "access/review"
_SHOWN = 3  # findings that a message names
_UNKNOWN = "nobody looked at roles and bindings yet, so who can do what is not known: the operator lists them (kubectl qms doctor)"
_BY = {  # how one gets a right that one lacks
    "impersonate": "by acting as somebody who may", "escalate": "by raising a role", "bind": "by binding a role",
    "certificates": "by certificates for anybody", "tokens": "by a ServiceAccount's token", "pods": "by pods as a ServiceAccount that may",
    "secrets": "by a Secret with a ServiceAccount's token",
}  # fmt: skip


def _asking(facts: Facts) -> list[tuple[Procedure, Access]]:
    return [(p, p.spec.access) for p in facts.procedures if p.spec.access]


def _row(id_: str, result: Result, reason: Reason, message: str, procedure: Procedure) -> Row:
    serves = [f"{o.framework} {o.id}" for o in procedure.spec.access.obligations] if procedure.spec.access else []
    return row(id_, result, reason, message, procedure=procedure, serves=serves)


def _some(found: Sequence[str], look: str) -> str:
    more = len(found) - _SHOWN
    return "; ".join(found[:_SHOWN]) + (f"; and {more} more ({look})" if more > 0 else "")


def editors(facts: Facts) -> list[Row]:
    """Whoever may edit workloads or register entries here is in access.editors, cluster-wide holders and those who get it by a way included."""
    return [_editors(facts, p, a) for p, a in _asking(facts) if a.editors]


def _editors(facts: Facts, procedure: Procedure, access: Access) -> Row:
    reach = facts.given.reach
    if reach is None:
        return _row(EDITORS, Result.ERROR, Reason.RBAC_UNKNOWN, _UNKNOWN, procedure)
    extra = [g for g in reach.editors if not _named(g.subject, access)]
    strangers = [g for g in extra if not masters(g.subject)]
    look = f"kubectl qms who-can edit-workload edit-register -n {facts.given.namespace}"
    if strangers:
        said = f"access.editors does not name {_some([_edits(g) for g in strangers], look)}"
        return _row(EDITORS, Result.FAIL, Reason.EDITOR_UNEXPECTED, f"{said}: take them off the binding, or name them with a higher revision", procedure)
    if extra:
        said = "group system:masters may edit everything whatever RBAC says: name it under access.editors.groups once you know who has its certificates"
        return _row(EDITORS, Result.WARN, Reason.EDITOR_UNEXPECTED, said, procedure)
    who = _some([str(g.subject) for g in reach.editors], look)
    return _row(EDITORS, Result.PASS, Reason.EDITORS_KNOWN, f"who may edit is named: {who}", procedure)


def _named(subject: Subject, access: Access) -> bool:
    assert access.editors
    return subject.name in access.editors.groups if subject.kind == "Group" else subject.user in access.editors.users


def _edits(given: Given) -> str:
    how = f" {_BY[given.way]}" if given.way else ""
    return f"{given.subject}, who may edit{how} ({given.by})"


def rights(facts: Facts) -> list[Row]:
    """The pods' ServiceAccounts may do what access.rights lists, in their own namespace, and what everybody may: no more. What others gave is a warning."""
    return [_rights(facts, p, a) for p, a in _asking(facts) if a.service_account or a.rights]


def _rights(facts: Facts, procedure: Procedure, access: Access) -> Row:
    reach = facts.given.reach
    if reach is None:
        return _row(RIGHTS, Result.ERROR, Reason.RBAC_UNKNOWN, _UNKNOWN, procedure)
    beyond = [r for r in reach.accounts if not listed(r, facts.given.namespace, access)]
    if not beyond:
        passed = Result.PASS, Reason.RIGHTS_LISTED, "the pods' ServiceAccounts may do nothing beyond access.rights"
        return _row(RIGHTS, *unless_missing(facts, passed), procedure)
    strict = [r for r in beyond if not _of_others(r, facts.given.namespace)]
    look = f"kubectl auth can-i --list --as system:serviceaccount:{facts.given.namespace}:NAME"
    said = f"beyond access.rights, {_some([_may(r) for r in strict or beyond], look)}"
    if not strict:
        who = "the administrators of that namespace gave it, and nothing here asked for it: have them take it off the binding"
        return _row(RIGHTS, *unless_missing(facts, (Result.WARN, Reason.RIGHTS_BEYOND, f"{said}: {who}")), procedure)
    return _row(RIGHTS, Result.FAIL, Reason.RIGHTS_BEYOND, f"{said}: take it off the binding, or list the rule with a higher revision", procedure)


def _of_others(right: AccountRight, namespace: str) -> bool:
    """Whether another namespace of people gives it, for itself alone: whoever runs that one could else hold or end a deployment here by a binding."""
    return right.within not in ("", namespace, OPERATOR_NAMESPACE, *SYSTEM)


def listed(right: AccountRight, namespace: str, access: Access) -> bool:
    """Whether access.rights lists it, and it is in the pods' own namespace."""
    return right.within == namespace and any(covers(a.api_groups, a.resources, a.verbs, right.rule) for a in access.rights)


def _may(right: AccountRight) -> str:
    rule = right.rule
    resources = ", ".join(f"{r}.{g}" if g else r for g in rule.groups for r in rule.resources) or ", ".join(rule.urls)
    names = f" named {', '.join(rule.names)}" if rule.names else ""
    where = f"in namespace {right.within}" if right.within else "everywhere"
    return f"serviceaccount {right.account} may {', '.join(rule.verbs)} {resources}{names} {where} ({right.by})"


def separation(facts: Facts) -> list[Row]:
    """Said before it blocks: a role that nobody holds, and people who would have to fill more places than one may."""
    reach = facts.given.reach
    return [r for p in facts.procedures for r in _separation(p, reach, facts.given.namespace)] if reach else []


def _separation(procedure: Procedure, reach: Reach, namespace: str) -> Iterator[Row]:
    unheld = [f"{role} ({decision.lower()})" for decision, role in deciding(procedure) if not reach.holders.get((decision, role))]
    if unheld:
        how = f"whoever may bind roles there binds somebody (kubectl qms who-can -n {namespace})"
        said = f"nobody holds {', '.join(unheld)} by name in namespace {namespace}: {how}"
        yield _row(SEPARATION, Result.WARN, Reason.ROLE_UNHELD, said, procedure)
    if procedure.spec.approvals.separation_of_duties is not SeparationOfDuties.NONE:
        for roles, people in _short(procedure.spec.approvals.roles, reach):
            names = " and ".join(r.role for r in roles) + (" take" if len(roles) > 1 else " takes")
            said = f"{names} {sum(r.count for r in roles)} people, and only {', '.join(sorted(people))} may: bind somebody else too"
            yield _row(SEPARATION, Result.WARN, Reason.ROLES_HELD_BY_ONE, said, procedure)


def _short(roles: Sequence[RequiredRole], reach: Reach) -> Iterator[tuple[tuple[RequiredRole, ...], set[str]]]:
    """One role, or two together, with fewer holders than places. A group may be any number of people, so it is enough for all."""
    holders = {r.role: reach.holders.get((Decision.APPROVE, r.role), ()) for r in roles}
    for some in (*((r,) for r in roles), *combinations(roles, 2)):
        held = [holders[r.role] for r in some]
        people = {s.name for each in held for s in each}
        closed = all(each and all(s.kind == "User" for s in each) for each in held)
        if closed and len(people) < sum(r.count for r in some):
            yield some, people


def review_every(facts: Facts) -> list[Row]:
    """Within access.reviewEvery somebody in one of reviewRoles confirmed the list of who can do what."""
    return [_reviewed(facts, p, a) for p, a in _asking(facts) if a.review_every]


def _reviewed(facts: Facts, procedure: Procedure, access: Access) -> Row:
    reach, how = facts.given.reach, f"kubectl qms review-access {facts.given.name} -n {facts.given.namespace}"
    if reach is None:
        return _row(REVIEW, Result.ERROR, Reason.RBAC_UNKNOWN, _UNKNOWN, procedure)
    record = last(procedure, facts.records, reach.list)
    if record is None:
        said = f"nobody confirmed yet who can do what here: {how}"
        return _row(REVIEW, Result.FAIL, Reason.ACCESS_REVIEW_DUE, said, procedure)
    when, until = f"{record.person} confirmed on {moment(record.created)} who can do what here (apr/{record.name})", due(procedure, record)
    if until <= facts.now:
        return _row(REVIEW, Result.FAIL, Reason.ACCESS_REVIEW_DUE, f"{when}, which was to be done again by {moment(until)}: {how}", procedure)
    if record.spec.list != reach.list:
        said = f"{when}, and that has changed since: have it looked at before {moment(until)}: {how}"
        return _row(REVIEW, Result.WARN, Reason.ACCESS_CHANGED, said, procedure)
    return _row(REVIEW, Result.PASS, Reason.ACCESS_REVIEWED, f"{when}; again by {moment(until)}", procedure)
