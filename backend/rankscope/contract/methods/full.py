"""Full fine-tuning: every weight is trained."""

from typing import ClassVar, Literal

from pydantic import ConfigDict

from rankscope.contract.methods.base import Method, RankRule


class FullMethod(Method):
    """Full fine-tuning: all weights are trained. An upper bound for comparison, without ranks."""

    model_config = ConfigDict(title="Full fine-tuning")

    label: ClassVar[str] = "Full"
    learning_rate: ClassVar[float] = 5e-5
    artifact: ClassVar[Literal["adapter", "model"]] = "model"
    has_ranks: ClassVar[bool] = False
    rank_note: ClassVar[str] = "Every weight is trained; there are no ranks."
    budget_field: ClassVar[str | None] = None
    health_rules: ClassVar[frozenset[RankRule]] = frozenset()

    name: Literal["full"] = "full"

    @property
    def run_name(self) -> str:
        return "full"
