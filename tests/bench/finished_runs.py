"""Finished runs in a database, as a training would record them, made without one: curves, ranks, prunings, results.

`python -m tests.bench.finished_runs FOLDER` fills a data folder, so that you can look at the pages that compare runs.
"""

import base64
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine

from rankscope.contract.config import RunConfig
from rankscope.contract.events import (
    ArtifactEvent,
    MetricsEvent,
    Module,
    ModulesEvent,
    PruneEvent,
    RanksEvent,
    RunEvent,
)
from rankscope.contract.status import RunStatus
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, writing
from rankscope.store.database.schema import migrate
from rankscope.store.history import events
from tests.backend.conftest import config_with, fill_catalogue

KINDS = ("query", "key", "value", "attention.output", "intermediate", "output", "gate")
_BATCH = 2000


@dataclass(frozen=True)
class FinishedRun:
    """`quality`: the limit of the accuracy. `noise`: its spread by seed. Ranks follow `taste`, plus noise by seed."""

    name: str
    method: Mapping[str, Any]
    seed: int = 0
    steps: int = 2000
    modules: int = 36
    width: int = 8
    mean_rank: float = 4
    snapshots: int = 60
    quality: float = 0.78
    noise: float = 0.004
    taste: int = 1
    size: int = 384
    metrics_every: int = 1
    eval_every: int = 100
    seconds_a_step: float = 0.12
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Dotted changes of the configuration."""


def record(engine: Engine, run: FinishedRun, *, now: float, parent: tuple[str, int] | None = None) -> str:
    """Stores the run with everything that a worker would have recorded, and returns its id."""
    config = RunConfig.model_validate(
        config_with(
            **{
                "method": dict(run.method),
                "training.seed": run.seed,
                "training.max_steps": run.steps,
                "training.eval_every": run.eval_every,
                **run.extra,
            }
        )
    )
    with writing(engine) as session:
        run_id = runs.create_run(session, config, now=now, name=run.name, total_steps=run.steps, parent=parent).id
    with writing(engine) as session:
        claimed = queue.claim_next(session, worker="bench", has_gpu=False, lease_s=1e7, now=now + 2)
    assert claimed is not None
    assert claimed.run_id == run_id
    begun = now + 5
    with writing(engine) as session:
        queue.begin_training(session, run_id, claimed.attempt, start_step=0, now=begun)
    batch: list[RunEvent] = []
    times: list[float] = []

    def flush() -> None:
        with writing(engine) as session:
            events.append(session, run_id, claimed.attempt, batch, now=times[-1], times=times)
        batch.clear()
        times.clear()

    for step, event in _life(run):
        batch.append(event)
        times.append(begun + step * run.seconds_a_step)
        if len(batch) >= _BATCH:
            flush()
    flush()
    with writing(engine) as session:
        ended = begun + run.steps * run.seconds_a_step + 3
        runs.transition(session, runs.get_run(session, run_id), RunStatus.done, now=ended)
    return run_id


def _life(run: FinishedRun) -> Iterator[tuple[int, RunEvent]]:
    random = np.random.default_rng(run.seed * 7919 + sum(map(ord, run.name)))
    modules = _modules(run.modules, run.size)
    yield (
        0,
        ModulesEvent(
            modules=modules,
            width=run.width,
            trained_parameters=run.modules * run.width * 2 * run.size,
            total_steps=run.steps,
        ),
    )
    has_ranks = run.method["name"] != "full"
    frames = dict(_frames(run)) if has_ranks else {}
    final = run.quality + run.noise * float(random.standard_normal())
    live = run.modules * run.width
    for step in range(run.steps + 1):
        if step in frames:
            yield from ((step, event) for event in frames[step])
            live = next(event.live for event in frames[step] if isinstance(event, RanksEvent))
        if step and step % run.metrics_every == 0:
            share = step / run.steps
            loss = 0.2 + 0.5 * math.exp(-4 * share) + 0.05 * float(random.standard_normal()) * math.exp(-share)
            yield (
                step,
                MetricsEvent(
                    step=step,
                    values={
                        "train_loss": max(0.01, loss),
                        "learning_rate": 3e-3 * (1 - share),
                        "tokens_seen": 8 * 96.0 * step,
                        "grad_norm": 1 + abs(float(random.standard_normal())),
                        "steps_per_second": 1 / run.seconds_a_step,
                        "samples_per_second": 8 / run.seconds_a_step,
                    },
                ),
            )
        if step and (step % run.eval_every == 0 or step == run.steps):
            share = step / run.steps
            accuracy = final - 0.25 * math.exp(-6 * share) + 0.003 * float(random.standard_normal())
            yield (
                step,
                MetricsEvent(
                    step=step,
                    values={"eval_accuracy": accuracy, "eval_f1": accuracy - 0.01, "eval_loss": 1.2 - accuracy},
                ),
            )
    yield run.steps, MetricsEvent(step=run.steps, values={"peak_memory_bytes": 9e8 + 2e6 * run.width * run.modules})
    kept = live * 2 * run.size
    yield run.steps, ArtifactEvent(name="adapter", step=run.steps, size_bytes=4 * kept, kept_parameters=kept)


def _modules(count: int, size: int) -> list[Module]:
    kinds = KINDS[:6] if count % 6 == 0 else KINDS
    return [
        Module(
            name=f"encoder.layer.{index // len(kinds)}.{kinds[index % len(kinds)]}",
            layer=index // len(kinds),
            kind=kinds[index % len(kinds)],
            out_features=size,
            in_features=size,
        )
        for index in range(count)
    ]


def _frames(run: FinishedRun) -> Iterator[tuple[int, list[RunEvent]]]:
    """Snapshots by step: the budget falls by a cubic from the initial to the mean rank, as in the paper."""
    prunes = run.method["name"] not in ("lora", "full")
    tastes = np.random.default_rng(run.taste).random((run.modules, 1))
    own = np.random.default_rng(run.seed + 17).random((run.modules, run.width))
    scores = (tastes * np.linspace(1, 0.2, run.width)[None, :] * 0.8 + own * 0.35).astype(np.float16)
    start, end = run.modules * run.width, round(run.modules * run.mean_rank)
    last = start
    for step in np.unique(np.linspace(0, run.steps, run.snapshots).round().astype(int)).tolist():
        share = min(1.0, max(0.0, (step / run.steps - 0.1) / 0.6))
        budget = round(end + (start - end) * (1 - share) ** 3) if prunes else start
        threshold = float(np.sort(scores, axis=None)[-budget]) if budget else 1.0
        mask = np.zeros(scores.size, bool)
        mask[np.argsort(-scores, axis=None, kind="stable")[:budget]] = True
        event = RanksEvent(
            step=step,
            budget=budget,
            live=budget,
            threshold=threshold,
            pruning=budget < last,
            final=prunes and share == 1.0,
            modules=run.modules,
            width=run.width,
            mask=base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode(),
            scores=base64.b64encode(scores.astype("<f2").tobytes()).decode(),
        )
        is_pruning = budget < last
        done: list[RunEvent] = [event]
        if is_pruning:
            done.append(
                PruneEvent(
                    step=step,
                    budget=budget,
                    total=start,
                    threshold=threshold,
                    final=share == 1.0,
                    pruned=[],
                    regrown=[],
                )
            )
        last = budget
        yield step, done


def dynamic(rank: int, width: int | None = None) -> dict[str, Any]:
    return {"name": "dynamic_rank", "target_rank": rank, "initial_rank": width or 2 * rank, "prune_interval": 10}


def lora(rank: int) -> dict[str, Any]:
    return {"name": "lora", "rank": rank}


def story() -> list[FinishedRun]:
    """Twenty typical runs: three methods at two budgets over seeds, and a few that don't match the others."""
    found = []
    for seed in range(5):
        found.append(FinishedRun(f"dynamic rank 4, seed {seed}", dynamic(4), seed, quality=0.792, width=8, mean_rank=4))
        found.append(FinishedRun(f"LoRA 4, seed {seed}", lora(4), seed, quality=0.781, width=4, mean_rank=4))
    for seed in range(3):
        found.append(FinishedRun(f"dynamic rank 2, seed {seed}", dynamic(2), seed, quality=0.779, width=4, mean_rank=2))
        found.append(FinishedRun(f"LoRA 2, seed {seed}", lora(2), seed, quality=0.777, width=2, mean_rank=2))
    found.append(
        FinishedRun(
            "AdaLoRA 4", {"name": "adalora", "target_rank": 4, "initial_rank": 6}, width=6, quality=0.78, taste=5
        )
    )
    found.append(FinishedRun("full fine-tuning", {"name": "full"}, quality=0.801, seconds_a_step=0.21))
    found.append(
        FinishedRun("dynamic rank 4, another split", dynamic(4), quality=0.80, extra={"data.split_seed": 3}, steps=3000)
    )
    found.append(
        FinishedRun(
            "dynamic rank 8 with a rather long name that someone gave it",
            dynamic(8),
            width=16,
            mean_rank=8,
            quality=0.795,
        )
    )
    return found


def main() -> None:
    settings = Settings.model_validate({"data_dir": Path(sys.argv[1])})
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    fill_catalogue(settings)
    engine = create_engine(settings.resolved_database_url)
    migrate(engine)
    now = time.time() - 86_400
    ids = [record(engine, run, now=now + 1000 * place) for place, run in enumerate(story())]
    print(",".join(ids))


if __name__ == "__main__":
    main()
