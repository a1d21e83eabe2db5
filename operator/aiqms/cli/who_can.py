"""`kubectl qms who-can`: who can do what about a governed namespace, and which binding gives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import access
from aiqms.cli.connection import Connection, connect
from aiqms.cli.reading import REGISTER, procedures_of, readable_items
from aiqms.cli.terminal import Context, Exit, Format, Namespace, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import Line, wrapped
from aiqms.policy.rbac import Given, Rbac, Subject
from aiqms.policy.reach import EDIT_REGISTER, EDIT_WORKLOAD, FIXED, Question, decides, decisions, own, reaching, release_namespace, round_the_gate
from aiqms.policy.words import plural

HELP = """Says who can do what about a namespace: approve in each role, stop, edit workloads and register entries, read secrets and logs,
open sessions, change procedures, take the namespace out of the gate, switch the gate off; and who could go round.

Name questions to ask only these: edit-workload, edit-register, read-secrets, read-logs, open-session, change-procedures, release-namespace,
disable-gate, write-clearances, ways-round, or a decision with or without its role, such as approve risk-manager, or stop.

Candidates come from roles and bindings; the answer is the API server's own, asked for each of them (SubjectAccessReview). A user is asked without
groups, a group as a member of whom nothing else is known. Those who lack a right and can get it stand there too, with the way: impersonate
(act as others), escalate and bind (raise rights), certificates (make credentials), tokens and pods (be a service account), nodes (a kubelet). Editors
whom a procedure does not name under access.editors are marked.

Ends with 0, or 1 if nobody has a right that was named, 2 on wrong usage, 3 if the cluster could not be asked or you may not ask."""
ROUND = "ways-round"
DECISIONS = {d.lower(): d for d in Decision}
_ORDER = (Decision.APPROVE, Decision.REJECT, Decision.WITHDRAW, Decision.STOP, Decision.RESUME, Decision.EMERGENCY, Decision.REVIEW_ACCESS)
_PARTS = {"approvals": (Decision.APPROVE, Decision.REJECT, Decision.WITHDRAW), "stop": (Decision.STOP, Decision.RESUME), "emergency": (Decision.EMERGENCY,)}
FIXED_IDS = (*(q.id for q in FIXED), "release-namespace", ROUND)
QUESTIONS = (*FIXED_IDS, *DECISIONS)
Questions = Annotated[list[str] | None, typer.Argument(metavar="[QUESTION…]", help="What is asked; default: everything.")]
All = Annotated[bool, typer.Option("--all", help="The control plane's own parts too.")]


@dataclass(frozen=True)
class Answers:
    """Who can do one thing. denied: how many candidates the API server does not let. extra: procedures that limit it, and do not name the subject."""

    question: str
    givens: tuple[Given, ...]
    denied: int = 0
    extra: Mapping[Subject, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unheld(self) -> bool:
        """Whether nobody has the right itself, though some may get it. What goes round has ways alone."""
        return not any(not g.way or self.question == ROUND for g in self.givens)


def command(questions: Questions = None, all_: All = False, namespace: Namespace = None, context: Context = None, output: Format = Output.TEXT) -> None:
    connection = connect(context=context, namespace=namespace)
    words = list(questions or [])
    check(words)
    rbac, procedures = access.rbac(connection, whole=True), procedures_of(connection) or {}
    limits = limited(readable_items(connection, f"{REGISTER}/namespaces/{connection.namespace}/aimodeldeployments") or [], procedures)
    found = [compared(shown(a, all_=all_), limits) for a in answered(connection, rbac, chosen(words, everything(rbac, procedures)))]
    if output is Output.TEXT:
        print_lines(lines(found, connection.namespace, width=terminal_width()))
    else:
        print_value([row for a in found for row in rows(a)], output)
    raise typer.Exit(Exit.NO if words and any(a.unheld for a in found) else Exit.YES)


def everything(rbac: Rbac, procedures: dict[str, Json]) -> list[Question]:
    """All questions: of decisions those that procedures give somebody, and those that a rule names. ROUND is one of its own."""
    asked = {(d, role) for spec in procedures.values() for d, role in _decided(spec)}
    asked |= {(DECISIONS[q.asks[0].verb], q.role) for q in decisions(rbac)}
    decided = [decides(d, role) for d, role in sorted(asked, key=lambda each: (_ORDER.index(each[0]), each[1]))]
    return [*decided, *FIXED, release_namespace(rbac.here.namespace), Question(ROUND, ())]


def _decided(spec: Json) -> Iterator[tuple[Decision, str]]:
    approving = [r["role"] for r in (spec.get("approvals") or {}).get("roles") or []]
    for part, each in _PARTS.items():
        roles = approving if part == "approvals" else (spec.get(part) or {}).get("roles") or []
        yield from ((d, role) for role in roles for d in each)
    review = spec.get("access") or {}
    if review.get("reviewEvery"):
        yield from ((Decision.REVIEW_ACCESS, role) for role in review.get("reviewRoles") or approving)


def check(words: Sequence[str]) -> None:
    """Raises BadParameter for a word that is no question, nor the role of the decision before it."""
    for before, word in zip(("", *words), words, strict=False):
        if word not in FIXED_IDS and word not in DECISIONS and before not in DECISIONS:
            raise typer.BadParameter(f"{word!r} is no question: name one of {', '.join(QUESTIONS)}", param_hint="QUESTION")


def chosen(words: Sequence[str], known: Sequence[Question]) -> list[Question]:
    """The questions that the words name; all where there are none. A decision's role need not be known."""
    if not words:
        return list(known)
    found = list[Question]()
    for word, after in zip(words, (*words[1:], ""), strict=True):
        if word in FIXED_IDS:
            found += [q for q in known if q.id == word]
        elif word in DECISIONS:
            role = after if after and after not in DECISIONS and after not in FIXED_IDS else ""
            found += [decides(DECISIONS[word], role)] if role else [q for q in known if q.id.startswith(f"{word} ")] or [Question(word, ())]
    return found


def answered(connection: Connection, rbac: Rbac, questions: Iterable[Question]) -> list[Answers]:
    """Candidates from RBAC, answers from the API server. Raises CannotAsk."""
    candidates = [(q.id, _candidates(rbac, q)) for q in questions]
    real = set(map(_key, access.confirmed(connection, [g for _, each in candidates for g in each])))
    return [Answers(q, tuple(g for g in each if _key(g) in real), sum(_key(g) not in real for g in each)) for q, each in candidates]


def _candidates(rbac: Rbac, question: Question) -> list[Given]:
    """Nobody for a decision of which no role is known."""
    if question.id == ROUND:
        return round_the_gate(rbac)
    return reaching(rbac, question) if question.asks else []


def _key(given: Given) -> tuple[object, ...]:
    return given.subject, given.ask, given.names


def shown(answers: Answers, *, all_: bool) -> Answers:
    """Sorted, and without the control plane's own parts unless these are wanted."""
    kept = (g for g in answers.givens if all_ or not own(g))
    return Answers(answers.question, tuple(sorted(kept, key=lambda g: (g.way, g.subject))), answers.denied)


Limits = Mapping[str, Json]  # procedure -> its access.editors


def limited(deployments: Iterable[Json], procedures: Mapping[str, Json]) -> Limits:
    """The procedures that say who may edit, of those that apply to a deployment of the namespace."""
    applying = {p["name"] for d in deployments for p in (d.get("status") or {}).get("procedures") or []}
    found = {name: (procedures[name].get("access") or {}).get("editors") for name in sorted(applying & procedures.keys())}
    return {name: editors for name, editors in found.items() if editors is not None}


def compared(answers: Answers, limits: Limits) -> Answers:
    """Editors whom a procedure does not name are marked with it."""
    if answers.question not in (EDIT_WORKLOAD.id, EDIT_REGISTER.id):
        return answers
    outside = {g.subject: tuple(name for name, editors in limits.items() if not _named(g.subject, editors)) for g in answers.givens if not own(g)}
    return replace(answers, extra={who: names for who, names in outside.items() if names})


def _named(subject: Subject, editors: Json) -> bool:
    kind, name = ("groups", subject.name) if subject.kind == "Group" else ("users", subject.user)
    return name in (editors.get(kind) or [])


def rows(answers: Answers) -> Iterator[Json]:
    """The same for programs."""
    for given in answers.givens:
        binding = given.binding
        yield {
            "question": answers.question,
            "kind": given.subject.kind,
            "name": given.subject.name,
            "namespace": given.subject.namespace,
            "way": given.way or "direct",
            "binding": {"kind": binding.kind, "namespace": binding.namespace, "name": binding.name} if binding else None,
            "role": {"kind": binding.role[0], "name": binding.role[1]} if binding else None,
            "controlPlane": own(given),
            "notNamedBy": list(answers.extra.get(given.subject, ())),
        }


def lines(found: Sequence[Answers], namespace: str, *, width: int | None) -> Iterator[Line]:
    """A table for each question. Pure."""
    subject = max((len(str(g.subject)) for a in found for g in a.givens), default=0)
    way = max((len(ways) for a in found for _, ways, _ in _joined(a)), default=0)
    for answers in found:
        yield Line(f"{answers.question}  (namespace {namespace})", "bold")
        if answers.unheld:
            yield Line("  nobody" + (" has it; who can get it:" if answers.givens else ""), "yellow")
        for who, ways, by in _joined(answers):
            head = f"  {str(who).ljust(subject)}  " + (f"{ways.ljust(way)}  " if way else "")
            extra = answers.extra.get(who, ())
            tail = f"; not in access.editors of {', '.join(extra)}" if extra else ""
            yield from wrapped(by + tail, head, " " * len(head), width, "red" if extra else "yellow" if ways else "")
        if answers.denied:
            yield Line(f"  … {plural(answers.denied, 'candidate')} more, whom the API server does not let", "dim")
    yield from wrapped("a user is asked without groups, a group as a member of whom nothing else is known", "… ", "  ", width, "dim")


def _joined(answers: Answers) -> list[tuple[Subject, str, str]]:
    """Subject, ways and what gives them: ways by the same binding in one line."""
    found: dict[tuple[Subject, bool, str], list[str]] = {}
    for given in answers.givens:
        found.setdefault((given.subject, bool(given.way), given.by), []).append(given.way)
    return [(who, ", ".join(ways), by) for (who, _, by), ways in found.items()]
