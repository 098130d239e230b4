"""Runs the tests of dynamic_rank with models and batches on a GPU: `make test-gpu`.

With --cpu, the same command on the CPU. Other arguments go to pytest.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
TESTS = ["tests/dynamic_rank", "tests/worker/child/test_causes.py"]


def device_of(arguments: Sequence[str]) -> str:
    """The device that the tests use. Exits with a message if there is no GPU."""
    if "--cpu" in arguments:
        return "cpu"
    if not torch.cuda.is_available():
        sys.exit("No CUDA device is available to torch; use ARGS=--cpu to run the same tests on the CPU.")
    return "cuda"


def main() -> None:
    device = device_of(sys.argv[1:])
    others = [argument for argument in sys.argv[1:] if argument != "--cpu"]
    # One GPU: with several, Trainer would use DataParallel, which the library refuses.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    environment = os.environ | {"RANKSCOPE_TEST_DEVICE": device, "CUDA_VISIBLE_DEVICES": visible}
    os.chdir(ROOT)
    command = [sys.executable, "-m", "pytest", "-q", *(others or TESTS)]
    os.execve(sys.executable, command, environment)


if __name__ == "__main__":
    main()
