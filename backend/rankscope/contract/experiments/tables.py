"""The tables of experiments: design and trials are the source of truth, the answer is computed from them."""

from sqlalchemy import JSON, BigInteger, Column, Enum, ForeignKeyConstraint, Index, Integer, LargeBinary
from sqlmodel import Field, SQLModel

from rankscope.contract.experiments.design import Collapse, ExperimentStatus, TrialPurpose, TrialStatus
from rankscope.contract.stored import Payload


class Experiment(SQLModel, table=True):
    """A comparison of methods by several trials. Its design is a `contract.experiments.design.Design`."""

    __tablename__ = "experiment"
    __table_args__ = (Index("ix_experiment_created", "created_at"),)

    id: str = Field(primary_key=True, max_length=16)
    name: str = Field(max_length=200)
    notes: str = ""
    source: str = Field(default="launched", max_length=16)
    """`launched` or `imported`."""
    status: ExperimentStatus = Field(
        sa_column=Column(Enum(ExperimentStatus, native_enum=False, length=16), nullable=False)
    )
    message: str | None = None
    """Why it waits or ended."""
    next_step: str | None = None
    design: Payload = Field(sa_column=Column(JSON, nullable=False))
    is_extended_after_looking: bool = False
    """Whether seeds were added that were not planned, after the answer had been shown."""
    created_at: float
    updated_at: float
    revision: int = 0
    """Incremented whenever a trial or the design changes; an answer is of one revision."""
    seen_revision: int | None = None
    """The newest revision whose answer with test results was shown."""


class Trial(SQLModel, table=True):
    """One training of a cell (variant, budget and task) at one seed: by a run, or imported."""

    __tablename__ = "trial"
    __table_args__ = (Index("ix_trial_run", "run_id"),)

    experiment_id: str = Field(primary_key=True, foreign_key="experiment.id", ondelete="CASCADE", max_length=16)
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    """From 1 in each experiment. The planner numbers them, so a trial can't be planned twice."""
    purpose: TrialPurpose = Field(sa_column=Column(Enum(TrialPurpose, native_enum=False, length=16), nullable=False))
    status: TrialStatus = Field(sa_column=Column(Enum(TrialStatus, native_enum=False, length=16), nullable=False))
    task: str = Field(max_length=100)
    """`name` of a task of the design. `variant` is that of a variant."""
    variant: str = Field(max_length=100)
    budget: float
    """Mean kept rank of the cell."""
    seed: int = Field(sa_column=Column(BigInteger, nullable=False))
    options: Payload = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    """What this trial chose within its cell: `learning_rate`, and the method's own options."""
    run_id: str | None = Field(default=None, max_length=16)
    """Its run, which may have been deleted since. Null if it was imported, or has no run yet."""

    value: float | None = None
    """The headline metric at the end. Null without a result, and if it is not finite."""
    metrics: dict[str, float | str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    """All final metrics by name; values that are not finite are the strings "NaN", "Infinity" and "-Infinity"."""
    ranks: dict[str, int] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    """Kept rank of each module by name, 0 included, in the order of the model. Null for methods without ranks."""
    kept_parameters: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    collapse: Collapse | None = Field(
        default=None, sa_column=Column(Enum(Collapse, native_enum=False, length=16), nullable=True)
    )
    """Set if the value is not that of a trained model."""
    message: str | None = None
    """Why it failed."""


class TrialRows(SQLModel, table=True):
    """The score of each evaluation row of a trial, in the order of the data set; the headline metric is their mean."""

    __tablename__ = "trial_rows"
    __table_args__ = (
        ForeignKeyConstraint(["experiment_id", "number"], ["trial.experiment_id", "trial.number"], ondelete="CASCADE"),
    )

    experiment_id: str = Field(primary_key=True, max_length=16)
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int
    """Number of rows."""
    scores: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """float32, little-endian, compressed by zlib (store/experiments/row_scores.py)."""


class ExperimentAnswer(SQLModel, table=True):
    """The computed answer of one revision of an experiment; computed again if it is missing."""

    __tablename__ = "experiment_answer"

    experiment_id: str = Field(primary_key=True, foreign_key="experiment.id", ondelete="CASCADE", max_length=16)
    selection: str = Field(primary_key=True, max_length=200)
    """Which comparisons it has: the key of a `Selection`; empty for all."""
    revision: int
    format: int
    """`contract.experiments.answer.ANSWER_FORMAT` of the version that computed it."""
    answer: str
    """An `Answer` as JSON."""
