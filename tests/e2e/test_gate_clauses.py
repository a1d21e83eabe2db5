"""Each clause of the gate's policies is needed: without it an attack of the bypass table gets through, or something legitimate fails."""

from __future__ import annotations

import pytest

from tests.e2e.bypass.ready import ready
from tests.mutation.clauses import MAKERS, SURVIVORS, mutants
from tests.mutation.gate import all_tried, unlisted
from tests.mutation.in_force import replaceable
from tests.mutation.survivors import known
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator

SHARE = 12  # one of so many is tried here, and all by make mutation-gate


@pytest.mark.full
def test_a_policy_without_one_of_its_clauses_is_noticed(cluster: Cluster, installed: Operator) -> None:
    chosen = [mutant for of in MAKERS for mutant in mutants(of)][::SHARE]
    with ready(cluster, installed) as stage, replaceable(cluster) as gate:
        trials = list(all_tried(chosen, stage, gate))
    assert len(trials) == len(chosen)
    assert unlisted(trials, known(SURVIVORS)) == []
