"""What other people wrote is shown as it is, and does nothing else to a terminal."""

from __future__ import annotations

import pytest

from aiqms.cli.terminal import plain, print_lines
from aiqms.cli.text import Line


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Risiko geprüft – 42 €, 模型 ✓", "Risiko geprüft – 42 €, 模型 ✓"),
        ("\x1b[2J\x1b[1;1Happroved", "\ufffd[2J\ufffd[1;1Happroved"),
        ("--model=safe\u202egnihtyna", "--model=safe\ufffdgnihtyna"),
        ("one\rtwo\nthree\x00", "one\ufffdtwo\ufffdthree\ufffd"),
    ],
    ids=["words of any language", "escape sequences", "text turned round", "line ends"],
)
def test_text_of_others_cannot_act_on_a_terminal(written: str, shown: str) -> None:
    assert plain(written) == shown


def test_lines_are_printed_plain_and_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([Line("[bold]x[/bold] \x1b[31m:boom:", "red"), Line("y" * 300)])
    assert capsys.readouterr().out == "[bold]x[/bold] \ufffd[31m:boom:\n" + "y" * 300 + "\n"
