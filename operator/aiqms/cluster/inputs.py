"""The content of what pods read, by digest: ConfigMaps and resource claims, never Secrets."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiqms.api.values import Json
from aiqms.cluster.caches import INPUTS, Caches
from aiqms.cluster.client import ApiError, Client, path
from aiqms.policy.facts import ABSENT
from aiqms.policy.subject import digest

_API = {plural: api_version for api_version, plural, _ in INPUTS}
_NOT_CONTENT = ("apiVersion", "kind", "metadata", "status")  # as policy `frozen` has it
SECRETS = "secrets/"


def content(raw: Json) -> str:
    """The digest of an object's content: all but identity, metadata and status; what is empty is absent."""
    return digest({k: v for k, v in raw.items() if k not in _NOT_CONTENT and v not in (None, {}, [])})


@dataclass
class InputReader:
    """Reads each version of an object once."""

    client: Client
    caches: Caches
    _known: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

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
