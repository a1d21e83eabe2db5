"""Patterns of a procedure. `*` stands for any run of characters, none included: in a path for slashes too, before it for part of a host's name alone."""

from __future__ import annotations

import re

EVERYTHING = "*"
_NAME = r"A-Za-z0-9._~\-"  # what a star stands for before the path: no slash, no port and no user
_URI = re.compile("((?:[^/?#]*://)?[^/?#]*)(.*)", re.DOTALL)  # scheme and authority; what follows (RFC 3986, 3)
_PLAIN = re.compile(rf"[a-z][a-z0-9+.-]*:(?://(?:[{_NAME}]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?|[{_NAME}:]*)")
_REFERENCE = re.compile(  # as github.com/distribution/reference has it: no user before the host, no dots for folders
    r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    "(?:@[A-Za-z][A-Za-z0-9+._-]*:[0-9A-Fa-f]{32,})?"
)


def uri_matches(pattern: str, uri: str) -> bool:
    """Whether the whole URI is of that form. One whose host programs may read differently never is: a user before it may look like a host.

    Letters are compared as they stand: a host in other letters is the same to DNS, and no match here.
    """
    return plain(uri) and _matches(pattern, _uri_parts(pattern), _uri_parts(uri))


def plain(uri: str) -> bool:
    """Whether scheme, name or address, and port are all that stands before the path, so that every program finds the same host."""
    return bool(_PLAIN.fullmatch(_uri_parts(uri)[0]))


def image_matches(pattern: str, reference: str) -> bool:
    """Whether an image's reference, its registry written out, is of that form."""
    return is_reference(reference) and _matches(pattern, _image_parts(pattern), _image_parts(reference))


def is_reference(text: str) -> bool:
    """Whether a container runtime takes it for an image's reference, its registry written out."""
    return bool(_REFERENCE.fullmatch(text))


def _matches(pattern: str, of: tuple[str, str], text: tuple[str, str]) -> bool:
    return pattern == EVERYTHING or (_head_matches(of[0], text[0]) and matches(of[1], text[1]))


def _uri_parts(uri: str) -> tuple[str, str]:
    found = _URI.fullmatch(uri)
    return (found[1], found[2]) if found else (uri, "")


def _image_parts(reference: str) -> tuple[str, str]:
    registry, slash, path = reference.partition("/")
    return registry, slash + path


def _head_matches(pattern: str, head: str) -> bool:
    """A star stands for no separator, so that both have the same ones, and what lies between them is compared piece by piece."""
    pieces, texts = re.split(f"([^*{_NAME}])", pattern), re.split(f"([^{_NAME}])", head)
    return len(pieces) == len(texts) and all(map(matches, pieces, texts))


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text is of that form, wherever a star may stand. Every other character stands for itself.

    Each part between two stars is looked for once, at the earliest place behind the part before it, which never spoils a later one: so the time grows
    with the length of the text alone, where a regular expression with as many `.*` would try every way to divide it.
    """
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *inner, last = others
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in inner:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
