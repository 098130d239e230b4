"""A run that continues for as long as a test needs, without training: its events are appended as a worker would."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rankscope.contract.events import MetricsEvent, Module, ModulesEvent, RunEvent, WarningEvent
from rankscope.store import queue
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.history import events
from tests.bench.live.stage import ranks_event
from tests.stack import Stack

MODULES, WIDTH = 12, 4
_KINDS = ("query", "key", "value", "attention.output", "intermediate", "output")


@dataclass
class Feeding:
    run_id: str
    step: int = 0
    warnings: list[WarningEvent] = field(default_factory=list)
    """To be appended with the next step."""
    is_over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def fed_run(
    stack: Stack, run_id: str, *, every_s: float = 0.4, modules: int = MODULES, past: int = 0
) -> Iterator[Feeding]:
    """Takes the waiting run and appends a step with metrics and ranks every `every_s`, until the end of the block.

    The first `past` steps exist immediately.
    """
    engine = create_engine(stack.settings.resolved_database_url)
    bell = Doorbell(stack.settings.broker_url)
    with writing(engine) as session:
        claim = queue.claim_next(session, worker="feeder", has_gpu=False, lease_s=3600, now=time.time())
    assert claim is not None
    assert claim.run_id == run_id
    with writing(engine) as session:
        queue.begin_training(session, run_id, claim.attempt, start_step=0, now=time.time())
    feeding = Feeding(run_id)

    def write(batch: list[RunEvent]) -> None:
        with writing(engine) as session:
            last = events.append(session, run_id, claim.attempt, batch, now=time.time())
        bell.ring(run_id, last)

    names = [
        Module(
            name=f"encoder.layer.{at // 6}.{_KINDS[at % 6]}",
            layer=at // 6,
            kind=_KINDS[at % 6],
            out_features=8,
            in_features=8,
        )
        for at in range(modules)
    ]
    write([ModulesEvent(modules=names, width=WIDTH, trained_parameters=1000, total_steps=100_000)])

    def metrics(step: int) -> MetricsEvent:
        values = {"train_loss": 1 / step, "learning_rate": 1e-3, "grad_norm": step % 5 / 5}
        return MetricsEvent(step=step, values=values | ({"eval_accuracy": 0.5} if step % 10 == 0 else {}))

    def feed() -> None:
        while not feeding.is_over.wait(every_s):
            step = feeding.step = feeding.step + 1
            said, feeding.warnings = feeding.warnings, []
            snapshot = ranks_event(step, modules=modules, width=WIDTH, pruning=step % 5 == 0)
            write([metrics(step), snapshot, *said])

    if past > 0:
        write([metrics(step) for step in range(1, past + 1)])
        feeding.step = past

    thread = threading.Thread(target=feed, name="feeder")
    thread.start()
    try:
        yield feeding
    finally:
        feeding.is_over.set()
        thread.join()
        bell.close()
        engine.dispose()
