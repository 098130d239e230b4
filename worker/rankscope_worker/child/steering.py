"""Steerer: does to the running training what a person asks, and what the configuration says was asked before."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback)
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dynamic_rank import RankAllocator
from rankscope.contract.config import SteerAction, Steering
from rankscope.contract.events import RunEvent, SteerEvent
from rankscope_worker.inbox import SteerRequest


class Steerer(TrainerCallback):
    """Stands before the method's own callback, so that a wish takes effect at the end of the step at hand.

    `planned` is the configuration's list. A resumed attempt finds in it what the attempts before did; up to the step of
    its checkpoint that is part of the checkpoint, and the rest is done again at the same steps: so a resume stays exact.
    """

    def __init__(
        self,
        planned: Sequence[Steering],
        requests: Callable[[], Iterable[SteerRequest]],
        allocator: Callable[[], RankAllocator | None],
        record: Callable[[RunEvent], object],
    ) -> None:
        self._planned: dict[int, list[Steering]] = {}
        for entry in planned:
            self._planned.setdefault(entry.step, []).append(entry)
        self._requests = requests
        self._allocator = allocator
        self._record = record

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        step = state.global_step
        for entry in self._planned.get(step, ()):
            self._do(step, entry.action, entry.target_rank, None)
        for request in self._requests():
            self._do(step, request.action, request.target_rank, request.id)

    def _do(self, step: int, action: SteerAction, target_rank: int | None, request: str | None) -> None:
        refused: str | None = None
        try:
            self._steer(action, target_rank)
        except ValueError as error:
            refused = str(error)
        self._record(SteerEvent(step=step, action=action, target_rank=target_rank, request=request, refused=refused))

    def _steer(self, action: SteerAction, target_rank: int | None) -> None:
        allocator = self._allocator()
        if allocator is None:
            raise ValueError("This method has no ranks to steer.")
        match action:
            case "hold":
                allocator.hold()
            case "release":
                allocator.release()
            case "freeze":
                allocator.freeze()
            case "target":
                if target_rank is None:
                    raise ValueError("Action target needs a target_rank.")
                allocator.set_target(target_rank)
