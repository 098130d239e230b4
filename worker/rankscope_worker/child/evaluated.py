"""Evaluated: gives a task the outputs of an evaluation together with the rows that they belong to, and saves the results."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from transformers import EvalPrediction, PreTrainedTokenizerBase

from rankscope.catalog.data.entry import Row
from rankscope.contract.evaluation.results import (
    MAX_CHARACTERS,
    MAX_CONFUSION_LABELS,
    MAX_ROWS,
    RESULTS_FILE,
    ResultsHeader,
    RowResult,
    StoredRow,
)
from rankscope.contract.evaluation.row_values import RowValuesAt, encode_row_values, row_values_file
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.part_metrics import part_metrics
from rankscope_worker.child.tasks import Evaluation, TrainedTask


@dataclass
class Evaluated:
    task: TrainedTask
    encoded: EncodedRows
    rows: Sequence[Row]
    tokenizer: PreTrainedTokenizerBase
    labels: Sequence[str] = ()
    parts: Sequence[str] = ()
    """The part of each row, if the data set names them."""
    last: Evaluation | None = None
    """The newest evaluation of this attempt."""

    def measure(self, prediction: EvalPrediction) -> dict[str, float]:
        """Trainer's `compute_metrics`."""
        self.last = Evaluation(prediction.predictions, prediction.label_ids, self.encoded, self.rows, self.tokenizer)
        return {**self.task.metrics(self.last), **part_metrics(self.task, self.last, self.parts)}

    def save_row_values(self, folder: Path, at: RowValuesAt, step: int) -> None:
        """Writes the numbers of each row in the newest evaluation, if there are any, completely or not at all."""
        values = None if self.last is None else self.task.row_values(self.last)
        if values:
            _write(folder / row_values_file(at), encode_row_values(step, values))

    def save_results(self, folder: Path, step: int) -> None:
        """Writes the results of the newest evaluation to the attempt's folder, completely or not at all.

        Without an evaluation, or for a task without results, nothing is written.
        """
        if self.last is None:
            return
        results = zip(self.task.rows_with_results(self.last), self.task.results(self.last), strict=False)
        rows = [StoredRow(row=row, **_short(result).model_dump()) for row, result in islice(results, MAX_ROWS)]
        if not rows:
            return
        rows.sort(key=_badness, reverse=True)
        confusion = self.task.confusion(self.last) if 1 < len(self.labels) <= MAX_CONFUSION_LABELS else None
        header = ResultsHeader(
            step=step,
            rows=len(self.rows),
            kept_rows=len(rows),
            labels=list(self.labels) if confusion else [],
            confusion=confusion,
        )
        _write(folder / RESULTS_FILE, "".join(f"{line.model_dump_json()}\n" for line in (header, *rows)).encode())


def _write(target: Path, content: bytes) -> None:
    working = target.with_name(f".{target.name}")
    with working.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(working, target)


def _badness(row: StoredRow) -> tuple[float, bool]:
    if row.loss is None:
        return -math.inf, row.is_right is False
    return math.inf if math.isnan(row.loss) else row.loss, row.is_right is False


def _short(result: RowResult) -> RowResult:
    return result.model_copy(
        update={
            "inputs": {name: _cut(text) for name, text in result.inputs.items()},
            "target": _cut(result.target),
            "prediction": _cut(result.prediction),
        }
    )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"
