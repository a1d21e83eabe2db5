"""A long outage: whoever waited for the API server through it is back soon after it, however long it was."""

from __future__ import annotations

import time

import pytest

from tests.chaos.proxy import FAIR, Partition, Weather
from tests.chaos.stage import Replica, Stage
from tests.testbed.waiting import eventually

OUTAGE = 26  # seconds; pauses that double would go on for as long again, and half as long
BACK = 12  # seconds: the longest pause of all who watch, and their lists


@pytest.fixture
def alone(stage: Stage) -> Replica:
    return stage.replicas[0]


@pytest.mark.full
def test_an_operator_that_was_started_in_an_outage_leads_soon_after_it(alone: Replica) -> None:
    alone.operator.kill()
    alone.proxy.change(Weather(partition=Partition.RESET))
    alone.operator.revive()
    time.sleep(OUTAGE)  # not a wait for anything: it is how long the fault lasts
    assert alone.operator.running
    alone.proxy.change(FAIR)
    eventually(lambda: alone.leads, within=BACK, what="it leads")
