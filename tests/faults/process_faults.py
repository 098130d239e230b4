"""SIGKILL of workers, of the API and of Valkey, each restarted; and workers that freeze until their lease expires."""

import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

import psutil

from tests.faults.harness import Case, Harness, Result
from tests.faults.installation import DEADLINE_S, Installation
from tests.faults.stillness import hold_still
from tests.faults.subjects import STEPS
from tests.stack import wait_for


def worker_kills(harness: Harness, numbers: Sequence[int]) -> Result:
    with harness.installation(workers=3) as installation:
        return harness.play("worker", installation, numbers, kill_its_worker, at_a_time=3)


def kill_its_worker(case: Case) -> str | None:
    step = case.chance.randint(1, STEPS - 15)
    if not case.reaches(step):
        return None
    worker = case.installation.run(case.run_id).worker
    if worker is None:
        return None
    case.installation.restart_worker(worker)
    return f"SIGKILL of a worker: {worker} after step {step}"


def api_kills(harness: Harness, numbers: Sequence[int]) -> Result:
    """Three viewers per run: one that stays connected, and two that keep disconnecting and reconnecting."""
    with harness.installation(workers=1, slots=3) as installation:
        return harness.play("api", installation, numbers, kill_api, at_a_time=3, viewers=(None, 7, 40))


def kill_api(case: Case) -> str | None:
    step = case.chance.randint(1, STEPS - 15)
    if not case.reaches(step):
        return None
    case.installation.restart_api()
    return f"SIGKILL of the API: after step {step}"


def valkey_kills(harness: Harness, numbers: Sequence[int]) -> Result:
    with harness.installation(workers=2, slots=2) as installation:
        return harness.play("valkey", installation, numbers, kill_valkey, at_a_time=4)


def kill_valkey(case: Case) -> str | None:
    step, away_s = case.chance.randint(1, STEPS - 15), case.chance.uniform(0, 3)
    if not case.reaches(step):
        return None
    case.installation.restart_valkey(away_s)
    return f"SIGKILL of Valkey: away for {away_s:.1f} s from step {step} on"


def frozen_workers(harness: Harness, numbers: Sequence[int]) -> Result:
    with harness.installation(workers=3, lease_s=4.0) as installation:
        return harness.play("freeze", installation, numbers, freeze, at_a_time=2)


def freeze(case: Case) -> str | None:
    """Freezes, by the case's number, the worker, the worker and its child, or a child that is writing a checkpoint.

    It wakes up when another worker's attempt is loading or training. In the last case, that attempt's child is then
    killed: the next attempt must not build on files that the frozen one left behind.
    """
    installation, kind = case.installation, case.number % 3
    if not case.reaches(case.chance.randint(1, STEPS - 20)):
        return None
    run = installation.run(case.run_id)
    worker, child = installation.processes.get(run.worker or ""), installation.child(case.run_id, run.attempt)
    if worker is None or child is None:
        return None
    try:
        if kind == 2 and not _stop_while_writing(installation, child, case.run_id, run.attempt):
            return None
        _stop_outside_of_a_write(installation, psutil.Process(worker.pid))
        if kind == 1:
            _stop_outside_of_a_write(installation, child)
        awaited = case.chance.choice(["starting", "running"]) if kind < 2 else "running"
        taken_over = case.viewer.wait_for(
            lambda event: event["attempt"] > run.attempt and event.get("status") == awaited, DEADLINE_S
        )
    except psutil.NoSuchProcess:  # another fault came first
        return None
    finally:
        if child.is_running():
            child.resume()
        if kind == 2:
            time.sleep(case.chance.uniform(0, 0.3))  # gives the child a head start before its supervisor ends it
        worker.send_signal(signal.SIGCONT)
    if taken_over is None:
        return None
    if kind == 2 and (successor := installation.child(case.run_id, run.attempt + 1)):
        wait_for("the frozen child to end", lambda: not child.is_running(), deadline_s=DEADLINE_S)
        successor.kill()
    what = ("of a worker", "of a worker and its child", "of a worker and of its child in a checkpoint")[kind]
    return f"SIGSTOP {what}: SIGCONT when the next attempt was {awaited}"


def _stop_outside_of_a_write(installation: Installation, process: psutil.Process) -> None:
    """Sends SIGSTOP. SQLite has a single writer: if it freezes during a write, all others wait until it wakes up."""
    hold_still(process)
    while _is_locked(installation):
        process.resume()
        time.sleep(0.001)
        hold_still(process)


def _is_locked(installation: Installation) -> bool:
    """Whether a process is still writing after two seconds."""
    with closing(sqlite3.connect(installation.settings.data_dir / "rankscope.db", timeout=2)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def _stop_while_writing(installation: Installation, child: psutil.Process, run_id: str, attempt: int) -> bool:
    """Suspends the child while it writes files of a checkpoint, but no transaction; False if it ends before that."""
    writing = installation.attempt_folder(run_id, attempt) / "checkpoints" / ".writing"
    try:
        while child.is_running():
            if list(writing.glob("checkpoint-*/trainer_state.json")):
                hold_still(child)
                if list(writing.glob("checkpoint-*/trainer_state.json")) and not _is_locked(installation):
                    return True
                child.resume()
            time.sleep(0.001)  # polls, because nothing signals that a file is being written
    except psutil.NoSuchProcess:
        return False
    return False
