"""`kubectl qms approve` and `kubectl qms reject`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import case as cases
from aiqms.cli import change, decision, screen
from aiqms.cli.arguments import Deployment, DryRun, Expires, Rationale, Role, Subject, Yes
from aiqms.cli.authority import one_of, only
from aiqms.cli.case import Case
from aiqms.cli.connection import connect
from aiqms.cli.decision import How, Wish
from aiqms.cli.terminal import Context, Format, Namespace, NotDone, Output, terminal_width
from aiqms.policy.words import short

APPROVE = """Approves exactly what an AIModelDeployment wants to run now, or another subject by its fingerprint, as you.

Shows what is approved: its components, what changed since the last approval down to the fields of the pods, and who approved so far.
Then it asks why, and whether you mean it. The role is the one that is missing and that you hold; hold several, and you choose with --role.

A script names what it approves: --subject sha256:… --rationale … --yes. A subject that does not run yet may be approved beforehand,
with --role; kubectl qms fingerprint tells it from manifests.

Ends with 0 if the record was made and counts (or will, when its subject appears), 1 if it was refused, was not made or does not count,
2 on wrong usage, 3 if the cluster could not be asked."""
REJECT = """Rejects exactly what an AIModelDeployment wants to run now: it is not cleared until it changes or the rejection is withdrawn.

Shows the same as approve, and asks the same. Any role that approves may reject.

Ends with 0 if the record was made and counts, 1 if it was refused, was not made or does not count, 2 on wrong usage,
3 if the cluster could not be asked."""
Renew = Annotated[bool, typer.Option("--renew", help="Approve again what you approved, before that approval ends.")]


def approve(
    *,
    name: Deployment,
    subject: Subject = None,
    role: Role = None,
    rationale: Rationale = None,
    expires: Expires = None,
    renew: Renew = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale)
    decision.require_terminal(how, subject=subject)
    until = decision.expiry(expires, datetime.now(UTC))
    case = cases.read(connect(context=context, namespace=namespace), name)
    about = subject or current(case)
    chosen = role or role_to_approve(case, about, renew=renew)
    refuse_early(case, about, chosen, renew=renew)
    _record(case, Wish(name, Decision.APPROVE, chosen, subject=about, expires=until), how)


def reject(
    *,
    name: Deployment,
    subject: Subject = None,
    role: Role = None,
    rationale: Rationale = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale)
    decision.require_terminal(how, subject=subject)
    case = cases.read(connect(context=context, namespace=namespace), name)
    about = subject or current(case)
    chosen = role or only(case, [p.role for p in case.places], Decision.REJECT)
    _known_role(case, about, chosen)
    decision.require_right(case.rights, case.me, chosen, Decision.REJECT)
    _record(case, Wish(name, Decision.REJECT, chosen, subject=about), how)


def _record(case: Case, wish: Wish, how: How) -> None:
    """Show, ask, look again, and make the record."""
    width, about = terminal_width(), str(wish.subject)
    seen = change.read(case.connection, case.deployment) if case.deployment and about == case.fingerprint else change.Change()
    how.show(screen.subject(case, seen, about, width=width))
    if wish.decision is Decision.APPROVE and (other := cases.elsewhere(case, wish.role)):
        how.show(screen.note(f"you count as {other} already; where people must differ, this adds nothing and another person has to approve", width=width))
    why = decision.rationale(how, required=True)
    decision.confirm(how, f"{wish.decision} {short(about)} as {wish.role}?")
    unchanged(case, about)
    raise typer.Exit(decision.make(case.connection, wish.because(why), how))


def current(case: Case) -> str:
    """The fingerprint of the current subject. Raises NotDone where there is none to decide about."""
    if case.deployment is None:
        raise NotDone(
            f"namespace {case.namespace} has no AIModelDeployment {case.name}: see kubectl qms status -n {case.namespace}; "
            "to approve beforehand, name the subject with --subject and --role"
        )
    if case.fingerprint is None or case.behind:
        look = f"kubectl qms explain {case.name} -n {case.namespace}"
        raise NotDone(f"what {case.name} is now is not known yet: the operator has not told its subject, or not looked at the latest change; see {look}")
    return case.fingerprint


def unchanged(case: Case, about: str) -> None:
    """Raises NotDone where the subject that the person looked at is not the current one any more."""
    if about != case.fingerprint:
        return
    now = cases.again(case)
    if now.fingerprint != about or now.behind:
        what = short(now.fingerprint) if now.fingerprint != about else "being worked out anew"
        raise NotDone(f"{case.name} changed while you looked at it: its subject is {what}, not {short(about)}; nothing was recorded, look again")


def role_to_approve(case: Case, about: str, *, renew: bool) -> str:
    """The one role that is missing and that the person holds. Raises NotDone where there is none, BadParameter where there are several."""
    if about != case.fingerprint:
        raise typer.BadParameter("which roles a subject needs that is not the current one is not known here: choose with --role", param_hint="--role")
    asked = list(dict.fromkeys(p.role for p in case.places)) if renew else cases.waiting(case)
    if not asked:
        raise NotDone(f"nothing is missing: every approval that the procedures ask for is given ({short(about)}){_renewal(case)}")
    mine = [r for r in asked if (cases.given(case, subject=about, role=r) is not None) == renew]
    held = case.rights.of(mine, Decision.APPROVE)
    best = [r for r in held if not cases.elsewhere(case, r)] or held
    if not best and not renew and (before := _own(case, about)):
        raise NotDone(f"{_already(before)}; what is missing is by {' and '.join(asked)}, by other people")
    return one_of(case, best, mine or asked, Decision.APPROVE)


def _own(case: Case, about: str) -> Json | None:
    """An approval of the subject by this person, in any role."""
    return next((r for p in case.places if (r := cases.given(case, subject=about, role=p.role))), None)


def _already(record: Json) -> str:
    said = (record.get("status") or {}).get("message") or f"on {record['metadata']['creationTimestamp'][:10]}"
    return f"you approved it already (apr/{record['metadata']['name']}: {said})"


def _renewal(case: Case) -> str:
    return "; to approve again before that ends, add --renew" if any(case.me in p.by for p in case.places) else ""


def refuse_early(case: Case, about: str, role: str, *, renew: bool) -> None:
    """Raises NotDone for what the API server would refuse, or what would not count."""
    _known_role(case, about, role)
    decision.require_right(case.rights, case.me, role, Decision.APPROVE)
    before = cases.given(case, subject=about, role=role)
    if before and not renew:
        raise NotDone(f"{_already(before)}; to approve again before that ends, add --renew")
    if about == case.fingerprint and cases.barred(case, role):
        raise NotDone(f"you changed {case.name}, and the procedure wants others to approve it: another {role} has to")


def _known_role(case: Case, about: str, role: str) -> None:
    named = sorted({p.role for p in case.places})
    if about == case.fingerprint and role not in named:
        raise NotDone(f"no procedure that applies to {case.name} names role {role}; they name: {', '.join(named) or 'none'}")
