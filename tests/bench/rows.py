"""Rows: one JSON line per figure, printed and appended to tests/bench/results/NAME.jsonl."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One figure. Without a limit it only explains another figure, and can't pass or fail."""

    figure: str
    value: float
    unit: str
    limit: float | None
    passes: bool | None
    against: str
    machine: str
    date: str
    smoke: bool = False


class Rows:
    """Prints each figure when it is added; `store` appends the new ones to the results of benchmark `name`."""

    def __init__(self, name: str, device: str = "", *, smoke: bool = False) -> None:
        """`device`: the one it ran on, if not the CPU. `smoke`: a trial run, whose figures have no meaning or limit."""
        self.path = RESULTS / f"{name}.jsonl"
        self.rows: list[Row] = []
        self._smoke = smoke
        self._machine = f"{device}, {machine()}" if device else machine()
        self._date = datetime.now(UTC).date().isoformat()

    def at_most(self, figure: str, value: float, limit: float, unit: str, against: str) -> None:
        self._add(figure, value, unit, limit, value <= limit, against)

    def at_least(self, figure: str, value: float, limit: float, unit: str, against: str) -> None:
        self._add(figure, value, unit, limit, value >= limit, against)

    def tell(self, figure: str, value: float, unit: str, against: str = "") -> None:
        self._add(figure, value, unit, None, None, against)

    def store(self) -> None:
        if self._smoke:
            raise RuntimeError("The figures of a trial run are not stored.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{_line(row)}\n" for row in self.rows)
        self.rows.clear()

    def _add(
        self, figure: str, value: float, unit: str, limit: float | None, passes: bool | None, against: str
    ) -> None:
        if self._smoke:
            limit = passes = None
        # Compared in full precision, shown with five digits, so that rounding can't hide a value above its limit.
        row = Row(
            figure,
            float(f"{value:.5g}") if isinstance(value, float) else value,
            unit,
            limit,
            passes,
            against,
            self._machine,
            self._date,
            self._smoke,
        )
        self.rows.append(row)
        print(_line(row), flush=True)


def machine() -> str:
    """CPU model, number of cores available to this process, threads and version of torch."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _line(row: Row) -> str:
    shown = asdict(row)
    if not row.smoke:
        del shown["smoke"]
    return json.dumps(shown)
