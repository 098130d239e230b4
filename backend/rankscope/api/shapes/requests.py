"""Bodies of requests about runs."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rankscope.api.shapes.base import RequestBody
from rankscope.contract.config import RunConfig, SteerAction
from rankscope.contract.methods import MethodName


def _printable(text: str) -> str:
    """Rejects control characters: a terminal would interpret them, and PostgreSQL can't store NUL."""
    for letter in text:
        if unicodedata.category(letter) == "Cc" and letter not in "\n\t\r":
            raise PydanticCustomError(
                "control_character",
                "has the control character U+{code}",
                {"code": f"{ord(letter):04X}", "next_step": "Remove it."},
            )
    return text


def _one_line(text: str) -> str:
    if any(letter in text for letter in "\n\t\r"):
        raise PydanticCustomError(
            "line_break", "contains a line break or a tab", {"next_step": "Write it on one line."}
        )
    return _printable(text)


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Tag = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_one_line)]
Project = Annotated[str, Field(max_length=100), AfterValidator(_one_line)]
Notes = Annotated[str, Field(max_length=15_000), AfterValidator(_printable)]


class RunCreate(RequestBody):
    config: RunConfig
    name: Name | None = None
    """Default: generated from method, model and data."""
    tags: list[Tag] = Field(default=[], max_length=50)
    notes: Notes = ""
    project: Project | None = None
    priority: int = Field(default=0, ge=-1000, le=1000)


class RunPatch(RequestBody):
    """Only the given fields change."""

    name: Name | None = None
    tags: list[Tag] | None = Field(default=None, max_length=50)
    notes: Notes | None = None
    project: Project | None = None
    archived: bool | None = None
    priority: int | None = Field(default=None, ge=-1000, le=1000)


class RunCheck(RequestBody):
    """Body of POST /runs/validate: a draft, which may be invalid."""

    config: dict[str, object]


class MethodSwitch(RequestBody):
    """Body of POST /runs/switch-method: a draft, which may be invalid, and the method to switch to."""

    config: dict[str, object]
    method: MethodName
    earlier: dict[str, object] | None = None
    """The options this method had before another one was chosen; they are restored, except for the budget."""
    budget: float | None = Field(default=None, gt=0, le=10_000)
    """Mean rank to use if the draft's current method has none (full fine-tuning)."""
    total_steps: int | None = Field(default=None, ge=1, le=10_000_000)
    """If the draft gives epochs: the number of steps that POST /runs/validate returned."""


class RetryRequest(RequestBody):
    changes: dict[str, object] = Field(
        default={}, examples=[{"training": {"batch_size": 8, "gradient_accumulation": 2}}]
    )
    """Parts of the configuration to replace; only changes that keep it the same training are accepted."""


class ForkRequest(RequestBody):
    step: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Step of a kept checkpoint. Default: the newest."""
    attempt: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Default: the newest attempt that has a checkpoint of this step."""
    changes: dict[str, object] = Field(default={}, examples=[{"training": {"learning_rate": 0.001}}])
    """Parts of the parent's configuration to replace."""
    name: Name | None = None
    """Default: the parent's name and the step."""
    tags: list[Tag] | None = Field(default=None, max_length=50)
    """Default: the parent's."""
    priority: int = Field(default=0, ge=-1000, le=1000)


class SteerRequest(RequestBody):
    action: SteerAction
    """hold: stop pruning until release. freeze: make the current mask final. target: change the target rank."""
    target_rank: int | None = Field(default=None, ge=1, le=512)


class ConfigEdit(RequestBody):
    config: RunConfig


class ReorderRequest(RequestBody):
    run_ids: list[Annotated[str, Field(pattern="^[a-z0-9]{1,16}$")]] = Field(min_length=1, max_length=1000)
    """Waiting runs in the new order: they share the positions that they have now."""


class StopRequest(RequestBody):
    save: bool = True
    """Write a checkpoint first, so that the run can be resumed from there."""
