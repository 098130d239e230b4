"""DynamicRankCallback: dynamic rank in any transformers.Trainer."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback, Trainer and RankMethod)
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..adapter.components import Components
from ..adapter.term_count import TermCount
from ..allocation.allocator import RankAllocator
from ..allocation.compaction import compact
from ..allocation.snapshot import OnSnapshot, PruneDecision
from ..saving.checkpoint import INFO, check_same
from ..saving.run_state import save_run_state
from ..schedule.config import DynamicRankConfig
from ..warning import OnWarning, Warner
from .trainer_checks import check_arguments, check_parameters, loss_scale, without_gradient


class DynamicRankCallback(TrainerCallback):
    """Scores and prunes after each optimizer step, compacts after the final mask, and reports snapshots.

    on_snapshot  called with a Snapshot at the start of training, every `snapshot_every` steps, after every pruning, and
                 at the end
    on_warning   called with (code, message) for problems that do not stop training; `warnings.warn` is used without it.
                 Codes: dem_missing, nan_scores, budget_unmoved, ranks_equal, never_stepped, stopped_before_final_mask,
                 compaction_unavailable, no_gradient

    Add eta * dem_loss(model) to the loss, or use `make_trainer_class`, which does; a missing term causes a warning.
    Trainer's checkpoints include the ranks: resuming and load_best_model_at_end use the wrapped model's `load_adapter`. A
    metric counts for the best model once the mask is final.

    Raises ValueError for snapshot_every < 1 and, when training begins, for arguments of Trainer that are not supported
    (see `trainer_checks`) or a run that is too short.
    """

    def __init__(
        self,
        config: DynamicRankConfig,
        on_snapshot: OnSnapshot | None = None,
        snapshot_every: int = 1,
        on_warning: OnWarning | None = None,
    ) -> None:
        if snapshot_every < 1:
            raise ValueError(f"snapshot_every={snapshot_every} must be at least 1; set it to 1 for every step.")
        self.config = config
        self.on_snapshot = on_snapshot
        self.snapshot_every = snapshot_every
        self.warn = Warner(on_warning)
        self.keeps_raw_scores = False
        """Set before training begins: snapshots also have the scores before smoothing."""
        self.allocator: RankAllocator | None = None
        self.on_resize: Callable[[], None] | None = None
        self.resume_state: Mapping[str, Any] | None = None
        self._first_step = 0
        self._reported = -1
        self._has_stepped = False
        self._regularizer_calls = 0
        self._began_with: Mapping[str, Any] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the mask is final, so that a metric belongs to the model that is kept."""
        return self.allocator is not None and self.allocator.is_final

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        model: nn.Module = kwargs["model"]
        check_arguments(args, self.config)
        self.allocator = RankAllocator(model, self.config, state.max_steps)
        self.allocator.keeps_raw_scores = self.keeps_raw_scores
        self.allocator.warn = self.warn
        components = self.allocator.components
        check_parameters(components, self.config, kwargs.get("optimizer"), is_scaled=self.on_resize is not None)
        resumed = self._take_resumed(components, state.global_step)
        if resumed is not None:
            self.allocator.load_state_dict(resumed)
        elif components.is_compacted:
            raise RuntimeError(
                "This model was already compacted, by an earlier training (or before auto_find_batch_size restarted it); "
                "wrap the base model again to train with a new budget, or resume from a checkpoint."
            )
        if self.allocator.last_step != state.global_step:
            raise RuntimeError(
                f"Training starts at step {state.global_step}, but the rank state is from step {self.allocator.last_step}. "
                "Resume with train(resume_from_checkpoint=...) from a checkpoint that was written with this callback, or "
                "wrap the base model again to start at step 0."
            )
        # Checks the config, not the schedule: freezing the mask before the first pruning keeps all components on purpose.
        if self.config.width == self.config.target_rank and not self.allocator.is_final:
            self.warn(
                "budget_unmoved",
                f"initial_rank={self.config.width} equals target_rank, so no component will ever be pruned; "
                "increase initial_rank.",
            )
        if self.on_resize is None:
            components.allocator = self.allocator
        accumulates = args.gradient_accumulation_steps > 1 and self.config.eta > 0
        components.term = TermCount(self.config.eta) if accumulates else None
        self._first_step = state.global_step
        self._reported = -1
        self._has_stepped = False
        self._regularizer_calls = components.regularizer_calls
        self._report(None)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.allocator is None:
            return
        components = self.allocator.components
        components.is_term_due = True
        if components.term is not None:
            components.term.begin_step()

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.allocator is not None and self.allocator.components.term is not None:
            self.allocator.components.term.decide(loss_scale(kwargs.get("optimizer")))

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        allocator = self._running()
        if not self._has_stepped and (missing := without_gradient(allocator.components)):
            self.warn(
                "no_gradient",
                f"{len(missing)} of {len(allocator.layers)} modules got no gradient in the first step (the first is "
                f"{missing[0]}): their layer was not called. If it never is, exclude them with target_modules.",
            )
        allocator.observe_gradients()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        allocator = self._running()
        was_final = allocator.is_final
        decision = allocator.step(state.global_step)
        self._has_stepped = True
        if not was_final:
            self._check_regularizer(allocator)
            # Until now, metrics belonged to a larger model than the one that is kept.
            state.best_metric = state.best_global_step = state.best_model_checkpoint = None
        if decision is not None and decision.is_final:
            self._check_ranks(allocator)
            self._compact(kwargs["model"], kwargs.get("optimizer"), args)
        if decision is not None or state.global_step % self.snapshot_every == 0:
            self._report(decision)
        if allocator.is_final:
            allocator.components.dem_value = None  # the term is no longer added

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # save_pretrained has written it, unless a custom Trainer doesn't call it. A missing folder was renamed or
        # discarded.
        folder = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
        if args.should_save and folder.is_dir() and not (folder / INFO).exists():
            save_run_state(folder, kwargs["model"], "dynamic_rank", self.config.to_dict(), self.allocator)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        allocator = self._running()
        components = allocator.components
        components.allocator = components.term = None
        if components.restored is not None and components.restored.allocator is not None:
            # load_best_model_at_end has restored the best checkpoint.
            allocator.load_state_dict(components.restored.allocator)
        components.restored = None
        if not self._has_stepped and self._first_step < state.max_steps:
            self.warn(
                "never_stepped",
                "Training ended without an optimizer step seen by DynamicRankCallback, so no rank was allocated; check "
                "that the data is not empty and that the callback is in Trainer's list.",
            )
        elif not allocator.is_final:
            self.warn(
                "stopped_before_final_mask",
                f"Training stopped at step {allocator.last_step}, before the final mask at step "
                f"{allocator.schedule.t_f}: the ranks are not final. Resume from the last checkpoint.",
            )
        if self._reported < allocator.last_step:
            self._report(None)

    def _take_resumed(self, components: Components, first_step: int) -> Mapping[str, Any] | None:
        """The allocator's state of the checkpoint that training resumes from; None at the start of a run."""
        restored, components.restored = components.restored, None
        if self.resume_state is None and restored is not None:
            check_same(restored.options, self.config.to_dict(), "dynamic_rank")
            self.resume_state = restored.allocator
        resumed, self.resume_state = self.resume_state, None
        # auto_find_batch_size restarts from the same checkpoint, but reads it only once.
        if resumed is None and self._began_with is not None and int(self._began_with["step"]) == first_step > 0:
            resumed = self._began_with
        self._began_with = resumed
        return resumed

    def _running(self) -> RankAllocator:
        if self.allocator is None:
            raise RuntimeError("DynamicRankCallback saw a step before on_train_begin; add it before calling train().")
        return self.allocator

    def _check_regularizer(self, allocator: RankAllocator) -> None:
        calls = allocator.components.regularizer_calls
        if self.config.eta > 0 and calls == self._regularizer_calls:
            self.warn(
                "dem_missing",
                f"eta={self.config.eta} but the loss has no DEM term; use make_trainer_class(Trainer), add "
                "eta * dem_loss(model) to the loss, or set eta=0.",
            )
        self._regularizer_calls = calls

    def _check_ranks(self, allocator: RankAllocator) -> None:
        ranks = set(allocator.live_ranks().values())
        if len(ranks) == 1 and len(allocator.layers) > 1 and allocator.schedule.initial > allocator.schedule.final:
            self.warn(
                "ranks_equal",
                f"Every module ended at rank {ranks.pop()}: the scores did not distinguish between modules, so the result "
                "is plain LoRA. Use another score (for example norm), a higher learning rate, or more steps.",
            )

    def _compact(self, model: nn.Module, optimizer: Any, args: TrainingArguments) -> None:
        allocator = self._running()
        if not self.config.compact:
            return
        if args.world_size > 1 and self.on_resize is None:
            self.warn(
                "compaction_unavailable",
                "In a run with several processes the tensors are compacted only with make_trainer_class(Trainer), which "
                "can update DistributedDataParallel. The final mask is re-applied after each step instead.",
            )
            return
        try:
            compact(model, allocator.masks(), optimizer)
        except ValueError as error:
            self.warn("compaction_unavailable", f"{error} The final mask is re-applied after each step instead.")
            return
        if self.on_resize is not None:
            self.on_resize()

    def _report(self, decision: PruneDecision | None) -> None:
        allocator = self._running()
        snapshot = allocator.snapshot(decision)
        self._reported = snapshot.step
        if np.isnan(snapshot.scores).any():
            self.warn(
                "nan_scores",
                f"Scores are NaN at step {snapshot.step}: the training has diverged. Lower the learning rate.",
            )
        if self.on_snapshot is not None:
            self.on_snapshot(snapshot)
