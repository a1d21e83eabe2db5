"""The arguments and options that deciding commands share, with their completion."""

from __future__ import annotations

from typing import Annotated

import typer

KINDS = ("aimd", "aimodeldeployment", "aimodeldeployments", "aimodeldeployment.aiqms.dev", "aimodeldeployments.aiqms.dev")
RECORDS = ("apr", "approvalrecord", "approvalrecords", "approvalrecord.aiqms.dev", "approvalrecords.aiqms.dev")


def deployment_name(value: str) -> str:
    """The name in [aimd/]NAME. Raises BadParameter for another kind."""
    kind, slash, name = value.rpartition("/")
    if slash and kind.lower() not in KINDS:
        raise typer.BadParameter(f"this command knows AIModelDeployments: write aimd/{name}, not {value}")
    return name


def record_name(value: str | None) -> str | None:
    """The name in [apr/]NAME. Raises BadParameter for another kind."""
    kind, slash, name = (value or "").rpartition("/")
    if slash and kind.lower() not in RECORDS:
        raise typer.BadParameter(f"this is the name of an ApprovalRecord: write apr/{name}, not {value}")
    return name or None


def fingerprint(value: str | None) -> str | None:
    """A whole fingerprint. Raises BadParameter for a part of one: nobody approves what is not named exactly."""
    head, _, digits = (value or "").partition(":")
    if value is not None and (head != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef")):
        raise typer.BadParameter(f"{value!r} is no fingerprint: give sha256: and all 64 hex digits (kubectl qms explain NAME -o json shows them as subject)")
    return value


Deployment = Annotated[str, typer.Argument(metavar="NAME", help="The deployment.", callback=deployment_name)]
Record = Annotated[str | None, typer.Option("--record", metavar="[apr/]NAME", help="Which record, where there are several.", callback=record_name)]
Role = Annotated[str | None, typer.Option("--role", help="The role in which you decide; default: the only one that fits.")]
Subject = Annotated[
    str | None, typer.Option("--subject", metavar="sha256:…", help="Exactly what is decided about; default: the current subject.", callback=fingerprint)
]
Rationale = Annotated[str | None, typer.Option("--rationale", "-r", help="Why you decide so; kept in the record.")]
Expires = Annotated[str | None, typer.Option("--expires", metavar="WHEN", help="Ends it sooner than the procedure does: 2027-01-31, or 30d from now.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Have the API server check the record, and store nothing.")]
