"""Reads the results of a run's evaluation rows."""

from itertools import islice
from pathlib import Path
from typing import Literal

from rankscope.contract.evaluation.results import RESULTS_FILE, ResultsHeader, StoredRow
from rankscope.contract.tables import Run
from rankscope.data_folder import is_plain_file
from rankscope.settings import Settings

Order = Literal["worst", "best"]


def find_results(settings: Settings, run: Run) -> Path | None:
    """The file of the newest attempt that has one; None until an attempt has evaluated its last step."""
    files = (settings.attempt_dir(run.id, number) / RESULTS_FILE for number in range(run.attempt, 0, -1))
    return next((file for file in files if is_plain_file(settings.runs_dir, file)), None)


def read_results(file: Path, order: Order, offset: int, limit: int) -> tuple[ResultsHeader, list[StoredRow]]:
    """Returns the header and a page of rows, without reading the others into memory."""
    with file.open(encoding="utf-8") as lines:
        header = ResultsHeader.model_validate_json(next(lines))
        if order == "worst":
            start, stop = offset, offset + limit
        else:
            start, stop = max(0, header.kept_rows - offset - limit), max(0, header.kept_rows - offset)
        rows = [StoredRow.model_validate_json(line) for line in islice(lines, start, stop)]
    return header, rows if order == "worst" else rows[::-1]
