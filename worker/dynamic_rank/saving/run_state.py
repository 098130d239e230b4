"""The state of a dynamic-rank training on disk: tensors in their current shapes, scores, mask and module names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import peft
import torch
import transformers
from torch import nn

from ..adapter.components import HasState, components_of
from .checkpoint import Folder, check_same, load_state, restore_trained_tensors, save_state, trained_tensors

_PREFIX = "allocator."
_OLD_SCALES = "parametrizations.weight.0.c"
_ORIGINAL = "parametrizations.weight.original"
_OLD_PARTS = {_OLD_SCALES: "c", _ORIGINAL: "weight"}


def save_run_state(
    folder: Folder, model: nn.Module, method: str, options: Mapping[str, Any], allocator: HasState | None
) -> None:
    """Write tensors, kept components and the allocator's state (None before training) atomically into `folder`."""
    tensors = trained_tensors(model)
    state = {} if allocator is None else allocator.state_dict()
    tensors |= {_PREFIX + name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    components = components_of(model)
    info = {
        "method": method,
        "options": dict(options),
        "modules": components.names,
        "kept": [layer.kept for layer in components.layers],
        "allocator": {name: value for name, value in state.items() if not isinstance(value, torch.Tensor)},
        "versions": versions(),
    }
    save_state(folder, tensors, info)


def load_run_state(
    folder: Folder, model: nn.Module, method: str, options: Mapping[str, Any], may_differ: Collection[str] = ()
) -> dict[str, Any] | None:
    """Restore the saved tensors, including their shapes. Returns the allocator's state, None if there was none.

    `may_differ` names the options that a fork may change. If it is not empty, the schedule and the target rank are those
    of `options`, not of the checkpoint.

    Raises ValueError if the checkpoint is incomplete, or was written with another method, model or other options.
    """
    tensors, info = load_state(folder)
    check_same(info, {"method": method}, "the")
    saved_options = _with_later_options(info["options"])
    check_same(saved_options, {name: value for name, value in options.items() if name not in may_differ}, method)
    components = components_of(model)
    if info["modules"] != components.names:
        raise ValueError(
            f"The checkpoint has {len(info['modules'])} adapted modules and this model {len(components.names)}, and "
            "their names differ; resume with the model and the target_modules of the saved run."
        )
    saved = {_current_name(name, tensors): value for name, value in tensors.items() if not name.startswith(_PREFIX)}
    restore_trained_tensors(model, saved)
    for layer, kept in zip(components.layers, info["kept"], strict=True):
        layer.hold(kept)
    if not info["allocator"]:
        return None
    state = {name.removeprefix(_PREFIX): value for name, value in tensors.items() if name.startswith(_PREFIX)}
    forked = {"total_steps": None, "target_rank": None} if may_differ else {}
    return {**state, **info["allocator"], **forked}


def saved_options(folder: Folder) -> dict[str, Any]:
    """The options with which this state was written, including later ones. ValueError as in `load_state`."""
    return _with_later_options(load_state(folder)[1]["options"])


def _with_later_options(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a checkpoint; options that did not exist yet are set to the behaviour of that version.

    Before `pruning_phase` existed, pruning was at multiples of the interval, and `init: paper` meant `small_random`.
    """
    if "init" not in saved or "pruning_phase" in saved:
        return dict(saved)
    init = "small_random" if saved["init"] == "paper" else saved["init"]
    return {**saved, "init": init, "pruning_phase": "absolute"}


def _current_name(name: str, saved: Collection[str]) -> str:
    """The name of a saved tensor in this version, in which lora_A has the parameters weight and c, and lora_B has B.

    Before, lora_B's weight was parametrised by torch, and before that lora_A's, with c, next to a plain lora_B. Their
    order among the parameters is the same, so the saved state of the optimizer fits.
    """
    module, pair, end = name.rpartition(".lora_A.")
    adapter, _, part = end.partition(".")
    if pair and part in _OLD_PARTS:
        return f"{module}.lora_A.{adapter}.{_OLD_PARTS[part]}"
    module, pair, end = name.rpartition(".lora_B.")
    adapter, _, part = end.partition(".")
    is_plain = part == "weight" and f"{module}.lora_A.{adapter}.{_OLD_SCALES}" in saved
    if pair and (is_plain or part == _ORIGINAL):
        return f"{module}.lora_B.{adapter}.B"
    return name


def versions() -> dict[str, str]:
    """Versions of the libraries that affect the numbers."""
    return {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
