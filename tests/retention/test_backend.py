"""Backends that others bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.logging import Kind, Loki, OtherSink, VictoriaLogs, VolumeClaim
from aiqms.policy.logs import Trouble
from aiqms.retention import loki, victorialogs, volume
from aiqms.retention.backend import Means, opened
from aiqms.retention.link import Link

MEANS = Means(Link("http://logs"))


def test_each_sink_has_its_checker() -> None:
    sinks: list[Kind] = [VictoriaLogs(endpoint="http://logs"), Loki(endpoint="http://logs", selector='{app="x"}'), VolumeClaim(claim_name="logs")]
    checkers = (victorialogs.Checker, loki.Checker, volume.Checker)
    assert [type(opened(sink, MEANS)) for sink in sinks] == list(checkers)


def test_a_backend_that_is_not_installed_is_told() -> None:
    with pytest.raises(Trouble) as caught:
        opened(OtherSink(backend="nowhere", endpoint="http://logs"), MEANS)
    told = "no log backend nowhere is installed with the operator: install the package that brings it, or correct sink.other.backend"
    assert (caught.value.reason, caught.value.message) == (Reason.BACKEND_UNKNOWN, told)


def test_a_package_brings_a_backend_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in docs/backends.md; what is installed is found by its metadata alone."""
    (tmp_path / "my_package.py").write_text("class Checker:\n    def __init__(self, sink, means):\n        self.sink, self.means = sink, means\n")
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[aiqms.log_backends]\nmystore = my_package:Checker\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sink = OtherSink(backend="mystore", endpoint="http://logs", options={"index": "logs"})
    made = opened(sink, MEANS)
    assert (type(made).__module__, vars(made)) == ("my_package", {"sink": sink, "means": MEANS})
