"""Which method learns most at an equal budget: `make bench-learning` (hours on two cores; continues where it was interrupted).

MiniLM on Rotten Tomatoes, split by film. The learning rate of each method is chosen on a validation part of the training
films, over the same grid and by the same rule for all, without the test films. Then each method and budget runs with five
seeds. Every run is one line of results/learning_runs.jsonl, and runs that are in the file are not repeated. The summary
(mean, standard deviation, agreement of the final ranks between seeds) goes to results/learning.jsonl.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments, set_seed

from dynamic_rank import Snapshot, create_method, make_trainer_class
from rankscope.catalog import Catalog
from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split, split
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.settings import Settings
from rankscope_worker.child.evaluated import Evaluated
from rankscope_worker.child.loading.encoding import TextEncoder
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.tasks import trained_task

from .rows import RESULTS, Rows

RUNS = RESULTS / "learning_runs.jsonl"
# Every variant tries the grid, then higher rates as long as the highest one is the best.
GRID = (1e-4, 1e-3, 3e-3, 1e-2)
LADDER = (3e-2, 1e-1)
SEEDS = (0, 1, 2, 3, 4)
TUNING_SEED = 100
STEPS, BATCH, LENGTH = 100, 16, 32
SCHEDULE: dict[str, Any] = {"warmup_ratio": 0.15, "prune_end_ratio": 0.5, "prune_interval": 5}


@dataclass(frozen=True)
class Variant:
    """A method with its options. `rate_of`: the variant whose learning rate is used; None to tune its own."""

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: int = STEPS
    rate_of: str | None = None

    def options_at(self, rank: int) -> dict[str, Any]:
        """The options that keep `rank` components per module on average."""
        match self.method:
            case "full":
                return dict(self.options)
            case "lora" | "eva":
                return {"rank": rank, **self.options}
            case "lora_shrink":
                return {"target_rank": rank, "initial_rank": 4 * rank, **self.options}
            case _:
                return {"target_rank": rank, **SCHEDULE, **self.options}


MAIN = [
    Variant("lora", "lora"),
    Variant("dynamic_rank", "dynamic_rank"),
    Variant("full", "full"),
    Variant("adalora", "adalora"),
    Variant("eva", "eva"),
    Variant("lora_shrink", "lora_shrink"),
]
ZERO_B = Variant("dynamic_rank, zero_b", "dynamic_rank", {"init": "zero_b"})
NORM = Variant("dynamic_rank, zero_b, norm", "dynamic_rank", {"init": "zero_b", "score": "norm"})
SUSPECTS = [ZERO_B, NORM]
# Secondary questions, with three seeds.
ABLATIONS = [
    Variant("dynamic_rank, zero_b, random", "dynamic_rank", {"init": "zero_b", "score": "random"}, rate_of=ZERO_B.name),
    Variant("dynamic_rank, c_lr_scale 10", "dynamic_rank", {"c_lr_scale": 10.0}),
    Variant("dynamic_rank, fast_first", "dynamic_rank", {"schedule": "fast_first"}, rate_of="dynamic_rank"),
    Variant("dynamic_rank, 3x steps", "dynamic_rank", {"prune_interval": 15}, steps=3 * STEPS),
    Variant("lora, 3x steps", "lora", steps=3 * STEPS),
]


@dataclass(frozen=True)
class Job:
    """One run. `part`: "tune" evaluates on validation films, "test" on test films, after the learning rate was chosen."""

    part: str
    variant: Variant
    rank: int | None
    learning_rate: float
    seed: int

    @property
    def key(self) -> str:
        return f"{self.part}|{self.variant.name}|{self.rank}|{self.learning_rate:g}|{self.seed}"


class Bench:
    """The data, the base model, and the finished runs."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            catalog = Catalog(Settings(data_dir=Path(folder)))
            self.model_folder = catalog.model("minilm").folder
            whole = split(catalog.dataset("rotten-tomatoes"), DataConfig(id="rotten-tomatoes"), DEFAULT_TASK)
        inner_train, validation = _by_film(whole.train)
        self._tokenizer = load_tokenizer(self.model_folder)
        self._task = trained_task(DEFAULT_TASK, whole.labels)
        encoder = TextEncoder(self._tokenizer, self._base(), LENGTH)
        self._rows = {
            "tune": self._task.encode(_with(whole, inner_train, validation), encoder, LENGTH),
            "test": self._task.encode(whole, encoder, LENGTH),
        }
        self.test_labels = [row[str(whole.target_column)] for row in whole.evaluation]
        self.done: dict[str, dict[str, Any]] = {}
        if RUNS.exists():
            lines = RUNS.read_text(encoding="utf-8").splitlines()
            self.done = {run["key"]: run for run in map(json.loads, lines)}

    def run(self, job: Job) -> dict[str, Any]:
        """The line of the run, from the file or by running it now."""
        if job.key not in self.done:
            result = self._train(job)
            self.done[job.key] = result
            RUNS.parent.mkdir(exist_ok=True)
            with RUNS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            shown = {name: result[name] for name in ("key", "accuracy", "mcc", "kept_parameters", "seconds")}
            print(json.dumps(shown), flush=True)
        return self.done[job.key]

    def _base(self) -> PreTrainedModel:
        return load_model(self.model_folder, "minilm", self._task.head(), self._tokenizer).model

    def _train(self, job: Job) -> dict[str, Any]:
        set_seed(job.seed)
        base = self._base()
        options = job.variant.options_at(job.rank or 1)
        method = create_method(job.variant.method, options)
        model = method.prepare(base, self._task.peft_type)
        last: list[Snapshot] = []

        def keep(snapshot: Snapshot) -> None:
            last[:] = [snapshot]

        rows = self._rows[job.part]
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                max_steps=job.variant.steps,
                learning_rate=job.learning_rate,
                seed=job.seed,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=64,
                weight_decay=0.01,
                warmup_steps=0.06,
                max_grad_norm=1.0,
                lr_scheduler_type="linear",
                use_cpu=True,
                report_to=[],
                disable_tqdm=True,
                save_strategy="no",
                eval_strategy="no",
                logging_strategy="no",
                label_names=list(self._task.label_names),
                remove_unused_columns=False,
                dataloader_pin_memory=False,
            )
            evaluated = Evaluated(self._task, rows.evaluation, (), self._tokenizer)
            trainer = make_trainer_class(Trainer)(
                model=model,
                args=arguments,
                method=method,
                train_dataset=rows.train,
                eval_dataset=rows.evaluation,
                data_collator=self._task.collator(self._tokenizer),
                compute_metrics=evaluated.measure,
                callbacks=method.callbacks(keep, job.variant.steps, lambda code, text: print(f"{code}: {text}")),
            )
            trainer.remove_callback(PrinterCallback)
            trained = method.trained_parameters()
            trainer.train()
            metrics = trainer.evaluate()
        kept = method.kept_parameters()
        return {
            "key": job.key,
            "part": job.part,
            "variant": job.variant.name,
            "method": job.variant.method,
            "options": options,
            "rank": job.rank,
            "learning_rate": job.learning_rate,
            "seed": job.seed,
            "steps": job.variant.steps,
            "batch": BATCH,
            "length": LENGTH,
            "accuracy": metrics["eval_accuracy"],
            "mcc": metrics["eval_mcc"],
            "loss": metrics["eval_loss"],
            "trained_parameters": trained.adapter,
            "kept_parameters": kept.adapter,
            "head_parameters": kept.head,
            "ranks": last[0].ranks if last else [],
            "seconds": round(time.perf_counter() - began, 1),
        }


def best_rate(bench: Bench, variant: Variant, rank: int | None) -> float:
    """The learning rate with the highest accuracy on the validation films; the lower one among equals."""
    tried: dict[float, float] = {}
    for rate in (*GRID, *LADDER):
        if rate in LADDER and best_of(tried) != max(tried):
            break
        tried[rate] = bench.run(Job("tune", variant, rank, rate, TUNING_SEED))["accuracy"]
    return best_of(tried)


def best_of(tried: Mapping[float, float]) -> float:
    """The rate of the highest accuracy; the lower one among equals."""
    return max(tried, key=lambda rate: (tried[rate], -rate))


def plan() -> Iterator[tuple[Variant, tuple[int | None, ...], tuple[int, ...]]]:
    """All runs, the most informative first."""
    for variant in MAIN:
        yield variant, (None,) if variant.method == "full" else (4, 2), SEEDS
    for variant in SUSPECTS:
        yield variant, (4,), SEEDS
    for variant in ABLATIONS:
        yield variant, (4,), SEEDS[:3]


def tuned(variant: Variant) -> Variant:
    """The variant whose learning rate is used: an ablation uses that of the variant it changes."""
    everything = [*MAIN, *SUSPECTS, *ABLATIONS]
    return next(one for one in everything if one.name == (variant.rate_of or variant.name))


def agreement(ranks: list[list[int]]) -> float | None:
    """Mean Spearman correlation of the final ranks over all pairs of seeds; None if ranks do not differ."""
    values = [spearman(a, b) for a, b in combinations(ranks, 2) if len(set(a)) > 1 and len(set(b)) > 1]
    return mean(values) if values else None


def spearman(a: list[int], b: list[int]) -> float:
    """Pearson correlation of the ranks of the values; ties share their mean rank."""
    return float(np.corrcoef(_places(a), _places(b))[0, 1])


def _places(values: list[int]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    array = np.asarray(values)
    below = (array[None, :] < array[:, None]).sum(axis=1)
    equal = (array[None, :] == array[:, None]).sum(axis=1)
    return np.asarray(below + (equal - 1) / 2, dtype=np.float64)


def _by_film(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Every tenth film of the training films, in the order of their names, is for validation."""
    films = sorted({row["movie_name"] for row in rows})
    held = set(films[::10])
    return [row for row in rows if row["movie_name"] not in held], [row for row in rows if row["movie_name"] in held]


def _with(whole: Split, train: list[Row], evaluation: list[Row]) -> Split:
    return Split(train, evaluation, whole.text_columns, whole.target_column, whole.group_column, whole.labels)


def summarise(bench: Bench) -> None:
    """One row for accuracy and one for the agreement of ranks, for each variant with all seeds."""
    rows = Rows("learning")
    labels = list(bench.test_labels)
    majority = max(labels.count(label) for label in set(labels)) / len(labels)
    runs = list(bench.done.values())
    for variant, ranks, seeds in plan():
        chosen = tuned(variant).name
        tried = {
            run["learning_rate"]: run["accuracy"] for run in runs if run["part"] == "tune" and run["variant"] == chosen
        }
        if not tried:
            continue
        for rank in ranks:
            wanted = ("test", variant.name, rank, best_of(tried))
            found = [r for r in runs if (r["part"], r["variant"], r["rank"], r["learning_rate"]) == wanted]
            if len(found) < 2:
                continue
            scores = [run["accuracy"] for run in found]
            at = "" if rank is None else f", mean rank {rank}"
            kept = mean(run["kept_parameters"] for run in found)
            against = (
                f"sd {stdev(scores):.4f}, MCC {mean(run['mcc'] for run in found):.3f}, {len(found)} of {len(seeds)} seeds, "
                f"lr {found[0]['learning_rate']:g}, trained {found[0]['trained_parameters']}, kept {kept:.0f}, "
                f"{found[0]['steps']} steps of {BATCH}, majority {majority:.3f}"
            )
            rows.tell(f"accuracy on the test films: {variant.name}{at}", mean(scores), "share", against)
            together = agreement([run["ranks"] for run in found])
            if together is not None:
                spread = mean(float(np.std(run["ranks"])) for run in found)
                rows.tell(
                    f"agreement of the final ranks between seeds: {variant.name}{at}",
                    together,
                    "Spearman",
                    f"ranks spread by sd {spread:.2f}",
                )
    rows.store()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no more runs after this time")
    parser.add_argument("--only", help="names of variants, separated by ;")
    parser.add_argument("--summary", action="store_true", help="no runs: only the rows of what is there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench()
    end = time.monotonic() + 60 * given.minutes
    names = set(given.only.split(";")) if given.only else None
    if not given.summary:
        for variant, ranks, seeds in plan():
            if names is not None and variant.name not in names:
                continue
            # The rate tuned at mean rank 4 is used for both budgets, because the method scales by alpha / rank.
            rate = best_rate(bench, tuned(variant), None if variant.method == "full" else 4)
            for rank in ranks:
                for seed in seeds:
                    if time.monotonic() > end:
                        print("The time is over; the next call continues here.", flush=True)
                        return
                    bench.run(Job("test", variant, rank, rate, seed))
    summarise(bench)


if __name__ == "__main__":
    main()
