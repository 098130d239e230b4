"""What the API returns about a method: everything that the page needs to show its runs."""

from typing import Literal, Self

from rankscope.api.shapes.base import Shape
from rankscope.contract.methods import Method, RankChanges


class MethodShape(Shape):
    name: str
    """The value of `method.name` in a configuration."""
    label: str
    """Short name for tables and charts."""
    title: str
    """The name in the form."""
    has_ranks: bool
    """Whether modules have a rank: rank snapshots, importance scores, a budget."""
    rank_changes: RankChanges
    """When the rank of a module changes."""
    rank_note: str
    """One sentence about its ranks."""
    prunes: bool
    """Whether components are pruned during training, so that there is a ledger."""
    budget_field: str | None
    """The option with the mean rank at the end; null if there isn't one."""
    trains_scales: bool
    """Whether a component has a trained scale, so that it has out + in + 1 parameters, not out + in."""
    can_be_steered: bool
    fork_fields: list[str]
    """Options that a fork may change."""
    fork_fields_after_pruning: list[str]
    """Options that a fork may still change when the mask of its checkpoint is final."""
    learning_rate: float
    """The best learning rate in short runs of the demo."""
    artifact: Literal["adapter", "model"]
    """The result of a finished run."""

    @classmethod
    def of(cls, kind: type[Method]) -> Self:
        return cls(
            name=kind.key(),
            label=kind.label,
            title=kind.title(),
            has_ranks=kind.has_ranks,
            rank_changes=kind.rank_changes,
            rank_note=kind.rank_note,
            prunes=kind.prunes(),
            budget_field=kind.budget_field,
            trains_scales=kind.trains_scales,
            can_be_steered=kind.can_be_steered,
            fork_fields=sorted(kind.fork_fields),
            fork_fields_after_pruning=sorted(kind.fork_fields_after_pruning),
            learning_rate=kind.learning_rate,
            artifact=kind.artifact,
        )


class MethodList(Shape):
    items: list[MethodShape]
    """In the order of the form."""
