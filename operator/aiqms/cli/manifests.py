"""Manifests from files, folders and standard input, each object with the place that it was read from."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
import yaml

from aiqms.api.values import Json, duration

STDIN = Path("-")
SUFFIXES = (".yaml", ".yml", ".json")
_TO_RENDER = {  # files that say how a folder's manifests are made, and what makes them
    "kustomization.yaml": "kubectl kustomize {}",
    "kustomization.yml": "kubectl kustomize {}",
    "Kustomization": "kubectl kustomize {}",
    "Chart.yaml": "helm template {}",
}
_AS_STRINGS = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")  # what YAML 1.1 makes of dates and of =, and kubectl does not
Step = str | int


class OfflineError(Exception):
    """The manifests do not tell: what is missing or wrong, in which object, and what to give."""


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag not in _AS_STRINGS] for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, eq=False)
class Manifest:
    """An object and where it stands. file: as it was given, `stdin` for standard input; source: the template that Helm says it came from."""

    obj: Json
    file: str
    node: yaml.Node
    source: str = ""

    @property
    def kind(self) -> str:
        return str(self.obj["kind"])

    @property
    def name(self) -> str:
        """Its name, or the one that the API server will begin with."""
        return str(self.obj["metadata"].get("name") or self.obj["metadata"].get("generateName"))

    def line(self, *path: Step) -> int:
        """The line of a field, or of the nearest one around it that is there; the first line is 1."""
        at, node = self.node.start_mark.line, self.node
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            at, node = found
        return at + 1


@dataclass(frozen=True)
class Sources:
    """Manifests in the order in which they were given, and the namespace of those that name none."""

    all: Sequence[Manifest]
    namespace: str = "default"

    def identity(self, manifest: Manifest) -> tuple[str, str, str, str]:
        """What tells objects apart: API group, kind, namespace and name; one that the API server names is like no other."""
        group = str(manifest.obj.get("apiVersion")).rpartition("/")[0]
        name = manifest.obj["metadata"].get("name") or f"{manifest.file}:{manifest.line()}"
        return group, manifest.kind, self.place(manifest.obj), str(name)

    def applied(self) -> Sources:
        """Each object once: of one that is given twice, the last, as apply would leave it."""
        return replace(self, all=list({self.identity(m): m for m in self.all}.values()))

    @property
    def objects(self) -> list[Json]:
        """What was given, without where."""
        return [m.obj for m in self.all]

    def place(self, obj: Json) -> str:
        """The object's namespace."""
        return str(obj["metadata"].get("namespace") or self.namespace)

    def of_kind(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        return [m for m in self.all if m.kind == kind]


def read(paths: Iterable[Path], *, namespace: str = "default") -> Sources:
    """Every object of the files, of the manifests in the folders, and of standard input for `-`. Raises OfflineError, naming file and line."""
    return Sources([m for path in paths for name, text in _texts(path) for m in _manifests(name, text)], namespace)


def duration_text(value: str) -> str:
    """An option's value that is a duration. Raises BadParameter."""
    try:
        duration(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return value


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if path == STDIN:
        yield "stdin", sys.stdin.read()
        return
    for file in _files(path):
        try:
            yield str(file), file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise OfflineError(f"{file}: {error}") from error


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise OfflineError(f"{path} does not exist: give files or folders of manifests, or - for standard input")
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if file.name in _TO_RENDER:
            raise OfflineError(f"{file} says that these manifests are to be rendered: {_TO_RENDER[file.name].format(file.parent)} | kubectl qms … -f -")
    return [p for p in files if p.suffix in SUFFIXES]


def _manifests(file: str, text: str) -> Iterator[Manifest]:
    for obj, node in _documents(file, text):
        source = _source(text, node.start_mark.line) if file == "stdin" else ""
        for item, at in _items(obj, node):
            if not _is_object(item):
                raise OfflineError(f"{file}:{at.start_mark.line + 1}: an object lacks kind or metadata.name: {str(item)[:100]}")
            yield Manifest(item, file, at, source)


def _documents(file: str, text: str) -> Iterator[tuple[Any, yaml.Node]]:
    """Lazily, so that what is wrong in a late document is said with its line."""
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None and (obj := loader.construct_document(node)):
                yield obj, node
    except yaml.MarkedYAMLError as error:
        raise OfflineError(_bad_yaml(file, text, error)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise OfflineError(f"{file}: {error}") from error


def _bad_yaml(file: str, text: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    hint = ": it is a template, render it first, as in helm template CHART | kubectl qms … -f -" if "{{" in text else ""
    return f"{file}:{mark.line + 1 if mark else 1}: no YAML ({error.problem or error.context}){hint}"


def _items(obj: Any, node: yaml.Node) -> list[tuple[Any, yaml.Node]]:
    """The objects of a List, or the object itself."""
    if not isinstance(obj, dict) or obj.get("kind") != "List":
        return [(obj, node)]
    below = _child(node, "items")
    if below is None or not isinstance(below[1], yaml.SequenceNode):
        return []
    return list(zip(obj["items"], below[1].value, strict=True))


def _is_object(item: Any) -> bool:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    return isinstance(metadata, dict) and isinstance(item.get("kind"), str) and bool(metadata.get("name") or metadata.get("generateName"))


def _source(text: str, line: int) -> str:
    """Helm writes the template's path above each object."""
    for written in reversed(text.splitlines()[:line]):
        if written.startswith("# Source: "):
            return written.removeprefix("# Source: ").strip()
        if written.startswith("---"):
            return ""
    return ""


def _child(node: yaml.Node, step: Step) -> tuple[int, yaml.Node] | None:
    """A field or item below: the line on which it begins, and its node."""
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item: yaml.Node = node.value[step]
        return item.start_mark.line, item
    return None
