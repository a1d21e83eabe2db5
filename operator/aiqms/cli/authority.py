"""In which role a person decides, where nobody named one."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from aiqms.api.record import Decision
from aiqms.cli import case as cases
from aiqms.cli import decision
from aiqms.cli.case import Case
from aiqms.cli.rights import binding, verb_of
from aiqms.cli.terminal import NotDone

_PARTS = {Decision.STOP: "stop", Decision.RESUME: "stop", Decision.EMERGENCY: "emergency"}
_ABLE = {Decision.STOP: "stop", Decision.RESUME: "resume", Decision.EMERGENCY: "break the glass of"}


def only(case: Case, roles: Sequence[str], decided: Decision) -> str:
    """The one of these roles in which the person may decide so. Raises NotDone where there is none, BadParameter where there are several."""
    known = list(dict.fromkeys(roles))
    return one_of(case, case.rights.of(known, decided), known, decided)


def one_of(case: Case, held: Sequence[str], asked: Sequence[str], decided: Decision) -> str:
    """The one that is held; asked: the roles that would do."""
    if len(held) > 1:
        raise typer.BadParameter(f"you hold {' and '.join(held)}: choose with --role", param_hint="--role")
    if held:
        return held[0]
    if len(asked) == 1:
        decision.require_right(case.rights, case.me, asked[0], decided)
    raise NotDone(_none_held(case, asked, decided))


def _none_held(case: Case, asked: Sequence[str], decided: Decision) -> str:
    if not asked:
        return f"no procedure that applies to {case.name} names a role for it, so nobody can: kubectl qms explain {case.name} -n {case.namespace}"
    return (
        f"it takes {' or '.join(asked)}, and you ({case.me}) hold none of them by name in namespace {case.namespace}: "
        f"verb {verb_of(decided)} on approvalroles.aiqms.dev under that name; a RoleBinding gives it: {binding(asked[0], f'user {case.me}', case.namespace)}"
    )


def role_for(case: Case, decided: Decision) -> str:
    """A role in which the person may decide so, where any one does: to stop, to resume, to break the glass, to review it.

    Raises NotDone where there is none, BadParameter where nobody can tell which of several counts.
    """
    part = _PARTS.get(decided)
    named = cases.resuming(case) if decided is Decision.RESUME else case.authority(part) if part else [p.role for p in case.places]
    if named is None:
        stopping = case.rights.of(cases.stopping(case), decided) if decided is Decision.RESUME else []
        return stopping[0] if stopping else only(case, _by_own_rights(case, decided), decided)
    if not named and part:
        field = f"spec.{part}.roles"
        raise NotDone(f"no procedure names a role under {part}.roles, so nobody can {_ABLE[decided]} {case.name}: the platform team adds one ({field})")
    held = case.rights.of(named, decided)
    return held[0] if held else one_of(case, (), list(dict.fromkeys(named)), decided)


def _by_own_rights(case: Case, decided: Decision) -> list[str]:
    """Where procedures may not be read, the roles that the person's own rights name."""
    held = case.rights.named(decided)
    if not held:
        raise NotDone(
            f"you ({case.me}) hold no role by name with verb {verb_of(decided)} on approvalroles.aiqms.dev in namespace {case.namespace}, "
            "and may not read procedures to see which roles it takes: name one with --role to see what gives it"
        )
    return held
