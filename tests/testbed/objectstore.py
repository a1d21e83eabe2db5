"""S3 stores for tests: versitygw, which honours locks, and moto, a mock of which that is hardly so; on a free port of this machine, each gone at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.testbed.build import program
from tests.testbed.logstores import HOST, answers, free_port, running
from tests.testbed.processes import Component


@contextlib.contextmanager
def versitygw(access: str, secret: str) -> Iterator[str]:
    """The endpoint of a versitygw with versions and Object Lock, and this root user. Raises ComponentFailed, with the end of its log."""
    with tempfile.TemporaryDirectory(prefix="aiqms-s3-") as folder:
        port, (data, versions, metadata) = free_port(), _folders(folder, "data", "versions", "metadata")
        kept = () if _takes_attributes(data) else ("--sidecar", str(metadata))
        argv = (str(program("versitygw")), "--port", f"{HOST}:{port}", "--quiet", "posix", "--versioning-dir", str(versions), *kept, str(data))
        env = {"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret}
        with running(Component(name="versitygw", argv=argv, folder=Path(folder), env=env, ready=lambda: answers(f"http://{HOST}:{port}/"))):
            yield f"http://{HOST}:{port}"


# What moto does with locks, taken away: it goes on declaring them.
_LAX = "import sys; from moto import server; from moto.s3 import models; models.FakeKey.is_locked = lambda *_, **__: False; server.main(sys.argv[1:])"


@contextlib.contextmanager
def moto(*, lax: bool = False) -> Iterator[str]:
    """The endpoint of a mock that asks nobody's credentials. Raises ComponentFailed, with the end of its log.

    Its locks forbid the deletion of a version, without a word of locks, and can be shortened by anybody; lax: they forbid nothing.
    """
    with tempfile.TemporaryDirectory(prefix="aiqms-s3-") as folder:
        port = free_port()
        argv = (sys.executable, *(("-c", _LAX) if lax else ("-m", "moto.server")), "-H", HOST, "-p", str(port))
        with running(Component(name="moto", argv=argv, folder=Path(folder), ready=lambda: answers(f"http://{HOST}:{port}/"))):
            yield f"http://{HOST}:{port}"


def _folders(parent: str, *names: str) -> tuple[Path, ...]:
    made = tuple(Path(parent) / name for name in names)
    for folder in made:
        folder.mkdir()
    return made


def _takes_attributes(folder: Path) -> bool:
    """Whether files there can have attributes of a user's, in which versitygw keeps what it knows of objects; some temporary file systems have none."""
    try:
        os.setxattr(folder, "user.aiqms", b"1")
        os.removexattr(folder, "user.aiqms")
    except (OSError, AttributeError):  # AttributeError: not Linux
        return False
    return True
