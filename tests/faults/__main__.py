"""`python -m tests.faults [--seed N] [--only ROW[:CASE],...] [--count N] [--dry]`: the whole table."""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.bench.rows import Rows
from tests.faults.checks import KINDS, Breach
from tests.faults.harness import Harness, Result
from tests.faults.table import TABLE, Row


def main() -> int:
    arguments = _parse()
    wanted = [entry.partition(":") for entry in arguments.only.split(",")] if arguments.only else []
    folder = Path(tempfile.mkdtemp(prefix="rankscope-faults-"))
    harness, rows = Harness(folder, arguments.seed), Rows("faults")
    print(f"Seed {arguments.seed}; journal {harness.journal}", flush=True)
    began = time.monotonic()
    with harness.installation(workers=1, slots=2) as installation:
        results = [harness.train_undisturbed(installation)]
    for row in TABLE:
        chosen = [case for name, _, case in wanted if name == row.key]
        if wanted and not chosen:
            continue
        count = arguments.count or row.count
        numbers = [int(case) for case in chosen if case] or list(range(count))
        result = _play(row, harness, numbers)
        results.append(result)
        _tell(rows, row, result, arguments.seed)
        if not arguments.dry:
            rows.store()
    breaches = sum(len(result.breaches) for result in results)
    _print_table(results, time.monotonic() - began)
    if not breaches:
        shutil.rmtree(folder)
    return 1 if breaches else 0


def _play(row: Row, harness: Harness, numbers: Sequence[int]) -> Result:
    """The row's result; a row that itself fails counts as a lost run, and the next row follows."""
    try:
        return row.play(harness, numbers)
    except Exception:
        traceback.print_exc()
        return Result(row.key, breaches=[Breach("lost run", "", "the row broke down; its traceback stands above")])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", default="", help=f"rows, or one case as ROW:NUMBER: {', '.join(r.key for r in TABLE)}"
    )
    parser.add_argument("--count", type=int, help="cases of each row; default: the table's")
    parser.add_argument("--dry", action="store_true", help="store no figures")
    return parser.parse_args()


def _tell(rows: Rows, row: Row, result: Result, seed: int) -> None:
    """The row's figures: the number of faults, which must reach the table's, and each kind of breach."""
    what = ", ".join(f"{count} x {fault}" for fault, count in sorted(result.faults.items()))
    against = f"{what}; seed {seed}"
    done = {"faults": float(sum(result.faults.values())), "runs": result.runs, "minutes": result.seconds / 60}
    for unit, value in done.items():
        if unit == row.unit:
            rows.at_least(f"{result.row}: {unit}", value, row.count, unit, against)
        else:
            rows.tell(f"{result.row}: {unit}", value, unit, against)
    for kind in result.kinds:
        count = sum(1 for breach in result.breaches if breach.kind == kind)
        rows.at_most(f"{result.row}: {KINDS[kind]}", count, 0, "count", against)
    for figure, value, limit, unit, words in result.figures:
        if limit is None:
            rows.tell(f"{result.row}: {figure}", value, unit, words)
        else:
            rows.at_most(f"{result.row}: {figure}", value, limit, unit, words)


def _print_table(results: list[Result], seconds: float) -> None:
    print(f"\n{'row':<14}{'runs':>6}{'faults':>8}{'breaches':>10}{'seconds':>9}")
    for result in results:
        faults = sum(result.faults.values())
        print(f"{result.row:<14}{result.runs:>6}{faults:>8}{len(result.breaches):>10}{result.seconds:>9.0f}")
        for breach in result.breaches:
            print(f"    {breach.kind}, run {breach.run_id}: {breach.text}")
    print(f"{seconds:.0f} s in all")


if __name__ == "__main__":
    sys.exit(main())
