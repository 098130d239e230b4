"""Whether training can run here at all. Loads none of it: torch takes seconds."""

import importlib.util

from rankscope.contract.errors import StartupError


def check_training_stack() -> None:
    """StartupError unless the packages that training needs are installed; none of them is loaded."""
    for package in ("torch", "transformers", "peft", "datasets", "accelerate", "safetensors"):
        if importlib.util.find_spec(package) is None:
            raise StartupError(
                f"The training stack is missing (no package {package!r}). Install it with `pip install 'rankscope[worker]'`, "
                "then try again."
            )
