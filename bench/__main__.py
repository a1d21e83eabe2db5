"""All benchmarks with their goals, as one table and as docs/performance.md: make bench, or python -m bench [--quick], which writes no page."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import admission, release, start, who_can
from bench.report import PAGE, Row, machine, markdown, show

FULL: tuple[Callable[[], list[Row]], ...] = (admission.main, release.main, start.main, who_can.rows)
QUICK: tuple[Callable[[], list[Row]], ...] = (admission.quick, release.quick, start.quick, who_can.rows)

HEAD = """# Performance

Written by `make bench`, on a real API server, controller manager, scheduler and etcd (`tests/testbed`), all of which share the machine
with the operator and with what measures.

Machine: {machine}.

*load* is the number of processes that ran or waited in the minute before the row: above the number of cores, times are longer than on a machine of
one's own; ratios, memory and counts are not. Each figure with a baseline has it from the same run, by turns.
"""
TAIL = """
## What is measured

- **admission**: server-side dry runs of a pod as vLLM's are (five variables, three probes, three volumes) over one kept connection: in `kube-system`,
  which no policy of AIQMS matches, and in governed namespaces, by turns; the ratio of the medians. The floor, the same policies with nothing in them,
  is 1.18 × for a cleared GPU pod and 1.11 × for a CPU pod: the API server converts the pod for each policy before it evaluates
  anything.
- **release**: a person's last approval is sent, and the pod is seen without its gate by a client that watches. The pods belong to a namespace of a
  hundred deployments, among as many others as the row says. What a pod reads (ConfigMaps, claims) is frozen first and read again after 250 ms, so
  that no API server judges by what was there before: the first approval of such a pod takes that longer. Of some
  300 ms in a namespace of a hundred, on these two cores, 90 pass until the operator has looked at the namespace, 110 until the API server has taken
  the Clearance (300 KB of templates, written as a whole: server-side apply takes nearly twice as long), the rest is the release itself, tried again where
  admission does not have that Clearance yet. It is timed with the control plane at rest.
- **start**: the operator is ended and started anew. Every deployment has a workload, a ConfigMap that it reads, a clearance and five records; none
  has pods. What it reads takes most of the time, what it keeps most of the memory, and both grow with the number of deployments.
- **who can**: the operator's own work, in memory, when roles change ([access.md](access.md)).

The others print rows of their own: `python -m bench.stop` (how long a Stop takes to end 500 pods, against plain deletion), `python -m bench.logs`
(what checks of log stores cost) and `python -m bench.clearance` (a Clearance written as a whole, against server-side apply). Each runs alone, too:
`python -m bench.admission --quick`. Big numbers of deployments are copies of one namespace,
put into etcd with the verdicts that the operator wrote; a copy that did not stand would show as a write.
"""


def main() -> None:
    """One table; the page only of a full run."""
    quick = "--quick" in sys.argv
    rows = [row for bench in (QUICK if quick else FULL) for row in bench()]
    show(rows)
    print(machine())
    if not quick:
        PAGE.write_text(f"{HEAD.format(machine=machine())}\n{markdown(rows)}\n{TAIL}")


if __name__ == "__main__":
    main()
