"""Full fine-tuning: every weight is trained."""

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from rankscope.contract.methods.base import Method


class FullMethod(Method):
    """Full fine-tuning: all weights are trained. The ceiling to compare with; there are no ranks to watch."""

    model_config = ConfigDict(title="Full fine-tuning")

    name: Literal["full"] = "full"
    learning_rate: ClassVar[float] = 5e-5
    has_budget: ClassVar[bool] = False

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, Any]:  # noqa: ARG003
        return {}
