"""An image of this Python and the operator's package, made without a registry: what pods run on a real node, the pause container included."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY, TAG = "aiqms.test/operator", "1"
IMAGE = f"{REPOSITORY}:{TAG}"
OPERATOR = Path(__file__).parents[2] / "operator"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
ENVIRONMENT = {
    "PATH": "/usr/local/bin",
    "PYTHONHOME": "/usr/local",
    "PYTHONPATH": "/app/packages:/app/operator",
    "LD_LIBRARY_PATH": "/usr/local/lib",
    "PYTHONUNBUFFERED": "1",
}
START = "#!/usr/local/bin/python\nfrom aiqms.main import main\nmain()\n"
# What of the standard library no operator imports, and what lies there but is no part of it.
LEFT_OUT = {"test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "dist-packages"}


def write_image(path: Path) -> None:
    """Write the image as an archive that `ctr images import` takes."""
    layer = path.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        _fill(tar)
    with layer.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    with tarfile.open(path, "w") as tar:
        _add_text(tar, "config.json", json.dumps(_config(digest)))
        _add_text(tar, "manifest.json", json.dumps([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]))
        tar.add(layer, "layer.tar")
    layer.unlink()


def _config(layer: str) -> dict[str, object]:
    # A pause container is given no command of its own.
    command = {"Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()], "Entrypoint": ["python", "-c", "import signal; signal.pause()"]}
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{layer}"]}
    return {"os": "linux", "architecture": ARCHITECTURES[platform.machine()], "config": command, "rootfs": rootfs}


def _fill(tar: tarfile.TarFile) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    packages = Path(sysconfig.get_path("purelib"))
    python = Path(sys.executable).resolve()
    tar.add(python, "usr/local/bin/python")
    tar.add(library, f"usr/local/lib/{library.name}", filter=_needed)
    tar.add(packages, "app/packages")
    tar.add(OPERATOR, "app/operator")
    _add_text(tar, "usr/local/bin/aiqms-operator", START, mode=0o755)
    for found in sorted(_libraries([python, *library.glob("lib-dynload/*.so"), *packages.rglob("*.so")])):
        # The dynamic linker is named by its path in each program; whatever else is named without one.
        tar.add(found.resolve(), str(found).lstrip("/") if found.name.startswith("ld-") else f"usr/local/lib/{found.name}")


def _needed(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if LEFT_OUT & set(Path(entry.name).parts) else entry


def _libraries(programs: list[Path]) -> Iterator[Path]:
    shown = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    return (Path(path) for path in set(re.findall(r"\s(/\S+) \(0x", shown)))


def _add_text(tar: tarfile.TarFile, name: str, text: str, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), mode
    tar.addfile(entry, io.BytesIO(text.encode()))
