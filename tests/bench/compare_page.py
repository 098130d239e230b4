"""`python -m tests.bench.compare_page [--dry]`: what comparing runs costs the server and the browser, with its limits."""

import argparse
import statistics
import sys
import time
from typing import Any

import httpx

from rankscope.bundles.unpack import MAX_BUNDLE_BYTES
from tests.bench.finished_runs import FinishedRun, dynamic, record
from tests.bench.live.browser import tab
from tests.bench.live.stage import DATABASES, Stage, stage
from tests.bench.rows import Rows
from tests.stack import TOKEN

RUNS, STEPS, REPEATS = 20, 10_000, 7
METRICS = ("train_loss", "learning_rate", "grad_norm", "steps_per_second", "samples_per_second")
WIDE, WIDTH, SNAPSHOTS = 224, 32, 500
_ALL_PAINTED = (
    f"() => document.querySelectorAll('[data-testid^=compare-curve] .main-svg .trace').length >= {RUNS * len(METRICS)}"
)


def curves(rows: Rows, here: Stage, run_ids: list[str], client: httpx.Client) -> None:
    against = f"{RUNS} runs x {STEPS:,} points x {len(METRICS)} metrics, {here.database}, median of {REPEATS}"
    query: dict[str, Any] = {"runs": ",".join(run_ids), "names": list(METRICS)}
    took, size = _ask(client, "/api/v1/compare/series", query)
    rows.at_most("compare curves: server", took, 400, "ms", against)
    rows.at_most("compare curves: bytes, uncompressed", size / 1e6, 1, "MB", against)
    rows.tell("compare curves: server, CPU time", _cpu(here, client, "/api/v1/compare/series", query), "ms", against)
    for axis in ("time", "live_parameters"):
        took, _ = _ask(client, "/api/v1/compare/series", query | {"axis": axis})
        rows.at_most(f"compare curves on {axis}: server", took, 400, "ms", against)
    took, _ = _ask(client, "/api/v1/compare/series", query | {"group": "seed"})
    rows.at_most("compare curves, mean and spread over seeds: server", took, 400, "ms", against)
    took, _ = _ask(client, "/api/v1/compare", {"runs": ",".join(run_ids), "group": "seed"})
    rows.tell("compare results, cautions and differences: server", took, "ms", against)


def rank_difference(rows: Rows, here: Stage, run_ids: list[str], client: httpx.Client) -> None:
    against = f"two runs of {WIDE} modules, rank {WIDTH}, {SNAPSHOTS} snapshots, {here.database}, median of {REPEATS}"
    for align in ("step", "progress", "budget"):
        query: dict[str, Any] = {"a": run_ids[0], "b": run_ids[1], "align": align, "frames": SNAPSHOTS}
        took, _ = _ask(client, "/api/v1/compare/ranks", query)
        rows.at_most(f"rank difference by {align}: server", took, 100, "ms", against)
        cpu = _cpu(here, client, "/api/v1/compare/ranks", query)
        rows.tell(f"rank difference by {align}: server, CPU time", cpu, "ms", against)


def painted(rows: Rows, here: Stage, run_ids: list[str]) -> None:
    """From the navigation until every curve of every chart is drawn; the browser has no cache."""
    address = f"{here.stack.url}/compare?runs={','.join(run_ids)}&metrics={','.join(METRICS)}"
    took = []
    with tab(here) as opened:
        for _ in range(3):
            began = time.perf_counter()
            opened.page.goto(address, wait_until="commit")
            opened.page.wait_for_function(_ALL_PAINTED, timeout=60_000)
            took.append(time.perf_counter() - began)
    against = f"{RUNS} runs x {STEPS:,} points x {len(METRICS)} metrics, headless Chromium, median of 3"
    rows.at_most("compare page: every curve painted", statistics.median(took), 2, "s", against)


def import_bundle(rows: Rows, here: Stage, run_id: str, client: httpx.Client) -> None:
    bundle = client.get(f"/api/v1/runs/{run_id}/bundle").content
    assert len(bundle) < MAX_BUNDLE_BYTES
    began = time.perf_counter()
    answer = client.post("/api/v1/runs/import", content=bundle, headers={"Content-Type": "application/octet-stream"})
    answer.raise_for_status()
    against = f"{STEPS:,} steps, bundle of {len(bundle) / 1e6:.1f} MB, {here.database}"
    rows.tell("import of a bundle", time.perf_counter() - began, "s", against)


def _ask(client: httpx.Client, path: str, query: dict[str, Any]) -> tuple[float, int]:
    """Median milliseconds at the client, and bytes of the response."""
    took, size = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        answer = client.get(path, params=query)
        took.append(1000 * (time.perf_counter() - began))
        answer.raise_for_status()
        size = len(answer.content)
    return statistics.median(took), size


def _cpu(here: Stage, client: httpx.Client, path: str, query: dict[str, Any]) -> float:
    """CPU milliseconds of the server process per request, which don't depend on other load on the machine."""
    before = sum(here.api.cpu_times()[:2])
    for _ in range(REPEATS):
        client.get(path, params=query).raise_for_status()
    return 1000 * (sum(here.api.cpu_times()[:2]) - before) / REPEATS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare_page")
    parser.add_argument("--dry", action="store_true", help="store no figures")
    given = parser.parse_args()
    rows = Rows("compare_page")
    for database in DATABASES:
        with stage(database) as here:
            now = time.time() - 1e6
            many = [
                record(
                    here.engine,
                    FinishedRun(f"run, seed {seed}", dynamic(4), seed, steps=STEPS, eval_every=1000),
                    now=now + 5000 * seed,
                )
                for seed in range(RUNS)
            ]
            shape = {"modules": WIDE, "width": WIDTH, "mean_rank": 16, "snapshots": SNAPSHOTS, "metrics_every": 50}
            two = [
                record(
                    here.engine,
                    FinishedRun(f"wide {seed}", dynamic(16, WIDTH), seed, steps=5000, **shape),  # type: ignore[arg-type]
                    now=now + 200_000 + 5000 * seed,
                )
                for seed in range(2)
            ]
            headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "identity"}
            with httpx.Client(base_url=here.stack.url, headers=headers, timeout=120) as client:
                curves(rows, here, many, client)
                rank_difference(rows, here, two, client)
                import_bundle(rows, here, many[0], client)
            if database == "sqlite":
                painted(rows, here, many)
    failed = [row.figure for row in rows.rows if row.passes is False]
    if not given.dry:
        rows.store()
    print("\n".join(f"falls short: {figure}" for figure in failed), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
