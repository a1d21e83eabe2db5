"""The content of what pods read, by digest: ConfigMaps and resource claims, never Secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from aiqms.api.values import Json
from aiqms.cluster.caches import INPUTS, Caches
from aiqms.cluster.client import ApiError, Client, path
from aiqms.policy.digests import digest
from aiqms.policy.facts import ABSENT

_API = {plural: api_version for api_version, plural, _ in INPUTS}
_NOT_CONTENT = ("apiVersion", "kind", "metadata", "status")  # as policy `frozen` has it
SECRETS = "secrets/"
_MANY = 8  # that one list takes less than reading each
_PAGE = "50"  # objects, of 1.5 MiB at most


def content(raw: Json) -> str:
    """The digest of an object's content: all but identity, metadata and status; what is empty is absent."""
    return digest({k: v for k, v in raw.items() if k not in _NOT_CONTENT and v not in (None, {}, [])})


@dataclass
class InputReader:
    """Reads each version of an object once."""

    client: Client
    caches: Caches
    _known: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    async def prepare(self, namespace: str, refs: Iterable[str]) -> None:
        """Reads many at once, by a list of their namespace, where much of it is asked for: one by one they are most of a cold start."""
        for resource in _API:
            unknown = {ref.split("/", 1)[1] for ref in refs if ref.startswith(f"{resource}/") and self._is_unknown(namespace, ref)}
            if len(unknown) >= _MANY and 2 * len(unknown) >= sum(1 for _ in self.caches.inputs[resource].within(namespace)):
                await self._listed(namespace, resource, unknown)

    def _is_unknown(self, namespace: str, ref: str) -> bool:
        version = self.caches.inputs[ref.split("/", 1)[0]].get(namespace, ref.split("/", 1)[1])
        return version is not None and self._known.get((namespace, ref), ("",))[0] != version

    async def _listed(self, namespace: str, resource: str, names: Collection[str]) -> None:
        """What a list says of each, with the version of which it says so; one that the watch saw in another version is read by itself."""
        async for page in self.client.pages(path(_API[resource], resource, namespace), limit=_PAGE):
            for raw in page.get("items") or []:
                if raw["metadata"]["name"] in names:
                    self._known[(namespace, f"{resource}/{raw['metadata']['name']}")] = (raw["metadata"]["resourceVersion"], content(raw))

    async def digest(self, namespace: str, ref: str) -> str:
        """Of resource/name as the watch last saw it; ABSENT where there is no such object. Raises ApiError where it cannot be read."""
        resource, name = ref.split("/", 1)
        version = self.caches.inputs[resource].get(namespace, name)
        if version is None:
            self._known.pop((namespace, ref), None)
            return ABSENT
        known = self._known.get((namespace, ref))
        if known is None or known[0] != version:
            known = (version, await self.fresh(namespace, ref))
            self._known[(namespace, ref)] = known
        return known[1]

    async def fresh(self, namespace: str, ref: str) -> str:
        """Of resource/name as the API server has it now."""
        resource, name = ref.split("/", 1)
        try:
            return content(await self.client.get(path(_API[resource], resource, namespace, name)))
        except ApiError as error:
            if error.gone:
                return ABSENT
            raise
