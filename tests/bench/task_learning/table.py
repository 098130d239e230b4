"""The table of the stored figures in docs/tasks.md."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results" / "task_learning.jsonl"
PAGE = Path(__file__).parents[3] / "docs" / "tasks.md"
BEFORE = "the model before training"
METHODS = {"lora": "LoRA", "dynamic_rank": "dynamic rank"}
_BEGIN = "<!-- written by `make bench-task-learning` -->"
_END = "<!-- end of what `make bench-task-learning` writes -->"


def stored_rows() -> list[dict[str, Any]]:
    if not RESULTS.is_file():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def figure(case: str, of: str) -> str:
    return f"{case}: {of}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns a line for each case: its newest figures."""
    cases: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        case, _, of = row["figure"].partition(": ")
        if of in (*METHODS, BEFORE):
            cases.setdefault(case, {})[of] = row
        else:
            cases.setdefault(case, {})["guess"] = row
    heads = ["case", "metric", "trivial guess", "before", *METHODS.values()]
    lines = [heads, ["---"] * len(heads), *(_line(case, found) for case, found in cases.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(_BEGIN) + len(_BEGIN), text.index(_END)
    PAGE.write_text(f"{text[:begin]}\n\n{table(stored_rows())}\n\n{text[end:]}", encoding="utf-8")


def _line(case: str, found: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield f"`{case}`"
    yield found["guess"]["unit"]
    yield f"{found['guess']['value']:.3f}: {found['guess']['figure'].partition(': ')[2]}"
    for of in (BEFORE, *METHODS):
        yield f"{found[of]['value']:.3f}"
