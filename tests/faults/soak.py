"""Soak: random runs, stops, resumes, kills and deletions for half an hour, or longer. Nothing may leak or grow."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
from sqlalchemy import select
from sqlmodel import col

from rankscope.client import ApiError
from rankscope.contract.status import OWNED
from rankscope.contract.tables import Run
from rankscope.store.database.engine import reading
from tests.faults.checks import Breach
from tests.faults.harness import NOTHING, Case, Harness, Result
from tests.faults.installation import Installation, processes_of
from tests.faults.subjects import STEPS, SUBJECTS
from tests.stack import wait_for

_LANES = 4
_STEADY = ("api", "w0")
"""Processes that are never killed, so that their memory can be tracked."""
_MEMORY_GROWTH, _HANDLE_GROWTH = 0.05, 8
_RUNS_PER_MINUTE = 20
"""At least: the server's caches must be full before its memory is compared."""


@dataclass
class Gauge:
    """Memory and file handles of one process over time, sampled every few seconds."""

    process: psutil.Process
    rss_mib: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def sample(self) -> None:
        self.rss_mib.append(self.process.memory_info().rss / 2**20)
        self.handles.append(self.process.num_fds())

    @staticmethod
    def ends(samples: Sequence[float]) -> tuple[float, float]:
        """Medians of the second and the last sixth: the first one is a warm-up."""
        part = max(1, len(samples) // 6)
        return statistics.median(samples[part : 2 * part] or samples), statistics.median(samples[-part:])


def soak(harness: Harness, minutes: Sequence[int]) -> Result:
    """Runs for as many minutes as there are numbers, and on a slow machine until there have been enough runs."""
    result, began = Result("soak"), time.monotonic()
    result.kinds.append("leak")
    with harness.installation(workers=2, slots=2) as installation:
        gauges = {name: Gauge(psutil.Process(installation.processes[name].pid)) for name in _STEADY}
        ending = threading.Event()

        def follow() -> None:
            while not ending.wait(5):
                for gauge in gauges.values():
                    gauge.sample()

        follower = threading.Thread(target=follow, name="gauges", daemon=True)
        follower.start()
        numbers, fewest = itertools.count(), _RUNS_PER_MINUTE * len(minutes)

        def lane(_number: int) -> None:
            while (number := next(numbers)) < fewest or time.monotonic() < began + 60 * len(minutes):
                chance = harness.chance("soak", number)
                case = Case("soak", number, chance, chance.choice(list(SUBJECTS)), installation)
                harness.play_case(case, _disturb, (None, chance.randint(3, 60)), result)
                if case.run_id and chance.random() < 0.5 and installation.run(case.run_id).status.is_terminal:
                    _delete(case, result)

        with ThreadPoolExecutor(_LANES, thread_name_prefix="soak") as lanes:
            list(lanes.map(lane, range(_LANES)))
        ending.set()
        follower.join()
        result.breaches += _left_behind(installation) + _grown(gauges, result)
    result.seconds = time.monotonic() - began
    return result


# ------------------------------------------------------------ actions on a run


def _disturb(case: Case) -> str:
    """Up to three actions, at ascending steps."""
    done = []
    for step in sorted(case.chance.sample(range(1, STEPS - 5), case.chance.randrange(4))):
        action = case.chance.choice(_ACTIONS)
        if case.reaches(step) and not case.installation.run(case.run_id).status.is_terminal:
            with suppress(ApiError):  # it had ended before the request
                action(case)
                done.append(action.__name__.strip("_").replace("_", " "))
    return "; ".join(done) or NOTHING


def _stop_and_resume(case: Case) -> None:
    with case.installation.client() as client:
        client.stop(case.run_id, save=case.chance.random() < 0.7)
        if case.installation.until_ended(case.run_id).status == "stopped":
            client.resume(case.run_id)


def _kill_of_the_child(case: Case) -> None:
    if child := case.installation.child(case.run_id):
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _kill_of_a_worker(case: Case) -> None:
    case.installation.restart_worker("w1")


def _drain_of_a_worker(case: Case) -> None:
    case.installation.drain_worker("w1")


def _kill_of_valkey(case: Case) -> None:
    case.installation.restart_valkey(case.chance.uniform(0, 2))


_ACTIONS: list[Callable[[Case], None]] = [
    _stop_and_resume,
    _stop_and_resume,
    _kill_of_the_child,
    _kill_of_the_child,
    _kill_of_a_worker,
    _drain_of_a_worker,
    _kill_of_valkey,
]


def _delete(case: Case, result: Result) -> None:
    installation = case.installation
    with installation.client() as client:
        answer = client._http.delete(f"/runs/{case.run_id}")
    folder = installation.settings.runs_dir / case.run_id
    if answer.status_code != 204 or folder.exists():
        text = (
            f"deleting answered {answer.status_code}; its folder {'is still there' if folder.exists() else 'is gone'}"
        )
        result.breaches.append(Breach("leak", case.run_id, text))


# ------------------------------------------------------------ leftovers


def _left_behind(installation: Installation) -> list[Breach]:
    """Returns processes that should have ended, and leases that are no longer needed."""
    servers = {process.pid for process in installation.processes.values()}
    if installation.valkey:
        servers.add(installation.valkey.child.process.pid)
    kept = {pid for worker in servers if (pid := _preloaded(worker)) is not None}

    def strangers() -> list[psutil.Process]:
        return [p for p in processes_of(installation.settings.data_dir) if p.pid not in servers | kept]

    found = []
    with suppress(AssertionError):
        wait_for("children to end", lambda: not strangers(), deadline_s=60, every_s=1)
    for process in strangers():
        with suppress(psutil.NoSuchProcess):
            found.append(Breach("leak", "", f"process {process.pid} {process.status()}: {process.cmdline()[-3:]}"))
    for name in _STEADY:
        for child in psutil.Process(installation.processes[name].pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if child.pid in kept:
                    continue
                found.append(Breach("leak", "", f"{name} has a child {child.pid}, {child.status()}"))
    with reading(installation.engine) as session:
        held = session.scalars(
            select(col(Run.id)).where(col(Run.status).in_(OWNED) | col(Run.lease_expires_at).is_not(None))
        ).all()
    return found + [Breach("leak", run_id, "its lease was not given back") for run_id in held]


def _preloaded(worker: int) -> int | None:
    """The one process that a worker keeps to fork trainings; a second one, or one without a worker, is a leftover."""
    module = "rankscope_worker.child.preloaded"
    return next((child.pid for child in psutil.Process(worker).children() if module in child.cmdline()), None)


def _grown(gauges: dict[str, Gauge], result: Result) -> list[Breach]:
    found = []
    for name, gauge in gauges.items():
        before, after = gauge.ends(gauge.rss_mib)
        words = f"from {before:.1f} to {after:.1f} MiB (medians of the second and the last sixth)"
        result.figures.append((f"memory of {name} grew", 100 * (after / before - 1), 100 * _MEMORY_GROWTH, "%", words))
        if after > before * (1 + _MEMORY_GROWTH):
            found.append(Breach("leak", "", f"memory of {name} grew {words}"))
        before, after = gauge.ends(gauge.handles)
        words = f"from {before:.0f} to {after:.0f}"
        result.figures.append((f"file handles of {name} grew", after - before, _HANDLE_GROWTH, "handles", words))
        if after > before + _HANDLE_GROWTH:
            found.append(Breach("leak", "", f"file handles of {name} grew {words}"))
    return found
