"""What changed between two pod templates, as a person would say it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from aiqms.api.values import Json

AT_MOST: Final = 10  # lines
WIDTH: Final = 80  # characters of a value
IDENTITY: Final = ("name", "mountPath", "devicePath", "containerPort", "key", "path", "ip")  # what may tell the items of a list apart: the first that does
# Status and events reach more people than the pod does: values of such env and arguments are not shown. Words like max-tokens and tokenizer are no secrets.
SENSITIVE: Final = re.compile(r"(?i)(secret|passw|credential|api-?key|(?<![a-z])(token|key)(?![a-z]))")
ENV_VALUE: Final = re.compile(r"\.env\[[^\]]*\]\.value$")
HIDDEN: Final = "(not shown)"
WORD: Final = re.compile(r"[^\s\"]+")


def differences(approved: Json, wanted: Json, *, at_most: int = AT_MOST) -> list[str]:
    """Lines such as `containers[main].image: a:1 -> a:2`, from the approved template to the wanted one; none where both are equal.

    Both are templates of `normal.template`. Long values are shortened, those of keys, tokens and passwords not shown; after `at_most` lines: `and N more`.
    """
    lines = [f"{path}: {change}" for path, change in changes(readable(approved), readable(wanted), "")]
    more = len(lines) - at_most
    return [*lines[:at_most], f"and {more} more"] if more > 0 else lines


def readable(template: Json) -> Json:
    """The template in the fields of a pod that a person knows."""
    pod = template["pod"]
    named = {kind: [container(c) for c in pod[kind]] for kind in ("containers", "initContainers")}
    return {
        **pod["fields"],
        **named,
        "volumes": list(map(volume, pod["volumes"].items())),
        "annotations": template["annotations"],
        "labels": template["labels"],
    }


def container(normal: Json) -> Json:
    resources = {name: value for name, value in (("limits", normal["devices"]), ("claims", normal["claims"])) if value}
    apart = (("volumeMounts", normal["mounts"]), ("resources", resources))
    return {**normal["fields"], **{name: value for name, value in apart if value}}


def volume(item: tuple[str, Json]) -> Json:
    return {"name": item[0], **item[1]}


def changes(before: Any, after: Any, path: str) -> Iterator[tuple[str, str]]:
    """Path and change of everything that differs."""
    if before == after:
        return
    match before, after:
        case dict(), dict():
            yield from in_fields(before, after, path)
        case list(), list():
            yield from in_list(before, after, path)
        case _:
            yield path, f"{shown(before, path)} -> {shown(after, path)}"


def in_fields(before: Json, after: Json, path: str) -> Iterator[tuple[str, str]]:
    for key in sorted(before.keys() | after.keys()):
        yield from in_item(before.get(key), after.get(key), step(path, key))


def in_item(before: Any, after: Any, path: str) -> Iterator[tuple[str, str]]:
    if before is None and after is not None:
        yield path, f"added {shown(after, path)}"
    elif after is None and before is not None:
        yield path, f"removed {shown(before, path)}"
    else:
        yield from changes(before, after, path)


def in_list(before: Sequence[Any], after: Sequence[Any], path: str) -> Iterator[tuple[str, str]]:
    identity = next((key for key in IDENTITY if tells_apart(key, before) and tells_apart(key, after)), None)
    if identity is None:
        yield from in_sequence(before, after, path)
        return
    old, new = ({str(one[identity]): one for one in items} for items in (before, after))
    for name in [*old, *(n for n in new if n not in old)]:
        yield from in_item(old.get(name), new.get(name), f"{path}[{name}]")
    if [n for n in old if n in new] != [n for n in new if n in old]:
        yield path, f"order {', '.join(old)} -> {', '.join(new)}"


def tells_apart(key: str, items: Sequence[Any]) -> bool:
    """Whether every item has another value of the key."""
    return all(isinstance(one, dict) and key in one for one in items) and len({str(one[key]) for one in items}) == len(items)


def in_sequence(before: Sequence[Any], after: Sequence[Any], path: str) -> Iterator[tuple[str, str]]:
    """Items without a name: what was put in or taken out does not make all that follow it look changed. Places are those of the wanted list."""
    old, new = list(map(written, before)), list(map(written, after))
    for i, end_i, j, end_j in (op[1:] for op in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if op[0] != "equal"):
        both = min(end_i - i, end_j - j)
        for offset in range(both):
            yield from in_place(before, i + offset, after, j + offset, f"{path}[{j + offset}]")
        for place in range(i + both, end_i):
            yield f"{path}[{j + both}]", f"removed {item(before, place)}"
        for place in range(j + both, end_j):
            yield f"{path}[{place}]", f"added {item(after, place)}"


def in_place(before: Sequence[Any], i: int, after: Sequence[Any], j: int, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(before[i], dict) and isinstance(after[j], dict):
        yield from changes(before[i], after[j], path)
    else:
        yield path, f"{item(before, i)} -> {item(after, j)}"


def step(path: str, key: str) -> str:
    """Keys that are somebody's own names (of annotations, of devices) stand in brackets."""
    own = path in ("annotations", "labels") or path.endswith("resources.limits")
    return f"{path}[{key}]" if own else f"{path}.{key}" if path else key


def shown(value: Any, path: str) -> str:
    """A value, short and on one line; a single word stands bare."""
    if ENV_VALUE.search(path) and SENSITIVE.search(path):
        return HIDDEN
    bare = isinstance(value, str) and WORD.fullmatch(value)
    return short(value if bare else written(safe(value)))


def item(items: Sequence[Any], place: int) -> str:
    """An item of a list, quoted, for its spaces and dashes count."""
    return HIDDEN if is_secret(items, place) else short(written(safe(items[place])))


def is_secret(items: Sequence[Any], place: int) -> bool:
    """Whether an argument may hold a secret: --api-key=x, or what follows a bare --api-key."""
    one, previous = items[place], items[place - 1] if place else None
    return isinstance(one, str) and (("=" in one and SENSITIVE.search(one) is not None) or is_bare_flag(previous))


def is_bare_flag(argument: object) -> bool:
    return isinstance(argument, str) and argument.startswith("-") and "=" not in argument and SENSITIVE.search(argument) is not None


def safe(value: Any) -> Any:
    """The value without what may be a secret that somebody wrote into the pod."""
    if isinstance(value, dict):
        name = str(value.get("name", ""))
        return {k: HIDDEN if k == "value" and SENSITIVE.search(name) else safe(v) for k, v in value.items()}
    if isinstance(value, list):
        return [HIDDEN if is_secret(value, place) else safe(one) for place, one in enumerate(value)]
    return value


def written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
