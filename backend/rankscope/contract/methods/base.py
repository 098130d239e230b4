"""Method: what the rest of the product asks a method about itself."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rankscope.contract.parts import Part


class Method(Part):
    """What the rest of the product asks a method about itself."""

    learning_rate: ClassVar[float] = 3e-3
    """Where this method learned best in short runs of the demo (docs/method.md); the form proposes it."""
    has_budget: ClassVar[bool] = True
    """Whether a mean rank says how much it keeps."""
    budget_field: ClassVar[str] = "rank"
    """The option that is the mean rank kept at the end."""
    can_be_steered: ClassVar[bool] = False

    @classmethod
    def own_rate(cls, options: Mapping[str, Any]) -> float:  # noqa: ARG003
        """The learning rate to propose for these options, which may be incomplete."""
        return cls.learning_rate

    @classmethod
    def mean_budget(cls, options: Mapping[str, Any]) -> float | None:
        """Mean rank kept at the end with these options; None where they do not say. TypeError for a wrong type."""
        rank = options.get(cls.budget_field)
        return None if rank is None else float(rank)

    @classmethod
    def options_at_budget(cls, mean_rank: int) -> dict[str, Any]:
        """The options that keep `mean_rank` components a module."""
        return {cls.budget_field: mean_rank}
