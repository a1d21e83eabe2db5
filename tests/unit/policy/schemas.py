"""Whatever the schemas let through, as Hypothesis strategies: drawn from the CRDs' own schemas, with names from small pools so that the parts meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st
from pydantic import BaseModel

from aiqms.api import crds
from aiqms.api.values import Json
from tests.unit.policy.given import HEX

M = TypeVar("M", bound=BaseModel)
Values = st.SearchStrategy[Any]

ROLES = ("model-owner", "risk-manager", "r" * 63)
NAMES = ("r0", "r1", "r2", "r3", "n" * 253)
STREAMS = ("inference", "s" * 63)
DURATIONS = ("1s", "60s", "1h", "12h", "30d", "184d", "99999s", "99999d")
MOMENTS = (
    "1000-01-01T00:00:00+23:59", "1000-01-01T00:00:00-23:59", "2026-12-31T23:59:59.999999999Z", "2027-01-05T00:00:00Z", "2027-01-20T00:00:00.000000001+23:59",
    "2027-02-28T12:00:00-11:30", "2028-02-29T00:00:00Z", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "9999-12-31T23:59:59Z",
)  # fmt: skip
ODD = ("", "a", "\u202egnidnel", "\x00\x1b[2J", "\U0001f9e8" * 3, "a\nb", "{}{0}%s`x`", "mоdel-owner", "*", " ")
LONG = ("\U0001f9e8", "x", "\n")
# Strings that a pattern bounds, by a part of the pattern: some that fit it, its bounds among them.
FITTING: Mapping[str, tuple[str, ...]] = {
    "sha256": tuple(HEX[letter] for letter in "1256cd"),
    "(d|h|m|s)": DURATIONS,
    "T([01]": MOMENTS,
    "^https?://": ("https://logs.bank.example:9428", "http://a", "https://logs.bank.example:99999/..", "http://169.254.169.254/latest", "https://x.localhost"),
    "[0-9]{1,3}$": ("10.0.0.0/8", "::/0", "999.1.2.3/99", ":/0", "fe80::1/128", "....../999"),
    "[!-~]+$": ("oci://bank.example/m", "s3:*", "x:" + "*" * 100, "a:\\E(", "x-y+z.0:~"),
    "^[{]": ('{app="x"}', "{}", "{" + "}" * 400),
    "[ -~]+$": ("*", "a:b | c", "`"),
    "14d|": ("", "14d", "7d", "1d"),
    "In|NotIn": ("In", "NotIn", "Exists", "DoesNotExist"),
    "[-a-z0-9.]": NAMES,
    "[-a-z0-9]*[a-z0-9]": ("credit-scoring", "lending", "a", "n" * 63),
}
# By the name of the field that holds them, so that a record is about what there is.
MEETING: Mapping[str, tuple[str, ...]] = {
    "role": ROLES, "roles": ROLES, "reviewRoles": ROLES, "stopRoles": ROLES, "emergencyRoles": ROLES, "stream": STREAMS, "withdraws": NAMES, "reviews": NAMES,
    "procedure": ("p", "q", "n" * 253), "username": ("alice", "bob", "аlice", "\U0001f9d1" * 1024),
    "editors": ("alice", "bob", "system:serviceaccount:ci:ci", ""),
}  # fmt: skip


def of(model: type[M]) -> st.SearchStrategy[M]:
    """Instances of a resource's model, as they are read from the API server."""
    return _schema(model).map(_ruled).map(model.model_validate)


@cache
def _schema(model: type[BaseModel]) -> Values:
    return values(crds.structural(model))


def values(schema: Json, name: str = "") -> Values:
    """Values for a schema of a CRD. name: of the field that holds them."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    make: Mapping[str, Callable[[Json, str], Values]] = {"object": _objects, "array": _arrays, "integer": _integers, "boolean": _booleans}
    return make.get(schema["type"], _strings)(schema, name)


def _objects(schema: Json, name: str) -> Values:
    if "additionalProperties" in schema:
        inner = values(schema["additionalProperties"], name)
        return st.dictionaries(st.sampled_from(["a", "model", "aiqms.dev/deployment", "configmaps/a"]), inner, max_size=min(schema.get("maxProperties", 2), 2))
    if "properties" not in schema:
        return st.sampled_from([{}, {"pod": {}}])  # x-kubernetes-preserve-unknown-fields
    each = {key: values(below, key) for key, below in schema["properties"].items()}
    required = schema.get("required", ())
    return st.fixed_dictionaries({k: v for k, v in each.items() if k in required}, optional={k: v for k, v in each.items() if k not in required})


def _arrays(schema: Json, name: str) -> Values:
    least, items = schema.get("minItems", 0), values(schema["items"], name)
    keys = schema.get("x-kubernetes-list-map-keys")
    distinct = bool(keys) or schema.get("x-kubernetes-list-type") == "set"
    by = (lambda item: str([item.get(k) for k in keys]) if keys else str(item)) if distinct else None
    return st.lists(items, min_size=least, max_size=min(max(least + 1, 2), schema["maxItems"]), unique_by=by)


def _integers(schema: Json, _: str) -> Values:
    least, most = schema["minimum"], schema["maximum"]
    return st.sampled_from([least, min(least + 1, most), most])


def _booleans(_: Json, __: str) -> Values:
    return st.booleans()


def _strings(schema: Json, name: str) -> Values:
    least, most, pattern = schema.get("minLength", 0), schema["maxLength"], schema.get("pattern", "")
    found = MEETING.get(name) or next((fit for part, fit in FITTING.items() if part in pattern), None)
    plain = (*ODD, *(letter * most for letter in LONG)) if not pattern else ("abc", "a" * most)
    return st.sampled_from([text for text in found or plain if least <= len(text) <= most])


def _ruled(value: Any) -> Any:
    """A sink is of one kind alone, which a rule of the CRD says, and the model too."""
    if isinstance(value, list):
        return [_ruled(each) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("sink"), dict):
        kinds = sorted(value["sink"]) or ["persistentVolumeClaim"]
        value = value | {"sink": {kinds[0]: value["sink"].get(kinds[0], {"claimName": "logs"})}}
    return {key: _ruled(each) for key, each in value.items()}
