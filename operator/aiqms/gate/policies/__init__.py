"""The admission policies, in the order in which the documentation explains them. One file of the chart each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiqms.gate.policies.advise import advise
from aiqms.gate.policies.clearance import cleared, hold, label, steady
from aiqms.gate.policies.guards import binding, clearances, frozen, governed, interactive
from aiqms.gate.policies.people import authentic, authors, edited, records, stamp, stopped
from aiqms.gate.policies.unregistered import elsewhere, registered, registered_env
from aiqms.gate.policy import Policy

FILES: Final[dict[str, tuple[Callable[[], Policy], ...]]] = {
    "10-registered": (registered, registered_env),
    "11-elsewhere": (elsewhere,),
    "12-label": (label,),
    "13-advise": (advise,),
    "20-hold": (hold,),
    "21-cleared": (cleared,),
    "22-steady": (steady,),
    "30-binding": (binding,),
    "31-interactive": (interactive,),
    "32-clearances": (clearances,),
    "33-frozen": (frozen,),
    "34-governed": (governed,),
    "40-authentic": (stamp, authentic),
    "41-records": (records,),
    "42-stopped": (stopped,),
    "43-edited": (authors, edited),
}
