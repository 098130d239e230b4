"""Checks that the packages for training are installed, without importing them: torch takes seconds."""

import importlib.util

from rankscope.contract.errors import StartupError


def check_training_stack() -> None:
    """Raises StartupError unless the packages that training needs are installed."""
    for package in ("torch", "transformers", "peft", "accelerate", "safetensors"):
        if importlib.util.find_spec(package) is None:
            raise StartupError(
                f"The training stack is missing (no package {package!r}). Install it with `pip install 'rankscope[worker]'`, "
                "then try again."
            )
