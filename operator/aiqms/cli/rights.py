"""What the person at the terminal may decide, as the API server answers it: nothing here interprets RBAC on its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from aiqms.api.record import Decision
from aiqms.api.values import GROUP, Json
from aiqms.cli.connection import Connection

NOBODYS_ROLE = "aiqms-nobody-holds-this"  # policy authentic asks for it too
RESOURCE = "approvalroles"
_RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Holding(Enum):
    """How a person holds a role: by its name, by a wildcard (which decides nothing but Stop), or not."""

    NAMED = "named"
    WILDCARD = "wildcard"
    NONE = "none"


def verb_of(decision: Decision) -> str:
    """The verb on approvalroles.aiqms.dev that a decision takes."""
    return decision.lower()


@dataclass(frozen=True)
class Rights:
    """Of the person at the terminal, in one namespace. known: role and verb -> the answer, so that each question is asked once.

    makes_records: whether the person may create ApprovalRecords at all; None: not asked yet.
    """

    connection: Connection
    known: dict[tuple[str, str], bool] = field(default_factory=dict)
    makes_records: bool | None = None

    def holding(self, role: str, decision: Decision) -> Holding:
        """As admission asks: the right to this role by its name; whoever also has it to a role that nobody has, holds a wildcard."""
        verb = verb_of(decision)
        if not self._allowed(role, verb):
            return Holding.NONE
        return Holding.WILDCARD if self._allowed(NOBODYS_ROLE, verb) else Holding.NAMED

    def decides(self, role: str, decision: Decision) -> bool:
        """Whether a record of this decision in this role would be let in. Stop is let in by a wildcard too."""
        held = self.holding(role, decision)
        return held is Holding.NAMED or (held is Holding.WILDCARD and decision is Decision.STOP)

    def of(self, roles: Iterable[str], decision: Decision) -> list[str]:
        """Those of the roles in which the person may decide so, each once."""
        return [role for role in dict.fromkeys(roles) if self.decides(role, decision)]

    def named(self, decision: Decision) -> list[str]:
        """Every role that a rule gives by name, for where nobody says which roles there are. An authorizer that lists no rules gives none."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": self.connection.namespace}}
        rules = self.connection.post(_RULES, review)["status"].get("resourceRules") or []
        return self.of(roles_in(rules, verb_of(decision)), decision)

    def records(self) -> bool:
        """Whether the person may create ApprovalRecords here at all."""
        if self.makes_records is not None:
            return self.makes_records
        asked = {"group": GROUP, "resource": "approvalrecords", "verb": "create", "namespace": self.connection.namespace}
        return self.connection.allowed(asked)

    def _allowed(self, role: str, verb: str) -> bool:
        if (role, verb) not in self.known:
            asked = {"group": GROUP, "resource": RESOURCE, "verb": verb, "namespace": self.connection.namespace, "name": role}
            self.known[(role, verb)] = self.connection.allowed(asked)
        return self.known[(role, verb)]


def roles_in(rules: Iterable[Json], verb: str) -> list[str]:
    """The roles that rules name for a verb, sorted. Pure."""
    found = (n for rule in rules if _about(rule, verb) for n in rule.get("resourceNames") or [])
    return sorted(set(found))


def _about(rule: Json, verb: str) -> bool:
    return all({value, "*"} & set(rule.get(key) or []) for key, value in (("apiGroups", GROUP), ("resources", RESOURCE), ("verbs", verb)))


def whoami(connection: Connection) -> str:
    """The user name under which the API server knows the person at the terminal."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    return str(connection.post(_WHOAMI, review)["status"]["userInfo"].get("username", ""))


def binding(role: str, who: str, namespace: str, *, clusterrole: str = "") -> str:
    """The command that gives somebody a role in a namespace. who: `user alice` or `group risk-managers`."""
    kind, _, name = who.partition(" ")
    called = f"{role}s" if kind == "group" else re.sub(r"[^A-Za-z0-9.@-]", "-", f"{role}-{name}")
    return f"kubectl create rolebinding {called} --clusterrole {clusterrole or f'aiqms-role-{role}'} --{kind} {shlex.quote(name)} -n {namespace}"
