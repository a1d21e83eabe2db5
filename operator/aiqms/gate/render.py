"""Writes the admission policies as templates of the chart: python -m aiqms.gate.render charts/aiqms/templates/policies"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import yaml

from aiqms.gate.policies import FILES

HEAD: Final = "# rendered by python -m aiqms.gate.render from aiqms.gate.policies: edit there"
ONLY_WHERE: Final = {"11-elsewhere": '{{- if ne (include "aiqms.gate.elsewhere" .) "[]" }}'}
HELM_VALUE: Final = re.compile(r"'(\{\{[^'\n]*\}\})'$", re.MULTILINE)  # a whole value that Helm fills in: not a string


class _Dumper(yaml.SafeDumper):
    """Long text as blocks, no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value or len(value) > 120 else None)


_Dumper.add_representer(str, _text)


def rendered(name: str) -> str:
    """One file of the chart."""
    documents = [document for policy in FILES[name] for document in policy().documents()]
    body = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=100_000, allow_unicode=True, explicit_start=True)
    body = HELM_VALUE.sub(r"\1", body)
    return f"{HEAD}\n{ONLY_WHERE[name]}\n{body}{{{{- end }}}}\n" if name in ONLY_WHERE else f"{HEAD}\n{body}"


def main(arguments: list[str]) -> None:
    """Writes every file into the folder, and takes away what no policy stands behind any more."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for stale in {p.stem for p in folder.glob("*.yaml")} - set(FILES):
        (folder / f"{stale}.yaml").unlink()
    for name in FILES:
        (folder / f"{name}.yaml").write_text(rendered(name))


if __name__ == "__main__":
    main(sys.argv[1:])
