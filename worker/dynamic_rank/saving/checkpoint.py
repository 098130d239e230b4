"""Training checkpoints: safetensors for the tensors and JSON for the rest, without pickle."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..adapter.components import replace_data, unwrap

FORMAT = 1
TENSORS = "rank_state.safetensors"
INFO = "rank_state.json"
Folder = str | os.PathLike[str]


def save_state(folder: Folder, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
    """Write both files into `folder`, which is created if missing. Each gets a temporary name first and is then renamed.

    The JSON is written last and has the same token as the tensors. If it is missing, or the tokens differ, the
    checkpoint is incomplete.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with_token = {"token": token, "format": str(FORMAT)}
    temporary = path / f".{TENSORS}.{token}"
    try:
        save_file(own, temporary, metadata=with_token)
        _sync(temporary)
        os.replace(temporary, path / TENSORS)
        temporary = path / f".{INFO}.{token}"
        text = json.dumps({"format": FORMAT, "token": token, **info}, indent=1, allow_nan=True)
        temporary.write_text(text, encoding="utf-8")
        _sync(temporary)
        os.replace(temporary, path / INFO)
    finally:
        temporary.unlink(missing_ok=True)


def load_state(folder: Folder) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and info written by `save_state`. ValueError if the checkpoint is missing or incomplete."""
    path = Path(folder)
    if not (path / INFO).is_file() or not (path / TENSORS).is_file():
        raise ValueError(
            f"{path} has no complete checkpoint ({INFO} and {TENSORS}); resume from another checkpoint folder."
        )
    info = json.loads((path / INFO).read_text(encoding="utf-8"))
    if info.get("format") != FORMAT:
        raise ValueError(
            f"{path} has checkpoint format {info.get('format')}, but this version reads {FORMAT}; start a new run."
        )
    with safe_open(path / TENSORS, framework="pt", device="cpu") as file:
        if (file.metadata() or {}).get("token") != info["token"]:
            raise ValueError(
                f"{path} is incomplete: its two files do not belong together. Resume from an older checkpoint."
            )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors, info


def last_complete_checkpoint(output_dir: Folder) -> Path | None:
    """The newest complete `checkpoint-N` in `output_dir`, None if there is none.

    Trainer writes trainer_state.json last, so a folder without a readable one is incomplete.
    """
    found = [path for path in Path(output_dir).glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if _holds_model(path):
            return path
    return None


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """All tensors that training changes, by parameter name: the adapter in its current shapes, and the head."""
    return {name: parameter.data for name, parameter in _trained(model).items()}


@torch.no_grad()
def restore_trained_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Restore `trained_tensors`, including their shapes. ValueError if their names differ from the model's."""
    own = _trained(model)
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise ValueError(
            "The checkpoint belongs to another model or other target modules: "
            f"missing {missing[:3] or 'nothing'}, unexpected {unknown[:3] or 'nothing'}. "
            "Resume with the model, the method and the target_modules of the saved run."
        )
    for name, parameter in own.items():
        replace_data(parameter, tensors[name])


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    # Empty tensors belong to modules at rank 0, which PEFT's disable_adapter() may have frozen.
    named = unwrap(model).named_parameters()
    return {name: parameter for name, parameter in named if parameter.requires_grad or parameter.numel() == 0}


def check_same(saved: Mapping[str, Any], present: Mapping[str, Any], what: str) -> None:
    """ValueError, naming the options, if `saved` and `present` have different values."""
    differing = [name for name, value in present.items() if name in saved and saved[name] != value]
    if differing:
        before = ", ".join(f"{name}={saved[name]!r}" for name in differing)
        now = ", ".join(repr(present[name]) for name in differing)
        raise ValueError(
            f"The checkpoint was written with {what} option {before}, but this run has {now}; "
            f"resume with {before}, or start a new run."
        )


def _holds_model(path: Path) -> bool:
    if (path / INFO).exists():
        try:
            load_state(path)
        except ValueError:
            return False
        return True
    return any(path.glob("model*.safetensors"))


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
