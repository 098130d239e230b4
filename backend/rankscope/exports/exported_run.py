"""What a report and a bundle need to know about a run. The API's detail of a run has all of it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rankscope.contract.config import RunConfig
from rankscope.contract.events import Module
from rankscope.contract.status import RunStatus
from rankscope.contract.stored import Environment


class ExportedMetric(Protocol):
    """A metric's summary; values that are not finite are text."""

    @property
    def last(self) -> float | str: ...

    @property
    def max(self) -> float | str: ...

    last_step: int
    max_step: int


class ExportedHeadline(Protocol):
    """The run's headline metric."""

    name: str
    title: str

    @property
    def best(self) -> float | str | None: ...

    best_step: int | None


class PlannedBudget(Protocol):
    step: int
    budget: int


class ExportedRun(Protocol):
    id: str
    name: str
    status: RunStatus
    message: str | None
    notes: str
    method: str
    model_id: str
    data_id: str
    step: int
    total_steps: int | None
    attempt: int
    live: int | None
    mean_rank: float | None
    trained_parameters: int | None
    kept_parameters: int | None
    config: RunConfig
    environment: Environment
    modules: list[Module]
    width: int | None

    @property
    def metrics(self) -> Mapping[str, ExportedMetric]: ...

    @property
    def headline(self) -> ExportedHeadline: ...

    @property
    def planned_budget(self) -> Sequence[PlannedBudget]: ...

    def model_dump_json(self, *, indent: int | None = None) -> str: ...
