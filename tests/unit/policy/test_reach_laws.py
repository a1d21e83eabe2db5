"""Who becomes a ServiceAccount that has a right, on any graph: against an evaluator that tries each person as each ServiceAccount, one request at a time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from aiqms.policy.rbac import Ask, Rbac, Subject, groups_of
from aiqms.policy.reach import EDIT_REGISTER, reaching
from tests.unit.policy.grants import HERE, rbac, who
from tests.unit.policy.rbac_naive import may

THERE, EMPTY = "ci", "qa"  # the second one binds nobody
PEOPLE = ("ann", "ben", "@devs", f"{HERE}/bot", f"{THERE}/bot")
GROUPS = ("@system:serviceaccounts", *(f"@system:serviceaccounts:{ns}" for ns in (HERE, THERE, EMPTY)), "@system:authenticated")
ACCOUNTS = [Subject("ServiceAccount", name, ns) for ns in (HERE, THERE, EMPTY) for name in ("bot", "not-there-yet")]
WAYS = {
    "token": "create serviceaccounts/token", "bots-token": "create serviceaccounts/token=bot", "make": "create pods", "read": "list secrets",
    "read-one": "get secrets=key", "act": "impersonate serviceaccounts", "act-bot": "impersonate serviceaccounts=bot", "act-devs": "impersonate groups=devs",
}  # fmt: skip


def bindings(*roles: str, prefix: str = "") -> st.SearchStrategy[list[str]]:
    people = st.lists(st.sampled_from(PEOPLE + GROUPS), min_size=1, max_size=2).map(" ".join)
    return st.lists(st.builds(lambda named, role: f"{prefix}{named} -> {role}", people, st.sampled_from(roles)), max_size=2)


GRAPHS = st.builds(
    lambda held, near, far, there: rbac(*held, *near, *far, others={THERE: there}, cluster=WAYS),
    bindings("register"), bindings(*WAYS), bindings(*WAYS, prefix="* "), bindings(*WAYS),
)  # fmt: skip


def holds(graph: Rbac, person: Subject) -> bool:
    return any(may(graph, person, ask, "anything") for ask in EDIT_REGISTER.asks)


def becomes(graph: Rbac, person: Subject, account: Subject) -> bool:
    asks = {
        Ask("create", "", "serviceaccounts", "token", within=account.namespace): account.name,
        Ask("impersonate", "", "serviceaccounts", within=account.namespace): account.name,
        Ask("create", "", "pods", within=account.namespace): "anything",
        Ask("list", "", "secrets", within=account.namespace): "anything",
    }
    return any(may(graph, person, ask, name) for ask, name in asks.items())


def acts_as_devs(graph: Rbac, person: Subject) -> bool:
    return holds(graph, who("@devs")) and may(graph, person, Ask("impersonate", "", "groups", within=""), "devs")


@settings(max_examples=400, deadline=None)
@given(GRAPHS)
def test_whoever_becomes_a_service_account_that_may_is_found_and_nobody_else(graph: Rbac) -> None:
    found = {g.subject for g in reaching(graph, EDIT_REGISTER)}
    able = {account for account in ACCOUNTS if holds(graph, account)}
    for person in map(who, PEOPLE):
        inside = {person, *(Subject("Group", name) for name in groups_of(person))}
        expected = holds(graph, person) or acts_as_devs(graph, person) or any(becomes(graph, person, account) for account in able)
        assert bool(inside & found) == expected, person
