"""RankAllocator: score, smooth and prune after every optimizer step (Mao et al. 2024, Eq. 7 to 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..adapter.components import check_trainable, components_of
from ..schedule.budget import BudgetSchedule
from ..schedule.config import DynamicRankConfig
from ..warning import Warner
from .replay import Replay
from .scale_mask import ScaleMask
from .selection import Selection, select, select_above_threshold
from .sensitivity import (
    SmoothedSensitivity,
    check_gradients,
    gradient_or_zero,
    has_finite_gradients,
    layers_by_shape,
)
from .snapshot import (
    BoolArray,
    ComponentChange,
    FloatArray,
    PruneDecision,
    Snapshot,
    pack_halves,
    to_device,
    to_host,
    unpack_halves,
)
from .weight_scores import OF_WEIGHTS, WeightScores

_SENSITIVITY = "sensitivity."


class RankAllocator:
    """Distributes the budget over the components of all modules by their importance (Mao et al. 2024, Eq. 7 to 9).

    Call `step(t)` once after each optimizer step t = 1, 2, ..., and `observe_gradients()` before each optimizer step if
    the score uses gradients ("sensitivity", "adalora"). Only snapshots and prunings copy from the device.

    Raises ValueError if the model was not made by `wrap` with this initial_rank, if its adapter is merged, frozen or
    inactive, or if `total_steps` is too short for the pruning window.
    """

    def __init__(self, model: nn.Module, config: DynamicRankConfig, total_steps: int) -> None:
        self.config = config
        self.components = components_of(model)
        if config.width != self.components.width:
            raise ValueError(
                f"The model was wrapped with initial_rank={self.components.width}, but this config has {config.width}; "
                "pass the same config to wrap and to RankAllocator or DynamicRankCallback."
            )
        self.layers = self.components.layers
        check_trainable(self.components)
        self.device = self.layers[0].c.device
        shape = (len(self.layers), self.components.width)
        by_parameters = config.budget_unit == "parameters"
        unit_costs = [layer.cost if by_parameters else 1 for layer in self.layers]
        self._costs: npt.NDArray[np.int64] = np.repeat(np.array(unit_costs, dtype=np.int64), shape[1]).reshape(shape)
        self.schedule = BudgetSchedule(config, int(self._costs.sum()), total_steps)
        self._units = int(self._costs.sum()) if by_parameters else None
        self.last_step = 0
        self.mask: BoolArray = np.ones(shape, dtype=bool)
        self.threshold: float | None = None
        self.prunings = 0
        self.keeps_raw_scores = False
        """Whether snapshots include the scores before smoothing, which costs another copy from the device."""
        self.warn = Warner()
        self._raw: Tensor | None = None
        self._latest: Tensor | None = None
        self._keeps_mask_at: int | None = None
        self._ema = torch.zeros(shape, device=self.device)
        self._weight_scores = WeightScores(self.layers, config.eps, self.device)
        self._scale_mask = ScaleMask(self.layers)
        tensors = [tensor for layer in self.layers for tensor in (layer.A, layer.B, layer.c)]
        self._replay = Replay(lambda: self._score_and_smooth(0), tensors)
        self._observed: Tensor | None = None
        self._has_observed = False
        self._sensitivity = (
            SmoothedSensitivity(layers_by_shape(self.layers, self.device), config.beta, config.beta2)
            if config.score == "adalora"
            else None
        )
        self._host: tuple[int, FloatArray, float | None] | None = None

    @property
    def is_final(self) -> bool:
        """Whether the mask can no longer change."""
        return self.schedule.is_final(self.last_step)

    @property
    def live(self) -> int:
        """Live units (components or parameters, see budget_unit) since the latest pruning."""
        return int(self._costs[self.mask].sum())

    @torch.no_grad()
    def step(self, step: int) -> PruneDecision | None:
        """Score (Eq. 7) and smooth (Eq. 8) after optimizer step `step`; prune to the budget (Eq. 9) at a pruning step.

        Returns the decision of a pruning, otherwise None. After the final mask it only re-applies the mask, unless the
        model was compacted. A pruning synchronises the device once.

        Raises ValueError if `step` does not follow the previous one (a skipped step would not be scored), or if the
        adapter is merged, frozen or inactive.
        """
        if step != self.last_step + 1:
            raise ValueError(
                f"RankAllocator.step({step}) was called after step {self.last_step}: call it once after every optimizer "
                "step, or call load_state_dict() with the state of the previous step."
            )
        self._raw = None
        if self.is_final:
            self.last_step = step
            self._apply_mask()
            return None
        is_pruning = self.schedule.is_pruning_step(step)
        check_trainable(self.components, all_layers=is_pruning)
        if self._sensitivity is not None:
            if not self._has_observed:
                self._sensitivity.observe()
            self._has_observed = False
            self._sensitivity.scores(out=self._ema)
        else:
            if self.config.score in OF_WEIGHTS:
                self._replay()
            else:
                self._score_and_smooth(step)
            self._raw = self._latest if self.keeps_raw_scores else None
        self.last_step = step
        decision = self._prune(step) if is_pruning else None
        if self.is_final:
            self._sensitivity = self._latest = None
            self._replay.release()
        return decision

    def hold(self) -> None:
        """Stop pruning until `release`, even at the end of the window.

        Call this and `release`, `freeze` and `set_target` between two steps; the same calls before the same steps
        reproduce the run. They raise ValueError once the mask is final.
        """
        self._refuse_when_final("hold pruning")
        self.schedule.hold()

    def release(self) -> None:
        """Resume pruning. If the window ended during the hold, the next step prunes to the final budget."""
        self._refuse_when_final("release pruning")
        self.schedule.release(self.last_step + 1)

    def freeze(self) -> None:
        """Make the current mask final at the next step."""
        self._refuse_when_final("freeze the mask")
        self._keeps_mask_at = self.last_step + 1
        self.schedule.settle(self.last_step + 1, self.live)

    def set_target(self, target_rank: int) -> None:
        """Change the final budget to a mean rank of `target_rank`. ValueError if it is above initial_rank or below 1."""
        self._refuse_when_final("change the target rank")
        if not 1 <= target_rank <= self.config.width:
            raise ValueError(
                f"target_rank={target_rank} must be between 1 and initial_rank={self.config.width}; choose another value."
            )
        self.schedule.set_target(target_rank)

    @torch.no_grad()
    def observe_gradients(self) -> None:
        """Record |w dL/dw| of the scales (for score "adalora" of all factors); call it after clipping, before the step.

        Does nothing for other scores, and once the mask is final. A module without a gradient counts as 0; a step with
        an infinite or NaN gradient is skipped. Raises ValueError if no scale has a gradient.
        """
        if self.is_final or not self.config.needs_gradients:
            return
        if self._sensitivity is not None:
            self._sensitivity.observe()
            self._has_observed = True
            return
        check_gradients(self.layers)
        rows = [(layer.c * gradient_or_zero(layer.c)).abs() for layer in self.layers]
        now = torch.stack([row.to(self.device, torch.float32) for row in rows])
        counts = has_finite_gradients([layer.c for layer in self.layers])
        self._observed = torch.where(counts.to(self.device), now, self._ema)

    def live_ranks(self) -> dict[str, int]:
        """Number of live components of each module since the latest pruning, by module name."""
        return {layer.name: int(row.sum()) for layer, row in zip(self.layers, self.mask, strict=True)}

    def masks(self) -> dict[str, BoolArray]:
        """The mask of each module by name: (width,) bool, in original component indices. Copies."""
        return {layer.name: row.copy() for layer, row in zip(self.layers, self.mask, strict=True)}

    def scores(self) -> Tensor:
        """Smoothed importance (modules, width), Eq. 8, on the device of the first module. A copy."""
        return self._ema.clone()

    def snapshot(self, decision: PruneDecision | None = None) -> Snapshot:
        """The state after the latest step. Costs one copy from the device, or none after a pruning at this step."""
        scores, dem = self._read()
        return Snapshot(
            step=self.last_step,
            total_steps=self.schedule.total_steps,
            budget=self.schedule.budget(self.last_step),
            live=self.live,
            threshold=self.threshold,
            is_pruning_step=decision is not None,
            is_final=self.is_final,
            n_modules=self.mask.shape[0],
            width=self.mask.shape[1],
            mask=self.mask.copy(),
            scores=scores.copy(),
            decision=decision,
            dem=dem,
            raw_scores=None if self._raw is None else to_host(self._raw),
            units=self._units,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, as tensors and JSON-serialisable values."""
        sensitivity = {} if self._sensitivity is None else self._sensitivity.state_dict()
        return {
            **{f"{_SENSITIVITY}{name}": tensor for name, tensor in sensitivity.items()},
            "ema": self._ema.clone(),
            "mask": torch.from_numpy(self.mask.copy()),
            "step": self.last_step,
            "total_steps": self.schedule.total_steps,
            "threshold": self.threshold,
            "prunings": self.prunings,
            "is_final": self.is_final,
            "is_held": self.schedule.is_held,
            "t_f": self.schedule.t_f,
            "target_rank": self.schedule.target_rank,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict()`.

        The run must have the same number of steps, unless the mask is final: then the schedule no longer matters. If
        "total_steps" is None, the state belongs to a fork, whose own schedule takes over and must end after the state's
        step.

        Raises ValueError if the state has other shapes or another number of steps.
        """
        ema, mask = state["ema"], state["mask"]
        if tuple(ema.shape) != self.mask.shape:
            raise ValueError(
                f"The saved scores have the shape {tuple(ema.shape)} (modules, components), this model has {self.mask.shape}; "
                "resume with the model and the initial_rank of the saved run."
            )
        step, total, saved_total = int(state["step"]), self.schedule.total_steps, state["total_steps"]
        was_final = bool(state["is_final"])
        if saved_total is not None and int(saved_total) != total and not was_final:
            raise ValueError(
                f"The saved run has {saved_total} steps, this one {total}, and the budget at step {step} "
                "depends on it. Resume with the same number of steps, or after the final mask."
            )
        if not was_final and not state["is_held"] and self.schedule.is_final(step):
            raise ValueError(
                f"The saved mask of step {step} is not final, but this schedule ends at step {self.schedule.t_f}: "
                "increase prune_end_ratio or the number of steps, so that it ends later."
            )
        self._ema.copy_(ema)
        self.mask = mask.cpu().numpy().astype(bool)
        self.threshold = None if state["threshold"] is None else float(state["threshold"])
        self.prunings = int(state["prunings"])
        self.last_step = step
        if state["target_rank"] is not None:
            self.schedule.set_target(int(state["target_rank"]))
        if was_final:
            self.schedule.settle(int(state["t_f"]), self.live)
        elif state["is_held"]:
            self.schedule.hold()
        self._host = self._observed = None
        if self.is_final:
            self._sensitivity = None
        elif self._sensitivity is not None:
            self._sensitivity.load_state_dict(
                {name.removeprefix(_SENSITIVITY): value for name, value in state.items() if isinstance(value, Tensor)}
            )

    def _score_and_smooth(self, step: int) -> None:
        """Compute the importance of this step, in a tensor that a later step may overwrite, and smooth it."""
        self._latest = self._scores(step)
        self._ema.mul_(self.config.beta).add_(self._latest, alpha=1 - self.config.beta)

    def _scores(self, step: int) -> Tensor:
        """Importance of this step (modules, width), before smoothing."""
        kind = self.config.score
        if kind == "random":
            # Seeded by the step, so there is no state to save and a resumed run draws the same numbers.
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
            return to_device(torch.rand(self.mask.shape, generator=generator), self.device)
        if kind == "sensitivity":
            if self._observed is None:
                self.observe_gradients()
            observed, self._observed = self._observed, None
            if observed is not None:
                return observed
        return self._weight_scores(kind)

    def _prune(self, step: int) -> PruneDecision:
        scores, _ = self._read()
        if step == self._keeps_mask_at:
            return self._keep_mask(step)
        budget = self.schedule.budget(step)
        flat = scores.reshape(-1)
        if self.config.needs_gradients and budget < self.schedule.initial and not flat.any():
            self.warn(
                "scores_zero",
                f"All scores are 0 at step {step}, so the order of the modules decides which components are kept: check "
                "that gradients are not zeroed before observe_gradients().",
            )
        if self.config.selection == "threshold":
            choice = select_above_threshold(flat, budget)
        else:
            choice = select(flat, budget, self._costs.reshape(-1) if self.config.budget_unit == "parameters" else None)
        before, self.mask = self.mask, choice.mask.reshape(self.mask.shape)
        self.threshold = choice.threshold
        self.prunings += 1
        self._apply_mask()
        return PruneDecision(
            step=step,
            budget=budget,
            live=self.live,
            threshold=choice.threshold,
            is_final=self.schedule.is_final(step),
            total=self.mask.size,
            pruned=self._changes(before & ~self.mask, scores, choice),
            regrown=self._changes(self.mask & ~before, scores, choice),
            units=self._units,
        )

    def _keep_mask(self, step: int) -> PruneDecision:
        """The final pruning after `freeze`: the mask does not change."""
        self.prunings += 1
        self._apply_mask()
        live, total = self.live, self.mask.size
        return PruneDecision(
            step, live, live, self.threshold, is_final=True, total=total, pruned=(), regrown=(), units=self._units
        )

    def _refuse_when_final(self, action: str) -> None:
        if self.is_final:
            raise ValueError(
                f"Can't {action}: the mask has been final since step {self.schedule.t_f}. Fork the run from a checkpoint "
                "before that step."
            )

    def _changes(self, changed: BoolArray, scores: FloatArray, choice: Selection) -> tuple[ComponentChange, ...]:
        place = choice.place.reshape(self.mask.shape)
        return tuple(
            ComponentChange(self.layers[m].name, int(m), int(i), float(scores[m, i]), int(place[m, i]))
            for m, i in zip(*np.nonzero(changed), strict=True)
        )

    def _apply_mask(self) -> None:
        """Set c = 0 for every pruned component. Does nothing once compacted."""
        if not self.components.is_compacted:
            self._scale_mask.apply(self.mask)

    def _read(self) -> tuple[FloatArray, float | None]:
        """Smoothed scores (modules, width) and the DEM value on the host, copied together at most once per step.

        They are copied in float32 at a pruning, otherwise in float16, as they are stored: half the bytes.
        """
        if self._host is None or (self._host[0] != self.last_step and not self._is_frozen(self._host[0])):
            dem = self.components.dem_value
            if self.schedule.is_pruning_step(self.last_step):
                flat = self._ema.reshape(-1)
                if dem is not None:
                    flat = torch.cat([flat, dem.detach().to(self.device, torch.float32).reshape(1)])
                values = to_host(flat)
                scores, shown = values[: self.mask.size], float(values[-1]) if dem is not None else None
            else:
                scores, shown = unpack_halves(to_host(pack_halves(self._ema, dem)), self.mask.size)
            self._host = (self.last_step, scores.reshape(self.mask.shape), shown)
        return self._host[1], self._host[2] if self._host[0] == self.last_step else None

    def _is_frozen(self, step: int) -> bool:
        """Whether the scores that were read at `step` can no longer change."""
        return self.schedule.is_final(step)
