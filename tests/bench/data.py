"""Imports of data sets, and later reads of their rows: `make bench-data`.

The file has 5 million rows of two columns and about 1 GB. Both sides read it in separate processes, in turns, after it
was read once. Ours is the job's code, with the profile; the other is `datasets.load_dataset("csv")`, without one.
Response times are measured at the client, over HTTP, as the median of several. At the end, two runs are started on the
set, of which the second one finds its tokens in the cache.
"""

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.stack import TOKEN, Stack, wait_for
from tests.tiny import make_tiny_bert

from .rows import Rows
from .starts import measure_starts

ROWS = 5_000_000
_SET = "bench-data"
_TIMES = 7
_PAIRS = 5
_IMPORTS = 10
_CONFIG: dict[str, Any] = {
    "model": {"id": "local:tiny"},
    "data": {"id": f"imported:{_SET}"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 10},
    "training": {"max_steps": 100},
}
_FEW = (
    "a",
    "film",
    "with",
    "warm",
    "people",
    "that",
    "nobody",
    "forgets",
    "about",
    "the",
    "long",
    "story",
    "of",
    "rivers",
)


def write_file(path: Path, rows: int) -> None:
    """Texts of several lengths that don't repeat, and two labels."""
    dice = random.Random(0)
    sentences = [" ".join(dice.choices(_FEW, k=dice.randint(10, 60))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for number in range(rows):
            label = "good" if number % 3 else "bad"
            file.write(f'"{sentences[number % len(sentences)]}, {number}",{label}\n')


def import_ours(path: Path, data_dir: Path) -> None:
    from rankscope.catalog.imported.folders import Folders
    from rankscope.catalog.imported.uploads import write_upload
    from rankscope.contract.imports import Upload
    from rankscope_worker.child.importing.import_file import import_upload

    folders = Folders(data_dir)
    folder = folders.upload("bench")
    folder.mkdir(parents=True)
    (folder / "source").hardlink_to(path)
    size = path.stat().st_size
    upload = Upload(id="bench", name="bench.csv", size_bytes=size, sha256="", created_at=time.time(), set_id=_SET)
    write_upload(folder, upload)
    import_upload(folders, "bench", lambda _: None)


def import_theirs(path: Path, cache: Path) -> None:
    from datasets import load_dataset

    load_dataset("csv", data_files=str(path), cache_dir=str(cache))


@dataclass(frozen=True)
class Cost:
    """The cost of the import in its process, without the module imports before it."""

    wall_s: float
    cpu_s: float
    memory_gb: float
    """The largest resident memory."""


def side(name: str, path: Path, folder: Path) -> Cost:
    command = [sys.executable, "-m", "tests.bench.data", "--side", name, str(path), str(folder)]
    return Cost(**json.loads(subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1]))


def run_side(name: str, path: Path, folder: Path) -> None:
    if name == "ours":
        import rankscope_worker.child.importing.import_file  # noqa: F401
    else:
        import datasets  # noqa: F401
    run = {"ours": import_ours, "theirs": import_theirs}[name]
    began, cpu = time.monotonic(), time.process_time()
    run(path, folder)
    cost = Cost(
        wall_s=time.monotonic() - began,
        cpu_s=time.process_time() - cpu,
        memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    )
    print(json.dumps(asdict(cost)))


def median_ms(ask: Callable[[], httpx.Response]) -> float:
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        ask().raise_for_status()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def _both(pairs: list[tuple[Cost, Cost]], field: str) -> str:
    ours, theirs = (", ".join(f"{getattr(cost, field):.3g}" for cost in side) for side in zip(*pairs, strict=True))
    return f"pairs: ours with the profile {ours}; datasets.load_dataset('csv') {theirs}"


def measure_import(rows: Rows, folder: Path, n_rows: int) -> Path:
    """Returns the data folder with the imported set."""
    path = folder / "bench.csv"
    write_file(path, n_rows)
    size = f"{path.stat().st_size / 1e6:,.0f} MB, {n_rows:,} rows"
    with path.open("rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass
    pairs = []
    for _ in range(_PAIRS):
        data_dir, cache = folder / "app", folder / "cache"
        for made in (data_dir, cache):
            shutil.rmtree(made, ignore_errors=True)
        pairs.append((side("ours", path, data_dir), side("theirs", path, cache)))
    what = f"import of a CSV file of {size}"
    wall = [ours.wall_s / theirs.wall_s for ours, theirs in pairs]
    rows.at_most(f"{what}: wall time / datasets'", statistics.median(wall), 1.5, "ratio", _both(pairs, "wall_s"))
    cpu = [ours.cpu_s / theirs.cpu_s for ours, theirs in pairs]
    rows.tell(f"{what}: processor time / datasets'", statistics.median(cpu), "ratio", _both(pairs, "cpu_s"))
    memory = max(ours.memory_gb for ours, _ in pairs)
    rows.at_most(f"{what}: peak memory", memory, 1.5, "GB", _both(pairs, "memory_gb"))
    path.unlink()
    return data_dir


def import_once(folder: Path, n_rows: int) -> Path:
    """Returns the data folder with the imported set, without measuring the import. A folder may have it from an earlier call."""
    path, data_dir = folder / "bench.csv", folder / "app"
    if data_dir.is_dir():
        return data_dir
    write_file(path, n_rows)
    side("ours", path, data_dir)
    path.unlink()
    return data_dir


def measure_served(rows: Rows, data_dir: Path, n_rows: int, *, only_starts: bool) -> None:
    stack = Stack(data_dir)
    if not (stack.settings.models_dir / "tiny").is_dir():
        make_tiny_bert(stack.settings.models_dir / "tiny", words=_FEW)
    try:
        stack.start_valkey()
        stack.start_api()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=600) as api:
            if not only_starts:
                measure_answers(rows, api, n_rows)
            stack.start_worker()
            measure_starts(rows, stack, api, _CONFIG, n_rows)
            if not only_starts:
                measure_memory(rows, stack, api, n_rows)
    finally:
        stack.stop()


def measure_answers(rows: Rows, api: httpx.Client, n_rows: int) -> None:
    base, offset = f"/datasets/imported:{_SET}", n_rows * 4 // 5
    against = f"{n_rows:,} rows, median of {_TIMES}"
    page = {"offset": offset, "limit": 100}
    rows.at_most(
        f"rows {offset:,} to {offset + 100:,}",
        median_ms(lambda: api.get(f"{base}/rows", params=page)),
        150,
        "ms",
        against,
    )
    deep: dict[str, Any] = {"offset": n_rows // 4, "limit": 100, "column": "label", "value": "bad"}
    rows.at_most(
        f"rows of one label from {n_rows // 4:,}",
        median_ms(lambda: api.get(f"{base}/rows", params=deep)),
        150,
        "ms",
        against,
    )
    rows.at_most("profile", median_ms(lambda: api.get(base)), 150, "ms", against)
    began = time.monotonic()

    def validated() -> bool:
        verdict = api.post("/runs/validate", json={"config": _CONFIG}).json()
        others = [each for each in verdict["problems"] if "still being read" not in each["message"]]
        assert not others, others
        return verdict["plan"] is not None

    wait_for("the split to be counted", validated, deadline_s=1200, every_s=0.5)
    rows.tell("validate for the first time, until the split is counted", time.monotonic() - began, "s", against)
    rows.at_most(
        "validate, with a split that was counted before",
        median_ms(lambda: api.post("/runs/validate", json={"config": _CONFIG})),
        150,
        "ms",
        against,
    )


def measure_memory(rows: Rows, stack: Stack, api: httpx.Client, n_rows: int) -> None:
    """Memory of the API after ten imports, compared with that after the first."""
    stack.kill("api")
    stack.start_api()
    path = stack.settings.data_dir / "small.csv"
    write_file(path, max(1000, n_rows // 25))
    api_process = psutil.Process(stack.processes["api"].pid)
    used = []
    for _ in range(_IMPORTS):
        with path.open("rb") as file:
            sent = api.post(
                "/datasets/uploads",
                params={"name": "small.csv"},
                content=file,
                headers={"Content-Type": "application/octet-stream"},
            )
        found = f"/datasets/imported:{sent.raise_for_status().json()['set_id']}"
        wait_for("the import", partial(_is_there, api, found), deadline_s=600, every_s=0.2)
        api.get(f"{found}/rows", params={"offset": 500}).raise_for_status()
        api.get("/datasets").raise_for_status()
        used.append(api_process.memory_info().rss / 1e6)
    size = (
        f"{path.stat().st_size / 1e6:.0f} MB each; {used[0]:.0f} MB after the first, {used[-1]:.0f} MB after the tenth"
    )
    rows.at_most("API memory after ten imports / after the first", used[-1] / used[0], 1.05, "ratio", size)


def _is_there(api: httpx.Client, address: str) -> bool:
    return api.get(address).is_success


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", nargs=3, metavar=("NAME", "FILE", "FOLDER"))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only-import", action="store_true", help="leaves out the answers and the starts of trainings")
    parser.add_argument(
        "--only-starts", action="store_true", help="only the starts of trainings, on a set imported once"
    )
    parser.add_argument("--folder", type=Path, help="needs 7 GB; default: a temporary folder")
    parser.add_argument(
        "--kept", type=Path, help="with --only-starts: the set and its tokens stay in this folder for the next call"
    )
    given = parser.parse_args()
    if given.kept and not given.only_starts:
        parser.error("--kept is only for --only-starts.")
    if given.side:
        run_side(given.side[0], Path(given.side[1]), Path(given.side[2]))
        return
    is_whole = given.rows == ROWS
    rows = Rows("data", smoke=not is_whole)
    if given.kept:
        given.kept.mkdir(parents=True, exist_ok=True)
    with nullcontext(given.kept) if given.kept else tempfile.TemporaryDirectory(dir=given.folder) as folder:
        if given.only_starts:
            data_dir = import_once(Path(folder), given.rows)
        else:
            data_dir = measure_import(rows, Path(folder), given.rows)
            if is_whole:
                rows.store()
        if not given.only_import:
            measure_served(rows, data_dir, given.rows, only_starts=given.only_starts)
    if is_whole:
        rows.store()


if __name__ == "__main__":
    main()
