"""Random resources, drawn from the CRDs' schemas: most of them right, some with one thing wrong. The same seed gives the same resource."""

from __future__ import annotations

from random import Random
from typing import Any

from aiqms.api import crds
from aiqms.api.values import Json

WRONG_TYPES: tuple[object, ...] = ([], {}, "words")  # none that pydantic would read as the right one
# For each pattern of the schema what fits it, and what nearly does.
TOO_MANY = 600  # a request has a limit too, which comes first
DIGEST = f"sha256:{'0f' * 32}"
STRINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ")*/)?[A-Za-z0-9]": (
        ("app", "A", "k8s-app_1.2", "aiqms.dev/model", "a.b-c.d/E", "x" * 63, "d" * 200 + "/x"),
        ("", "-a", "a-", "a/", "/a", "a/b/c", "A/b", "a..b/c", "a b", "ü", "x" * 64),
    ),
    "[-A-Za-z0-9_.]{0,61}": (("", "a", "Prod-1_2.x", "x" * 63), ("-a", "a.", "a/b", "a b", "ü", "a\n", "x" * 64)),
    "sha256": ((DIGEST,), (DIGEST[:-1], DIGEST + "0", DIGEST.upper(), "sha512:" + DIGEST[7:], DIGEST[7:], DIGEST + "\n", "")),
    "(d|h|m|s)": (("1s", "90d", "12h", "99999m"), ("0d", "-1d", "90", "90 d", "1.5h", "1w", "100000s", "d", "", "90d\n")),
    "T([01]": (
        ("2027-01-31T00:00:00Z", "2027-01-31T12:00:00.123456789+01:00", "9999-12-31T23:59:59Z", "1000-01-01T00:00:00-23:59", "2028-02-29T00:00:00Z"),
        ("2027-13-01T00:00:00Z", "2027-02-30T00:00:00Z", "2027-02-29T00:00:00Z", "2027-01-31T24:00:00Z", "0000-01-01T00:00:00Z", "tomorrow", ""),
    ),
    "[-a-z0-9.]": (("a", "credit-scoring", "v1.2"), ("", "-a", "a-", "A", "a_b", "a b", ".a", "a\n")),
    "[-a-z0-9]": (("a", "risk-manager"), ("", "-a", "a-", "A", "a.b", "a_b", "a\n")),
    "[!-~]": (("https://qms.example/SOP-017", "oci://registry.example/m", "s3:x"), ("qms.example/SOP", "HTTPS://x", "https:// x", "https:", "", "oci://ü")),
    "In|NotIn": (("In", "Exists"), ("Is", "", "in")),
    "[a-z0-9.-]": (("eu-ai-act", "iso-42001"), ("", "EU", "-a", "a b")),
    "[A-Za-z]*": (("", "Counted"), ("Two words", "Ärger", "A-b")),
}


class Sample:
    """One resource. wrong: how many of its parts have something wrong, on average."""

    def __init__(self, seed: int, *, wrong: float) -> None:
        self._random, self._wrong = Random(seed), wrong

    def of(self, schema: Json) -> Any:
        """A value for a schema."""
        make = self._bad if self._random.random() < self._wrong else self._good
        return make(schema)

    def _good(self, schema: Json) -> Any:
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        match schema["type"]:
            case "object":
                return self._object(schema)
            case "array":
                return self._array(schema)
            case "integer":
                return self._random.choice((schema["minimum"], schema["maximum"], self._random.randint(schema["minimum"], schema["maximum"])))
            case "boolean":
                return self._random.random() < 0.5
            case _:
                return self._string(schema, which=0)

    def _bad(self, schema: Json) -> Any:
        """Beyond a bound, of another form, or of another type altogether."""
        other_type = [value for value in WRONG_TYPES if not _fits(value, schema)]
        return self._random.choice(other_type) if self._random.random() < 0.2 else self._near(schema)

    def _near(self, schema: Json) -> Any:
        match schema:
            case {"enum": [first, *_]}:
                return self._random.choice(("Other", "", str(first).lower()))
            case {"type": "integer"}:
                return self._random.choice((schema["minimum"] - 1, schema["maximum"] + 1))
            case {"type": "array"}:
                return [self._good(schema["items"])] * (schema["maxItems"] + 1) if schema["maxItems"] < TOO_MANY else "words"
            case {"type": "object"}:
                return self._object(schema) | {"unknown": "x"} if "properties" in schema else self._too_many(schema)
            case _:
                return "perhaps" if schema["type"] == "boolean" else self._string(schema, which=1)

    def _too_many(self, schema: Json) -> Json | str:
        if not _is_map(schema) or schema["maxProperties"] > TOO_MANY:
            return "words"
        return {f"key-{number}": self._good(schema["additionalProperties"]) for number in range(schema["maxProperties"] + 1)}

    def _string(self, schema: Json, *, which: int) -> str:
        found = next((pair[which] for part, pair in STRINGS.items() if part in schema.get("pattern", "")), ())
        least, most = schema.get("minLength", 0), schema["maxLength"]
        bounds = ("x" * (most + 1), *(("",) if least else ())) if which else ("x" * max(least, 1), "ü" * most, "two words")
        return str(self._random.choice((*found, *bounds[:1]) if which else found or bounds))

    def _object(self, schema: Json) -> Json:
        if _is_map(schema):
            return {f"key-{number}": self.of(schema["additionalProperties"]) for number in range(self._random.randint(0, 2))}
        required = schema.get("required", ())
        chosen = [key for key in schema.get("properties", {}) if (key in required and self._random.random() >= self._wrong / 2) or self._random.random() < 0.6]
        return {key: self.of(schema["properties"][key]) for key in chosen}

    def _array(self, schema: Json) -> list[Any]:
        least = schema.get("minItems", 0)
        keys = [] if schema.get("x-kubernetes-list-type") == "set" else schema.get("x-kubernetes-list-map-keys")
        return distinct([self.of(schema["items"]) for _ in range(self._random.randint(least, least + 2))], keys)


def _is_map(schema: Json) -> bool:
    return "additionalProperties" in schema


def _fits(value: object, schema: Json) -> bool:
    return isinstance(value, {"array": list, "object": dict, "string": str}.get(schema["type"], int))


def distinct(items: list[Any], keys: list[str] | None) -> list[Any]:
    """Of a list that is a map, one item for each key, and of a set (no keys) each once: the API server refuses twins, and the models do not look for them."""
    if keys is None:
        return items
    return list({str([item.get(key) for key in keys]) if isinstance(item, dict) else str(item): item for item in items}.values())


def schema_of(kind: crds.Kind, part: str) -> Json:
    """The schema of spec or status, as the CRD has it."""
    found: Json = crds.crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    return found
