"""Steerer: applies steering requests to the running training, and the actions that the configuration lists."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback)
from collections.abc import Callable, Iterable, Sequence

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dynamic_rank import RankMethod
from rankscope.contract.config import SteerAction, Steering
from rankscope.contract.events import RunEvent, SteerEvent
from rankscope_worker.steer_requests import SteerRequest


class Steerer(TrainerCallback):
    """Runs before the method's own callback, so that a request takes effect at the end of the current step.

    `planned` is the configuration's list. For a resumed attempt, it includes the actions of earlier attempts. Actions
    up to the step of its checkpoint are part of the checkpoint; later ones are repeated at the same steps, so a resume
    is exact.
    """

    def __init__(
        self,
        planned: Sequence[Steering],
        requests: Callable[[], Iterable[SteerRequest]],
        method: RankMethod,
        record: Callable[[RunEvent], object],
    ) -> None:
        self._planned: dict[int, list[Steering]] = {}
        for entry in planned:
            self._planned.setdefault(entry.step, []).append(entry)
        self._requests = requests
        self._method = method
        self._record = record

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        step = state.global_step
        for entry in self._planned.get(step, ()):
            self._do(step, entry.action, entry.target_rank, None)
        for request in self._requests():
            self._do(step, request.action, request.target_rank, request.id)

    def _do(self, step: int, action: SteerAction, target_rank: int | None, request: str | None) -> None:
        refused: str | None = None
        try:
            self._method.steer(action, target_rank)
        except ValueError as error:
            refused = str(error)
        self._record(SteerEvent(step=step, action=action, target_rank=target_rank, request=request, refused=refused))
