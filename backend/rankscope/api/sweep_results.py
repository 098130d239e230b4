"""The results of a sweep, read once for the leaderboard, the analysis and the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.contract.sweeps.analysis import AnalysisInput, PointResult
from rankscope.contract.sweeps.design import BUDGET, SweepDesign, SweepTrialStatus
from rankscope.launch.sweeps.advance import known_trials
from rankscope.search.board import Standing, leaderboard
from rankscope.store.database.engine import reading
from rankscope.store.listing.fields import Field, config_fields
from rankscope.store.sweeps import sweeps
from rankscope.store.sweeps.sweeps import StoredTrial


@dataclass(frozen=True)
class Board:
    revision: int
    design: SweepDesign
    standings: list[Standing]
    trials: dict[int, list[StoredTrial]]
    """By point."""


def read_board(engine: Engine, sweep_id: str) -> Board:
    with reading(engine) as session:
        sweep = sweeps.get(session, sweep_id)
        revision, design = sweep.revision, sweeps.design_of(sweep)
        found = sweeps.read_trials(session, sweep_id)
    trials: dict[int, list[StoredTrial]] = {}
    for one in found:
        trials.setdefault(one.point, []).append(one)
    return Board(revision, design, leaderboard(design, known_trials(found)), trials)


def analysis_input(board: Board) -> AnalysisInput:
    """Points that halving has stopped are left out: their values are of an earlier step."""
    fields = config_fields()
    return AnalysisInput(
        design=board.design,
        results=[
            PointResult(point=one.point.number, values=one.point.values, value=one.mean)
            for one in sorted(board.standings, key=lambda one: one.point.number)
            if one.mean is not None and one.status != SweepTrialStatus.pruned
        ],
        titles={name: _title(name, fields) for name in board.design.parameters},
    )


def _title(name: str, fields: Mapping[str, Field]) -> str:
    """The titles of the form, except that `method.name` (in the form: "Name") is the method."""
    part, _, own = name.partition(".")
    if name == BUDGET:
        return "Mean rank"
    return part.capitalize() if own in ("name", "id") else fields[f"config.{name}"].title


def check_matrix(design: SweepDesign, rows: str | None, columns: Sequence[str]) -> list[str]:
    """Returns the parameters of the columns. Raises BadInput for those that the sweep does not have."""
    known = ", ".join(design.parameters)
    if rows is None and columns:
        message = f"is {', '.join(columns)}, but rows is empty"
        raise BadInput([FieldProblem("columns", list(columns), message, f"Set rows to one of {known}.")])
    for field, name in (("rows", rows), *(("columns", one) for one in columns)):
        if name is not None and name not in design.parameters:
            message = f"is {name!r}, which is not a parameter of this sweep"
            raise BadInput([FieldProblem(field, name, message, f"Use one of {known}.")])
    if len({rows, *columns}) <= len(columns):
        message = f"is {', '.join(columns)}, with a parameter that is used twice"
        raise BadInput([FieldProblem("columns", list(columns), message, "Use each parameter once.")])
    return list(columns)
