"""The planned budget curve as it is in force: what a person did to a run bends the rest of it.

The training library does the same to its `dynamic_rank.BudgetSchedule`; `tests/backend/test_budget.py` holds both equal.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rankscope.contract.budget import PruningWindow, ScheduleShape, planned_budget, pruning_steps
from rankscope.contract.config import Steering


@dataclass(frozen=True)
class BudgetPlan:
    """What decides the planned curve of a run: `modules` times a rank gives a budget in components."""

    modules: int
    initial_rank: int
    target_rank: int
    window: PruningWindow
    interval: int
    shape: ScheduleShape = "slow_first"

    def budget(self, step: int) -> int:
        b0, bT = self.modules * self.initial_rank, self.modules * self.target_rank
        return planned_budget(step, self.window, b0, bT, self.shape)


def steered_curve(
    plan: BudgetPlan, total_steps: int, steering: Iterable[Steering]
) -> tuple[list[tuple[int, int]], list[int]]:
    """(step, budget) from each pruning on, and the steps of the prunings, with what was done to the run in force.

    A person's act comes before the pruning of its own step, as in the training. While pruning is held the budget stays
    where it was, up to the release or the end. Whatever comes after the final mask was refused, and changes nothing.
    """
    acts: dict[int, list[Steering]] = {}
    for entry in steering:
        acts.setdefault(entry.step, []).append(entry)
    # A release or a freeze may move the window's end, and only to the step of that act.
    planned = pruning_steps(plan.window, plan.interval)
    curve = [(0, plan.modules * plan.initial_rank)]
    prunings: list[int] = []
    is_held = False
    frozen: int | None = None
    for step in sorted({*planned, *acts}):
        if step > total_steps:
            break
        for entry in acts.get(step, ()):
            match entry.action:
                case "hold":
                    is_held = True
                case "release":
                    is_held = False
                    plan = replace(plan, window=replace(plan.window, end=max(plan.window.end, step)))
                case "target":
                    plan, frozen = replace(plan, target_rank=entry.target_rank or plan.target_rank), None
                case "freeze":
                    is_held, frozen = False, curve[-1][1]
                    plan = replace(plan, window=replace(plan.window, end=step))
        start, end = plan.window.start, plan.window.end
        if is_held or not (step == end or (start < step < end and step % plan.interval == 0)):
            continue
        prunings.append(step)
        curve.append((step, plan.budget(step) if frozen is None else frozen))
        if step == end:
            break
    return [*curve, (total_steps, curve[-1][1])], prunings
