"""AssignedMethod: base class of the methods that assign ranks once, before training, by a score of each module."""

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator

from rankscope.contract.errors import FieldProblem
from rankscope.contract.methods.base import Layer, Method, RankChanges
from rankscope.contract.methods.fields import LoraAlpha, LoraDropout, TargetModules
from rankscope.contract.parts import advanced, refuse


class AssignedMethod(Method):
    """Ranks in proportion to a score of each module, within the parameters of a LoRA of `rank`."""

    rank_changes: ClassVar[RankChanges] = "before_training"
    rank_note: ClassVar[str] = "Ranks are assigned before training, and every module keeps its rank."

    rank: int = Field(
        default=8,
        ge=1,
        le=256,
        title="Mean rank",
        description="The budget: as many parameters as a LoRA of this rank.",
    )
    least_rank: int = Field(
        default=1,
        ge=0,
        le=256,
        title="Least rank",
        description="A module gets at least this rank. 0: a module may be left out.",
        json_schema_extra=advanced(),
    )
    largest_rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        title="Largest rank",
        description="A module gets at most this rank. Empty: 4 times the mean rank.",
        json_schema_extra=advanced(),
    )
    lora_alpha: LoraAlpha = 8.0
    lora_dropout: LoraDropout = 0.1
    target_modules: TargetModules = None

    def problems(self, layers: Sequence[Layer], *, batch_size: int, max_length: int) -> list[FieldProblem]:  # noqa: ARG002
        if len(layers) != 1 or self.least_rank == self.rank:
            return []
        return [
            FieldProblem(
                "config.method.target_modules",
                [layers[0].name],
                "is one module, so there is nothing to assign",
                "Adapt at least two modules, or use a fixed rank.",
            )
        ]

    def warnings(self, *, learning_rate: float, total_steps: int) -> list[str]:  # noqa: ARG002
        if self.rank not in (self.least_rank, self.largest_rank):
            return []
        return [
            f"Every module gets rank {self.rank}, as in a LoRA of that rank: lower least_rank, or raise largest_rank."
        ]

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.least_rank > self.rank:
            raise refuse(
                "least_rank",
                self.least_rank,
                f"is {self.least_rank}, above rank {self.rank}, which is the budget of a module",
                f"Set least_rank to {self.rank} or less.",
            )
        if self.largest_rank is not None and self.largest_rank < self.rank:
            raise refuse(
                "largest_rank",
                self.largest_rank,
                f"is {self.largest_rank}, below rank {self.rank}, so that the budget can't be used",
                f"Set largest_rank to {self.rank} or more, or leave it empty for {4 * self.rank}.",
            )
        return self
