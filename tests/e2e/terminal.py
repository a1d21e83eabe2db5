"""A real terminal for the command: what a person sees on it, and types."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from tests.testbed.waiting import eventually

SECONDS = 60  # for what a person waits for


class Terminal:
    """A person at a terminal: what is on the screen, and what is typed."""

    def __init__(self, arguments: list[str], env: dict[str, str], columns: int) -> None:
        self.pid, self.mine = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests in the background has it ignored
            os.execve(arguments[0], arguments, env)
        os.set_blocking(self.mine, False)
        self.screen = ""
        self.code: int | None = None

    def awaits(self, text: str) -> None:
        """Wait until the text is on the screen."""
        eventually(lambda: self._sees(text), within=SECONDS, what=f"{text!r} on the screen")

    def types(self, text: str) -> None:
        os.write(self.mine, text.encode())

    def ends(self) -> int:
        """Wait until it ends; its exit code."""
        eventually(lambda: not self.runs, within=SECONDS, what="the command ends")
        self._read()
        assert self.code is not None
        return self.code

    @property
    def runs(self) -> bool:
        self._read()
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code is None

    def _sees(self, text: str) -> bool:
        self._read()
        assert text in self.screen, self.screen
        return True

    def _read(self) -> None:
        try:
            while piece := os.read(self.mine, 65536):
                self.screen += piece.decode()
        except OSError:
            return  # nothing more for now, or the other end is closed


@contextmanager
def at_terminal(arguments: list[str], env: dict[str, str], *, columns: int = 120) -> Iterator[Terminal]:
    """The command at a terminal that many columns wide; it is ended at the end, if it has not ended."""
    found = Terminal(arguments, env, columns)
    try:
        yield found
    finally:
        if found.runs:
            os.kill(found.pid, signal.SIGKILL)
            os.waitpid(found.pid, 0)
        os.close(found.mine)
