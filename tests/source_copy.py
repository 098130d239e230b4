"""A copy of server and worker with added files and changed lines, as for a new method or task."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


def copy_sources(folder: Path, new: Mapping[str, Path], edited: Mapping[str, Sequence[tuple[str, str]]]) -> Path:
    """Copies into `folder`, adds the `new` files, and replaces text in the `edited` ones: each text must occur once."""
    for part in ("backend", "worker"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("static"))
    for path, source in new.items():
        shutil.copy(source, folder / path)
    for path, edits in edited.items():
        text = (folder / path).read_text(encoding="utf-8")
        for before, after in edits:
            assert text.count(before) == 1, f"{path} has no single {before!r}"
            text = text.replace(before, after)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def run_module(module: str, copy: Path, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Runs a module of the tests against the copy."""
    path = os.pathsep.join(map(str, [copy / "backend", copy / "worker", ROOT]))
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
