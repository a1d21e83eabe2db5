"""`kubectl qms approve` and `kubectl qms reject`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from aiqms.api.record import Decision
from aiqms.cli import case as cases
from aiqms.cli import change, decision, screen
from aiqms.cli.arguments import Deployment, DryRun, Expires, Rationale, Role, Subject, Yes
from aiqms.cli.case import Case
from aiqms.cli.connection import connect
from aiqms.cli.decision import How, Wish
from aiqms.cli.rights import binding
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
    if not mine and not renew:
        return asked[0]  # refused with the record that is there already
    return _one(case, best, mine or asked, Decision.APPROVE)


def _renewal(case: Case) -> str:
    return "; to approve again before that ends, add --renew" if any(case.me in p.by for p in case.places) else ""


def only(case: Case, roles: list[str], decided: Decision) -> str:
    """The one of these roles in which the person may decide so. Raises NotDone where there is none, BadParameter where there are several."""
    known = list(dict.fromkeys(roles))
    return _one(case, case.rights.of(known, decided), known, decided)


def _one(case: Case, held: list[str], asked: list[str], decided: Decision) -> str:
    if len(held) > 1:
        raise typer.BadParameter(f"you hold {' and '.join(held)}: choose with --role", param_hint="--role")
    if held:
        return held[0]
    if len(asked) == 1:
        decision.require_right(case.rights, case.me, asked[0], decided)
    roles, gives = " and ".join(asked) or "no role at all", binding(asked[0] if asked else "ROLE", f"user {case.me}", case.namespace)
    raise NotDone(
        f"{case.name} waits for {roles}, and you ({case.me}) hold none of them by name in namespace {case.namespace}: "
        f"each takes verb {decided.lower()} on approvalroles.aiqms.dev under its name; a RoleBinding gives one, such as: {gives}"
    )


def refuse_early(case: Case, about: str, role: str, *, renew: bool) -> None:
    """Raises NotDone for what the API server would refuse, or what would not count."""
    _known_role(case, about, role)
    decision.require_right(case.rights, case.me, role, Decision.APPROVE)
    before = cases.given(case, subject=about, role=role)
    if before and not renew:
        said = (before.get("status") or {}).get("message") or f"on {before['metadata']['creationTimestamp'][:10]}"
        raise NotDone(f"you approved it already (apr/{before['metadata']['name']}: {said}); to approve again before that ends, add --renew")
    if about == case.fingerprint and cases.barred(case, role):
        raise NotDone(f"you last changed {case.name}, and the procedure wants others to approve it: another {role} has to")


def _known_role(case: Case, about: str, role: str) -> None:
    named = sorted({p.role for p in case.places})
    if about == case.fingerprint and role not in named:
        raise NotDone(f"no procedure that applies to {case.name} names role {role}; they name: {', '.join(named) or 'none'}")
