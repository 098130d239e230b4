"""The GPUs of this host, by nvidia-smi: no torch in the supervising process."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_FIELDS = "index,uuid,name,memory.total,memory.free"
_MIB = 1 << 20
SETTLE_S = 90.0
"""After so long a run has loaded its model and shows in the GPU's memory."""


@dataclass(frozen=True)
class Gpu:
    index: int
    uuid: str
    name: str
    memory_bytes: int
    free_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_gpus(timeout_s: float = 5.0) -> list[Gpu]:
    """GPUs that this process may use (CUDA_VISIBLE_DEVICES is obeyed); empty where there are none, or none answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return visible(parse(answer), os.environ.get("CUDA_VISIBLE_DEVICES"))


def parse(text: str) -> list[Gpu]:
    """GPUs from nvidia-smi's CSV; lines that it could not fill in ("[N/A]") are left out."""
    gpus = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 5 and cells[0].isdigit() and cells[3].isdigit() and cells[4].isdigit():
            index, uuid, name, total, free = cells
            gpus.append(Gpu(int(index), uuid, name, int(total) * _MIB, int(free) * _MIB))
    return gpus


def visible(gpus: list[Gpu], wanted: str | None) -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES names, by index or UUID, in its order; all when it is not set."""
    if wanted is None:
        return gpus
    by_name = {str(gpu.index): gpu for gpu in gpus} | {gpu.uuid: gpu for gpu in gpus}
    return [by_name[name.strip()] for name in wanted.split(",") if name.strip() in by_name]


def choose(
    gpus: Sequence[Gpu], runs: Mapping[str, Sequence[float]], *, most: int, min_free_bytes: int, now: float
) -> Gpu | None:
    """The GPU for the next run: the fewest runs of ours, then the most free memory; None when none has room.

    `runs`: UUID -> when each of our runs there was started. One that is younger than `SETTLE_S` may not have taken its
    memory yet, so that `min_free_bytes` are set aside for it. A GPU that another program fills has no room.
    """

    def room(gpu: Gpu) -> int:
        young = sum(now - started < SETTLE_S for started in runs.get(gpu.uuid, ()))
        return gpu.free_bytes - young * min_free_bytes

    fits = [gpu for gpu in gpus if len(runs.get(gpu.uuid, ())) < most and room(gpu) >= min_free_bytes]
    return min(fits, key=lambda gpu: (len(runs.get(gpu.uuid, ())), -room(gpu)), default=None)
