"""BudgetSchedule: the number of units that may be live at each step (Mao et al. 2024, Eq. 9). Imports no torch."""

from __future__ import annotations

from .config import DynamicRankConfig


class BudgetSchedule:
    """The budget at every optimizer step of a run, in units (components or parameters, see budget_unit).

    slow_first (Mao et al. 2024, Eq. 9):          b(t) = b0 - (b0 - bT) x^3
    fast_first (AdaLoRA, Zhang et al. 2023):      b(t) = bT + (b0 - bT) (1 - x)^3
    linear:                                       b(t) = b0 - (b0 - bT) x          with x = (t - t_i) / (t_f - t_i)

    The budget is b0 up to t_i and bT from t_f on; fractions of a unit are rounded up. The arithmetic uses integers, so
    rounding errors never decide about a component.

    `hold`, `release`, `settle` and `set_target` change the schedule during training. RankAllocator calls them between
    two steps, `steered_curve` to plan ahead.
    """

    initial: int
    final: int
    t_i: int
    t_f: int

    def __init__(self, config: DynamicRankConfig, n_components: int, total_steps: int) -> None:
        """`n_components` is the initial budget b0: modules * initial_rank, or the parameters of these components.

        Raises ValueError if the window is shorter than one interval, or if b0 is not a multiple of initial_rank.
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
        """Units that may be live after optimizer step `step`, 0 being the start of training. Never increases."""
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
        """The pruning steps before t_f, as a range, which costs no memory in long runs.

        pruning_phase "window": t_i + k * prune_interval, including t_i, where the budget still includes all components.
        "absolute": the multiples of prune_interval after t_i.
        """
        interval = self.config.prune_interval
        if self.config.pruning_phase == "absolute":
            return range((self.t_i // interval + 1) * interval, self.t_f, interval)
        # Step 0 is before the first optimizer step.
        return range(self.t_i or interval, self.t_f, interval)

    def is_pruning_step(self, step: int) -> bool:
        """Whether the allocator prunes after step `step`: at a regular pruning step or at t_f, unless held."""
        return not self.is_held and (step == self.t_f or step in self.regular_prunings)

    def is_final(self, step: int) -> bool:
        """Whether the mask is final after step `step`. It is not while pruning is held."""
        return step >= self.t_f and not self.is_held

    def hold(self) -> None:
        """Stop pruning until `release`, including the final pruning. The budget keeps following the schedule."""
        self.is_held = True

    def release(self, next_step: int) -> None:
        """Resume pruning from `next_step` on. If the window has ended, that step prunes to the final budget."""
        self.is_held = False
        self.t_f = max(self.t_f, next_step)

    def settle(self, at_step: int, units: int) -> None:
        """Make the mask final at `at_step`, with `units` live, even if a target is set afterwards."""
        self.is_held = False
        self.t_f, self.final = at_step, units
        self._settled = (at_step, units)

    def set_target(self, target_rank: int) -> None:
        """Change the final budget to modules * target_rank; the schedule leads to it from the next pruning on."""
        self.target_rank = target_rank
        self.final = self.initial // self.config.width * target_rank

    def pruning_steps(self) -> list[int]:
        """All steps after which the allocator prunes, in ascending order; the last is t_f."""
        return [] if self.is_held else [*self.regular_prunings, self.t_f]
