"""What an answer is computed from: the design, and what each trial measured."""

import base64
import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from rankscope.contract.experiments.design import (
    Collapse,
    Design,
    Role,
    TrialPurpose,
    TrialStatus,
    Variant,
)

_Bytes = Annotated[
    bytes,
    PlainValidator(lambda value: value if isinstance(value, bytes) else base64.b64decode(value)),
    PlainSerializer(lambda value: base64.b64encode(value).decode(), return_type=str, when_used="json"),
]


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TrialData(_Input):
    """A row of table `trial`."""

    number: int
    purpose: TrialPurpose
    status: TrialStatus
    task: str
    variant: str
    budget: float
    seed: int
    learning_rate: float | None
    value: float | None
    ranks: dict[str, int] | None
    kept_parameters: int | None
    collapse: Collapse | None
    run_id: str | None

    @property
    def is_result(self) -> bool:
        return self.purpose != TrialPurpose.tune


class Selection(_Input):
    """Which comparisons are shown, and therefore corrected together; None means all. The baseline is always included."""

    task: str | None = None
    budget: float | None = None
    variants: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """A short text for each selection; empty for all."""
        if self == Selection():
            return ""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def has(self, task: str, budget: float) -> bool:
        return self.task in (None, task) and self.budget in (None, budget)

    def has_variant(self, variant: Variant) -> bool:
        """Whether a variant is shown; controls are, with the method that they are of."""
        shown = self.variants
        return shown is None or variant.role == Role.baseline or variant.name in shown or variant.of in shown


class AnswerInput(_Input):
    revision: int
    design: Design
    is_extended_after_looking: bool
    trials: list[TrialData]
    scores: dict[int, _Bytes]
    """Scores of the evaluation rows by number of the trial: float32, little-endian."""
    selection: Selection = Selection()
