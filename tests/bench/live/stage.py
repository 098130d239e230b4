"""Stage: a real Valkey, API and database, with runs whose events a benchmark records by the real recorder."""

import base64
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from sqlalchemy import Engine

from rankscope.contract.config import RunConfig
from rankscope.contract.events import Module, ModulesEvent, RanksEvent
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.doorbell import Doorbell
from rankscope_worker.child.recorder import Recorder
from tests.backend.conftest import CONFIG
from tests.faults.database_faults import Postgres
from tests.stack import Stack

DATABASES = ("sqlite", "postgresql")
_LEASE_S = 1e7
"""So long because no worker renews the benchmark's leases."""
KINDS = ("query", "key", "value", "attention.output", "intermediate", "output", "gate")


class Stage:
    """One installation without workers: the benchmark plays the training child of each run."""

    def __init__(self, stack: Stack, database: str) -> None:
        self.stack, self.database = stack, database
        self.engine: Engine = create_engine(stack.settings.resolved_database_url)

    @property
    def api(self) -> psutil.Process:
        return psutil.Process(self.stack.processes["api"].pid)

    def running_run(self, *, modules: int = 72, width: int = 12, total_steps: int = 100_000) -> queue.Claim:
        """A run that has just begun to train, with its list of modules; its lease is never taken over."""
        config = RunConfig.model_validate(CONFIG)
        config = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": total_steps})})
        now = time.time()
        with writing(self.engine) as session:
            runs.create_run(session, config, now=now, name=f"{modules} modules of width {width}")
        with writing(self.engine) as session:
            claimed = queue.claim_next(session, worker="bench", has_gpu=False, lease_s=_LEASE_S, now=now)
        assert claimed is not None
        with writing(self.engine) as session:
            queue.begin_training(session, claimed.run_id, claimed.attempt, start_step=0, now=now)
        with self.recorder(claimed) as recorder:
            recorder.record(modules_event(modules, width, total_steps))
        return claimed

    @contextmanager
    def recorder(self, claimed: queue.Claim) -> Iterator[Recorder]:
        doorbell = Doorbell(self.stack.settings.broker_url)
        recorder = Recorder(self.engine, doorbell, claimed.run_id, claimed.attempt)
        yield recorder
        recorder.flush()
        recorder.close()
        doorbell.close()


@contextmanager
def stage(database: str) -> Iterator[Stage]:
    """`database`: "sqlite" or "postgresql"."""
    folder = Path(tempfile.mkdtemp(prefix="rankscope-bench-live-"))
    url = Postgres(folder).url if database == "postgresql" else ""
    stack = Stack(folder / "data", database_url=url, lease_s=_LEASE_S)
    try:
        stack.start_valkey()
        stack.start_api()
        yield Stage(stack, database)
    finally:
        stack.stop()
    shutil.rmtree(folder, ignore_errors=True)


def modules_event(modules: int, width: int, total_steps: int) -> ModulesEvent:
    every = [
        Module(
            name=f"encoder.layer.{index // len(KINDS)}.{KINDS[index % len(KINDS)]}",
            layer=index // len(KINDS),
            kind=KINDS[index % len(KINDS)],
            out_features=768,
            in_features=768,
        )
        for index in range(modules)
    ]
    parameters = modules * width * (768 + 768 + 1)
    return ModulesEvent(modules=every, width=width, trained_parameters=parameters, total_steps=total_steps)


def ranks_event(
    step: int, *, modules: int = 72, width: int = 12, share: float = 1.0, pruning: bool = False
) -> RanksEvent:
    """A snapshot with the fraction `share` of the components live; deterministic for each step."""
    random = np.random.default_rng(step)
    scores = random.random((modules, width)).astype(np.float16)
    live = scores >= np.quantile(scores, 1 - share)
    return RanksEvent(
        step=step,
        budget=int(live.sum()),
        live=int(live.sum()),
        modules=modules,
        width=width,
        pruning=pruning,
        mask=base64.b64encode(np.packbits(live, bitorder="little").tobytes()).decode(),
        scores=base64.b64encode(scores.astype("<f2").tobytes()).decode(),
    )
