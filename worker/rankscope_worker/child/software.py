"""Versions of the libraries that affect an attempt's results, and its device."""

import platform

import accelerate
import torch

from dynamic_rank.saving.run_state import versions


def trained_with(device: str) -> dict[str, str]:
    """`device` is the configuration's: auto, cpu or gpu."""
    uses_gpu = device != "cpu" and torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name(0) if uses_gpu else f"CPU ({_processor()})",
        **versions(),
        "accelerate": accelerate.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's model name; its architecture if the system doesn't provide one."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
