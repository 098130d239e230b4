"""`python -m tests.bench.live [--only PART,...] [--trackers PYTHON] [--dry]`: the live view's figures, with their limits."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.live.opening import first_paint, long_run, open_long_run
from tests.bench.live.recording import intake, record_latency
from tests.bench.live.stage import DATABASES, Stage, stage
from tests.bench.live.streaming import bytes_of_the_stream, many_viewers
from tests.bench.live.trackers import against_trackers
from tests.bench.live.watching import heap_over_hours, step_to_paint
from tests.bench.rows import Rows


def _open(rows: Rows, here: Stage) -> None:
    open_long_run(rows, here, long_run(here))


# Parts that depend on the database are measured on both.
ON_BOTH: dict[str, Callable[[Rows, Stage], None]] = {"intake": intake, "viewers": many_viewers}
ON_SQLITE: dict[str, Callable[[Rows, Stage], None]] = {
    "record": record_latency,
    "stream": bytes_of_the_stream,
    "paint": step_to_paint,
    "first-paint": first_paint,
    "open": _open,
    "heap": heap_over_hours,
}


def main() -> int:
    parts = [*ON_BOTH, *ON_SQLITE, "trackers"]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.live")
    parser.add_argument("--only", default=",".join(parts), help=", ".join(parts))
    parser.add_argument("--trackers", type=Path, help="Python of an environment with trackio and tensorboard")
    parser.add_argument("--dry", action="store_true", help="store no figures")
    given = parser.parse_args()
    wanted, rows = set(given.only.split(",")), Rows("live")
    if unknown := wanted - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    if "trackers" in wanted and given.trackers is None:
        parser.error("trackers needs --trackers PYTHON; `make bench-live` makes such an environment")
    for database in DATABASES:
        figures = ON_BOTH | (ON_SQLITE if database == "sqlite" else {})
        chosen = [figure for name, figure in figures.items() if name in wanted]
        if not chosen and not (database == "sqlite" and "trackers" in wanted):
            continue
        with stage(database) as here:
            for figure in chosen:
                figure(rows, here)
            if database == "sqlite" and "trackers" in wanted:
                against_trackers(rows, here, given.trackers)
    failed = [row.figure for row in rows.rows if row.passes is False]
    if not given.dry:
        rows.store()
    print("\n".join(f"falls short: {figure}" for figure in failed), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
