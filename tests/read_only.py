"""Files and folders that cannot be changed, not even by root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Makes the file or folder read-only within the block."""
    if os.geteuid():
        mode = path.stat().st_mode
        path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield
        finally:
            path.chmod(mode)
        return
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("As root only a file system with attributes can refuse a write.")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
