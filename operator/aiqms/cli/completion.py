"""Shell completion of `kubectl qms`, as kubectl asks its plugins: kubectl runs kubectl_complete-qms from the PATH with the words so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from kubernetes import config as untyped_config
from kubernetes.config.config_exception import ConfigException

from aiqms.cli.connection import CannotAsk, Connection, connect
from aiqms.cli.reading import REGISTER, readable_items
from aiqms.cli.terminal import Output
from aiqms.cli.who_can import QUESTIONS

config: Any = untyped_config  # this part of the package has no types
HELP = """Prints the program by which kubectl completes `kubectl qms` at the Tab key: names, roles, namespaces and options.

Put it where kubectl finds it, beside kubectl-qms for instance:

kubectl qms completion > ~/.local/bin/kubectl_complete-qms && chmod +x ~/.local/bin/kubectl_complete-qms

It works wherever kubectl's own completion does (kubectl completion --help)."""
PROGRAM = '#!/bin/sh\nexec kubectl-qms __complete "$@"'
FILES, NO_FILES = ":0", ":4"  # what the shell may add of its own (cobra's ShellCompDirective, which kubectl passes on)


def command() -> None:
    typer.echo(PROGRAM)


@dataclass(frozen=True)
class Words:
    """The words so far. before: those that are whole; last: the one that is being written."""

    before: tuple[str, ...]
    last: str

    def value(self, *options: str) -> str | None:
        """What was given to an option."""
        pairs = zip(self.before, self.before[1:], strict=False)
        spaced = next((value for word, value in pairs if word in options), None)
        return spaced or next((word.partition("=")[2] for word in self.before if word.partition("=")[0] in options and "=" in word), None)


def answer(root: Any, arguments: Sequence[str]) -> Iterator[str]:
    """Each word that could come, with what it is, then whether the shell may add file names."""
    words = Words(tuple(arguments[:-1]), arguments[-1] if arguments else "")
    known = root.commands.get(words.before[0]) if words.before else None
    if known is None:
        if not words.before:
            yield from _matching(((name, c.short_help or _short(c.help)) for name, c in root.commands.items() if not c.hidden), words.last)
        yield NO_FILES
        return
    option = _option(known, words.before[-1])
    if option is not None:
        yield from _matching(_values(option, words), words.last)
        yield FILES if option.name in ("files", "values") else NO_FILES
    elif words.last.startswith("-"):
        yield from _matching(((o, _short(p.help)) for p in known.params for o in p.opts if o.startswith("--")), words.last)
        yield NO_FILES
    else:
        argument = next((p for p in known.params if p.param_type_name == "argument"), None)
        yield from _matching(_values(argument, words) if argument else (), words.last)
        yield NO_FILES


def _option(known: Any, word: str) -> Any:
    """The option that the word is, where a value has to follow."""
    return next((p for p in known.params if word in p.opts and p.param_type_name == "option" and not p.is_flag), None)


def _short(text: str | None) -> str:
    return (text or "").split("\n")[0].split(". ")[0]


def _matching(found: Iterable[tuple[str, str]], start: str) -> Iterator[str]:
    return (f"{word}\t{what}" if what else word for word, what in found if word.startswith(start))


def _values(param: Any, words: Words) -> list[tuple[str, str]]:
    """What an option or argument may be; nothing where the cluster does not say."""
    look = _LOOKS.get(param.name)
    if look is None:
        return []
    try:
        return look(words)
    except (CannotAsk, ConfigException):
        return []  # completion says nothing where it knows nothing


def _asked(words: Words) -> Connection:
    return connect(context=words.value("--context"), namespace=words.value("-n", "--namespace"))


def _named(plural: str, words: Words, what: Callable[[Any], str]) -> list[tuple[str, str]]:
    connection = _asked(words)
    found = readable_items(connection, f"{REGISTER}/namespaces/{connection.namespace}/{plural}") or []
    return [(o["metadata"]["name"], what(o)) for o in found]


def _deployments(words: Words) -> list[tuple[str, str]]:
    return _named("aimodeldeployments", words, lambda o: (o.get("status") or {}).get("phase", ""))


def _records(words: Words) -> list[tuple[str, str]]:
    return _named("approvalrecords", words, lambda o: f"{o['spec']['decision']} by {(o['spec'].get('approver') or {}).get('username', '')}")


def _either(words: Words) -> list[tuple[str, str]]:
    return [*_deployments(words), *((f"apr/{name}", what) for name, what in _records(words))] if words.before[0] == "withdraw" else _deployments(words)


def _roles(words: Words) -> list[tuple[str, str]]:
    connection = _asked(words)
    found = readable_items(connection, f"{REGISTER}/namespaces/{connection.namespace}/aimodeldeployments") or []
    return sorted({(a["role"], "") for o in found for a in (o.get("status") or {}).get("approvals") or []})


def _namespaces(words: Words) -> list[tuple[str, str]]:
    found = readable_items(_asked(words), "/api/v1/namespaces") or []
    return [(o["metadata"]["name"], "") for o in found]


def _contexts(_: Words) -> list[tuple[str, str]]:
    return [(c["name"], "") for c in config.list_kube_config_contexts()[0]]


_LOOKS: dict[str, Callable[[Words], list[tuple[str, str]]]] = {
    "name": _deployments,
    "what": _either,
    "record": _records,
    "role": _roles,
    "namespace": _namespaces,
    "context": _contexts,
    "questions": lambda _: [(q, "") for q in QUESTIONS],
    "output": lambda _: [(o.value, "") for o in Output],
}
