"""BudgetSchedule: how much of the model may be live at each step (Mao et al. 2024, Eq. 9). Imports no torch."""

from __future__ import annotations

from .config import DynamicRankConfig


class BudgetSchedule:
    """The budget of every optimizer step of one run, in whole units (components, or parameters).

    slow_first (the paper, Eq. 9):  b(t) = b0 - (b0 - bT) x^3
    fast_first (AdaLoRA's cubic):   b(t) = bT + (b0 - bT) (1 - x)^3
    linear:                         b(t) = b0 - (b0 - bT) x          with x = (t - t_i) / (t_f - t_i)

    b0 up to t_i, bT from t_f on; a fraction of a unit is rounded up. The arithmetic is in integers, so no rounding error
    decides about a component.

    It can be steered during training: `hold` and `release` pruning, `settle` at once, `set_target`. RankAllocator calls
    these between two steps; `steered_curve` calls them to plan ahead.
    """

    initial: int
    final: int
    t_i: int
    t_f: int

    def __init__(self, config: DynamicRankConfig, n_components: int, total_steps: int) -> None:
        """`n_components`: units at the start, b0 = modules * initial_rank (or the parameters of these components).

        ValueError if the window is shorter than one interval, or b0 is not a multiple of initial_rank.
        """
        config.check_schedule(total_steps)
        if n_components < 1 or n_components % config.width:
            raise ValueError(
                f"n_components={n_components} is not a positive multiple of initial_rank={config.width}; "
                "pass modules * initial_rank."
            )
        self.config = config
        self.total_steps = total_steps
        self.t_i, self.t_f = config.window(total_steps)
        self.initial = n_components
        self.final = n_components // config.width * config.target_rank
        self.is_held = False
        self.target_rank = config.target_rank
        self._settled: tuple[int, int] | None = None

    def budget(self, step: int) -> int:
        """Units that may be live after optimizer step `step` (0 is before the first): b(t), never rising."""
        if step >= self.t_f:
            return self._settled[1] if self._settled is not None and self._settled[0] == self.t_f else self.final
        if step <= self.t_i:
            return self.initial
        gap, done, length = self.initial - self.final, step - self.t_i, self.t_f - self.t_i
        if self.config.schedule == "fast_first":
            # ceil(bT + y) = bT - floor(-y)
            return self.final - (-gap * (length - done) ** 3) // length**3
        power = 3 if self.config.schedule == "slow_first" else 1
        # ceil(b0 - y) = b0 - floor(y)
        part: int = gap * done**power // length**power
        return self.initial - part

    @property
    def regular_prunings(self) -> range:
        """The pruning steps before t_f: every interval within the window.

        pruning_phase "window": t_i + k * interval, t_i included; at t_i the budget still holds all components.
        "absolute": the multiples of the interval after t_i. A range, so a run of ten million steps costs no more.
        """
        interval = self.config.prune_interval
        if self.config.pruning_phase == "absolute":
            return range((self.t_i // interval + 1) * interval, self.t_f, interval)
        # Step 0 is before the first optimizer step.
        return range(self.t_i or interval, self.t_f, interval)

    def is_pruning_step(self, step: int) -> bool:
        """Whether the allocator prunes after step `step`: a regular pruning, or the last one at t_f."""
        return not self.is_held and (step == self.t_f or step in self.regular_prunings)

    def is_final(self, step: int) -> bool:
        """Whether the mask is fixed once step `step` is over; not while pruning is held."""
        return step >= self.t_f and not self.is_held

    def hold(self) -> None:
        """No pruning until `release`, the final one included. The budget goes on as planned."""
        self.is_held = True

    def release(self, next_step: int) -> None:
        """Prune again, from `next_step` on; if the window ended meanwhile, that step prunes to the final budget."""
        self.is_held = False
        self.t_f = max(self.t_f, next_step)

    def settle(self, at_step: int, units: int) -> None:
        """The mask becomes final at `at_step`, with `units` live; a target that is set afterwards doesn't change that."""
        self.is_held = False
        self.t_f, self.final = at_step, units
        self._settled = (at_step, units)

    def set_target(self, target_rank: int) -> None:
        """Change the final budget to modules * target_rank; the curve bends towards it from the next pruning on."""
        self.target_rank = target_rank
        self.final = self.initial // self.config.width * target_rank

    def pruning_steps(self) -> list[int]:
        """All steps after which the allocator prunes, rising; the last is t_f."""
        return [] if self.is_held else [*self.regular_prunings, self.t_f]
