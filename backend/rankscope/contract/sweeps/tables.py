"""The tables of sweeps. Everything else about a sweep is computed from its design and its trials."""

from sqlalchemy import JSON, BigInteger, Column, Enum, Index, Integer
from sqlmodel import Field, SQLModel

from rankscope.contract.stored import Payload
from rankscope.contract.sweeps.design import SweepStatus, SweepTrialStatus, Values


class Sweep(SQLModel, table=True):
    """A search over the values of some parameters. Its design is a `contract.sweeps.design.SweepDesign`."""

    __tablename__ = "sweep"
    __table_args__ = (Index("ix_sweep_created", "created_at"),)

    id: str = Field(primary_key=True, max_length=16)
    name: str = Field(max_length=200)
    notes: str = ""
    status: SweepStatus = Field(sa_column=Column(Enum(SweepStatus, native_enum=False, length=16), nullable=False))
    message: str | None = None
    """Why it waits or ended."""
    next_step: str | None = None
    design: Payload = Field(sa_column=Column(JSON, nullable=False))
    created_at: float
    updated_at: float
    revision: int = 0
    """Incremented by every change of its design, status or trials. Trials are planned for one revision: if it has changed
    when they are stored, they are discarded."""
    active_s: float = 0.0
    """Time that it ran, up to the last pause or end."""
    active_since: float | None = None
    """Null unless it is running."""


class SweepTrial(SQLModel, table=True):
    """One training of a point at one seed."""

    __tablename__ = "sweep_trial"
    __table_args__ = (Index("ix_sweep_trial_run", "run_id"),)

    sweep_id: str = Field(primary_key=True, foreign_key="sweep.id", ondelete="CASCADE", max_length=16)
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    """From 1 in each sweep. The planner numbers them, so a trial can't be planned twice."""
    point: int
    """From 1 in each sweep; trials of a point differ in the seed."""
    seed: int = Field(sa_column=Column(BigInteger, nullable=False))
    status: SweepTrialStatus = Field(
        sa_column=Column(Enum(SweepTrialStatus, native_enum=False, length=16), nullable=False)
    )
    options: Values = Field(sa_column=Column(JSON, nullable=False))
    """The values of its point, by parameter."""
    run_id: str | None = Field(default=None, max_length=16)
    """Its run, which may have been deleted since."""
    value: float | None = None
    """The metric of the finished run. Null without a result, and if it is not finite."""
    is_diverged: bool = False
    rungs: list[float | None] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    """The metric at each rung that its run has reached; null if it was not finite."""
    message: str | None = None
    """Why it was stopped or has failed."""
