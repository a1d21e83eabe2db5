"""Digests of plain values, the same in every program that follows RFC 8785."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785

_EXACT = 2**53 - 1  # RFC 8785 numbers are IEEE doubles; a larger integer is written as a map with a key that no field, label or annotation can have
_SORTED = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """SHA-256 of the RFC 8785 canonical JSON of plain values, as `sha256:` and 64 hex digits."""
    return hashed(canonical(value))


def hashed(text: bytes) -> str:
    """SHA-256 of bytes, as `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(text).hexdigest()


def canonical(value: object) -> bytes:
    """RFC 8785, by the json module where that writes the same, for it is ten times as fast: all keys are ASCII, so that both sort them alike; no fractions."""
    if _plain(value):
        text = _SORTED.encode(value)
        if text.isascii():
            return text.encode()
    return rfc8785.dumps(_exact(value))


def _plain(value: object) -> bool:
    """Whether it is made of what the json module and RFC 8785 write alike."""
    if isinstance(value, str) or value is None or value is True or value is False:
        return True
    if isinstance(value, dict):
        return all(isinstance(k, str) for k in value) and all(map(_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return type(value) is int and abs(value) <= _EXACT


def _exact(value: Any) -> Any:
    match value:
        case Mapping():
            return {k: _exact(v) for k, v in value.items()}
        case list() | tuple():
            return [_exact(v) for v in value]
        case bool():
            return value
        case int() if abs(value) > _EXACT:
            return {"~integer": str(value)}
    return value
