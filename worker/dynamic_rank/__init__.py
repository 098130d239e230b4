"""Dynamic rank (DoRA, Mao et al., ACL 2024, arXiv 2405.17357), built on PEFT's LoRA and transformers' Trainer.

    method = create_method("dynamic_rank", {"target_rank": 8})
    model = method.prepare(model, "SEQ_CLS")
    trainer = make_trainer_class(Trainer)(model=model, method=method, callbacks=method.callbacks(), ...)
    trainer.train(resume_from_checkpoint=...)
    method.export(folder)

In your own training loop use `wrap`, `dem_loss`, `RankAllocator`, `compact` and `export_lora`. PEFT's `use_dora`
is another method of the same name (weight decomposition); this one is Dynamic Low-Rank Adaptation.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter.orthogonality import orthogonal_loss
    from .adapter.regularizer import dem_loss
    from .adapter.targets import AdaptedModule
    from .allocation.allocator import RankAllocator
    from .allocation.compaction import compact
    from .allocation.scores import component_norms, component_scores
    from .allocation.snapshot import ComponentChange, PruneDecision, Snapshot
    from .methods import ParameterCount, RankMethod, RunContext, Stopped, create_method
    from .methods.trainer import MethodTrainerMixin, make_trainer_class
    from .saving.checkpoint import last_complete_checkpoint
    from .saving.export import export_lora
    from .schedule.budget import BudgetSchedule
    from .schedule.config import DynamicRankConfig
    from .training.callback import DynamicRankCallback
    from .warning import RankWarning
    from .wrapping import wrap

__all__ = [
    "AdaptedModule",
    "BudgetSchedule",
    "ComponentChange",
    "DynamicRankCallback",
    "DynamicRankConfig",
    "MethodTrainerMixin",
    "ParameterCount",
    "PruneDecision",
    "RankAllocator",
    "RankMethod",
    "RankWarning",
    "RunContext",
    "Snapshot",
    "Stopped",
    "compact",
    "component_norms",
    "component_scores",
    "create_method",
    "dem_loss",
    "export_lora",
    "last_complete_checkpoint",
    "make_trainer_class",
    "orthogonal_loss",
    "wrap",
]

_MODULES = {
    "AdaptedModule": ".adapter.targets",
    "BudgetSchedule": ".schedule.budget",
    "ComponentChange": ".allocation.snapshot",
    "DynamicRankCallback": ".training.callback",
    "DynamicRankConfig": ".schedule.config",
    "MethodTrainerMixin": ".methods.trainer",
    "ParameterCount": ".methods",
    "PruneDecision": ".allocation.snapshot",
    "RankAllocator": ".allocation.allocator",
    "RankMethod": ".methods",
    "RankWarning": ".warning",
    "RunContext": ".methods",
    "Snapshot": ".allocation.snapshot",
    "Stopped": ".methods",
    "compact": ".allocation.compaction",
    "component_norms": ".allocation.scores",
    "component_scores": ".allocation.scores",
    "create_method": ".methods",
    "dem_loss": ".adapter.regularizer",
    "export_lora": ".saving.export",
    "last_complete_checkpoint": ".saving.checkpoint",
    "make_trainer_class": ".methods.trainer",
    "orthogonal_loss": ".adapter.orthogonality",
    "wrap": ".wrapping",
}
"""The module of each public name, imported on first use: `dynamic_rank.schedule` must be importable without torch."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
