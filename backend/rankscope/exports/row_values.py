"""Finds the numbers of a run's evaluation rows."""

from pathlib import Path

from rankscope.contract.evaluation.row_values import RowValuesAt, row_values_file
from rankscope.contract.tables import Run
from rankscope.data_folder import is_plain_file
from rankscope.settings import Settings


def find_row_values(settings: Settings, run: Run, at: RowValuesAt = "final") -> Path | None:
    """Returns the file of the newest attempt that has one, for `read_row_values`; None if the run has none.

    Runs of earlier versions have none, and neither do runs that were stopped before their last evaluation.
    """
    name = row_values_file(at)
    files = (settings.attempt_dir(run.id, number) / name for number in range(run.attempt, 0, -1))
    return next((file for file in files if is_plain_file(settings.runs_dir, file)), None)
