"""A stand-in for the NVIDIA driver: a real shared library that pynvml loads, and the table of its values."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pynvml
import pytest

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "libnvidia-ml.so.1"
_MIB = 1 << 20


def build(folder: Path) -> Path:
    compiler = shutil.which("cc")
    assert compiler, "The tests of GPUs build a stand-in for NVIDIA's library: install a C compiler (gcc, libc6-dev)."
    library = folder / LIBRARY
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    return library


class NvmlDriver:
    """A host whose driver is loaded, in this process and in every process started from it. It has no GPUs at first."""

    def __init__(self, library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table = folder / "gpus.txt"
        self.show()
        monkeypatch.setenv("NVML_TABLE", str(self.table))
        monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        # A process reads LD_LIBRARY_PATH when it starts: here pynvml gets the library by its path.
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(library)))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def show(self, *rows: str) -> None:
        """Rows of `UUID total_mib free_mib utilization_percent`; "-" is a value that the GPU does not report."""
        working = self.table.with_suffix(".new")
        working.write_text("".join(f"{row}\n" for row in rows))
        os.replace(working, self.table)

    def show_free(self, *free_mib: int) -> None:
        """GPUs of 80 GiB: GPU-0, GPU-1, ..."""
        self.show(*(f"GPU-{index} 81920 {free} 0" for index, free in enumerate(free_mib)))
