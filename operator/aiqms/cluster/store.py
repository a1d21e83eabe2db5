"""What the operator knows of a kind: the newest seen version of each object, and a word to whoever cares when it changes."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from aiqms.api.values import Json

T = TypeVar("T")
Key = tuple[str, str]  # namespace (empty for cluster-wide kinds) and name


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """One object as it is kept: version is its resourceVersion, which the API server lets compare (Kubernetes 1.35)."""

    uid: str
    version: int
    value: T


class Store(Generic[T]):
    """Objects by namespace and name. keep: what is kept of an object; changed: told (namespace, name) when that differs from before."""

    def __init__(self, keep: Callable[[Json], T], changed: Callable[[str, str], None]) -> None:
        self._keep, self._changed = keep, changed
        self._objects: dict[str, dict[str, Held[T]]] = {}

    def get(self, namespace: str, name: str) -> T | None:
        """What is kept of one object."""
        found = self._objects.get(namespace, {}).get(name)
        return found.value if found else None

    def within(self, namespace: str) -> Iterator[tuple[str, T]]:
        """Name and value of each object of a namespace."""
        return ((name, held.value) for name, held in self._objects.get(namespace, {}).items())

    def namespaces(self) -> list[str]:
        """Namespaces that have at least one object."""
        return [ns for ns, objects in self._objects.items() if objects]

    def uids(self) -> dict[Key, str]:
        """The uid of every object."""
        return {(ns, name): held.uid for ns, objects in self._objects.items() for name, held in objects.items()}

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))

    def event(self, kind: str, raw: Json) -> None:
        """One watch event: ADDED, MODIFIED or DELETED (or empty, for an object that was listed)."""
        if kind == "DELETED":
            self.drop(key_of(raw), uid=raw["metadata"]["uid"])
        else:
            self.put(raw)

    def put(self, raw: Json) -> None:
        """Keeps the object unless a newer version is known."""
        (namespace, name), metadata = key_of(raw), raw["metadata"]
        before = self._objects.get(namespace, {}).get(name)
        version = int(metadata["resourceVersion"])
        if before and before.uid == metadata["uid"] and before.version >= version:
            return
        held = Held(metadata["uid"], version, self._keep(raw))
        self._objects.setdefault(namespace, {})[name] = held
        if before is None or before.uid != held.uid or before.value != held.value:
            self._changed(namespace, name)

    def wrote(self, raw: Json) -> None:
        """Our own write, as the API server answered it: seen at once, so that nothing is decided on what it replaced. One that is gone meanwhile stays gone."""
        namespace, name = key_of(raw)
        before = self._objects.get(namespace, {}).get(name)
        if before and before.uid == raw["metadata"]["uid"]:
            self.put(raw)

    def drop(self, key: Key, *, uid: str) -> None:
        """Forgets the object, unless another one took its name."""
        before = self._objects.get(key[0], {}).get(key[1])
        if before and before.uid == uid:
            del self._objects[key[0]][key[1]]
            self._changed(*key)

    def shed(self, namespace: str) -> None:
        """What was read of the texts of a namespace's values goes, until it is asked for again: they are replaced by equal ones of which nothing was read."""
        objects = self._objects.get(namespace, {})
        for name, held in objects.items():
            value: Any = held.value
            objects[name] = replace(held, value=replace(value))

    def keep_only(self, listed: Container[Key]) -> None:
        """A whole list was put: what it lacks is gone."""
        for key, uid in self.uids().items():
            if key not in listed:
                self.drop(key, uid=uid)


def key_of(raw: Json) -> Key:
    """Of an object as the API server sends it."""
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]
