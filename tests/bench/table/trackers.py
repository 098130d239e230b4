"""The same runs in RankScope's table and in other trackers: first page, sort by a metric, filter."""

import json
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.bench.rows import Rows
from tests.bench.served import p95_ms
from tests.bench.table.filling import CONFIG_FIELDS, METRICS, config_of, metrics_of, name_of, tags_of, values_of

TRACKERS = ("mlflow", "aim")
LIMIT_S = 1200
"""Time limit for filling and querying one tracker."""
_COLUMNS = "config.method.target_rank,config.training.learning_rate,metrics.eval_accuracy.last,metrics.eval_loss.last"
_OURS: dict[str, dict[str, Any]] = {
    "first page": {},
    "sort by metric": {"sort": "-metrics.eval_accuracy.last"},
    "filter": {"filter": "config.method.target_rank = 8"},
}


def against_tracker(rows: Rows, api: httpx.Client, tracker: str, venvs: Path, count: int, rounds: int) -> None:
    """`venvs`: the folder with the environment of each tracker.

    Ours is measured before and after it on the same machine, and the slower one counts, because the load may change.
    """
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "runs.jsonl"
        with source.open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(_as_given(number))}\n" for number in range(count))
        before = _ours(api, rounds)
        theirs = _theirs(venvs / f"{tracker}-venv" / "bin" / "python", tracker, source, rounds)
        after = _ours(api, rounds)
    ours = {figure: max(before[figure], after[figure]) for figure in _OURS}
    name_and_version = f"{tracker} {theirs['version']}"
    for figure in _OURS:
        rows.at_most(
            f"table, {figure}, p95: ours / {name_and_version}",
            ours[figure] / theirs["ms"][figure],
            1,
            "ratio",
            f"ours {ours[figure]:.4g} ms, {name_and_version} {theirs['ms'][figure]:.4g} ms"
            f" ({theirs['how'][figure]}); {count:,} runs, {CONFIG_FIELDS} config values, {METRICS} metrics",
        )


def _ours(api: httpx.Client, rounds: int) -> dict[str, float]:
    return {figure: p95_ms(partial(_ask, api, query), rounds) for figure, query in _OURS.items()}


def _as_given(number: int) -> dict[str, Any]:
    config = dict(values_of(config_of(number)))
    return {"name": name_of(number), "tags": tags_of(number), "config": config, "metrics": metrics_of(number)}


def _ask(api: httpx.Client, query: dict[str, Any]) -> httpx.Response:
    return api.get("/runs/table", params={"columns": _COLUMNS, "limit": 100, **query}).raise_for_status()


def _theirs(python: Path, tracker: str, source: Path, rounds: int) -> dict[str, Any]:
    script = Path(__file__).with_name("tracker_side.py")
    command = [str(python), str(script), tracker, str(source), str(rounds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        answer, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.terminate()  # and it stops its server
        process.communicate(timeout=60)
        raise RuntimeError(f"{tracker} took longer than {LIMIT_S} s; compare with fewer runs (--runs 200).") from None
    if process.returncode != 0:
        raise RuntimeError(f"{tracker} could not be measured:\n{errors[-2000:]}")
    side: dict[str, Any] = json.loads(answer.strip().splitlines()[-1])
    return side
