"""run_training: one attempt, from a model folder to an exported adapter. Needs neither database nor Redis.

With `record=events.append` on a list and `should_stop=lambda: False` this is the whole trainer.
"""

import logging
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainingArguments, set_seed

from dynamic_rank import RankMethod, RunContext, Stopped, create_method
from dynamic_rank.methods import option_names
from rankscope.catalog.data.splits import Split
from rankscope.catalog.imported.encoded import TokenSpace
from rankscope.contract.config import RunConfig
from rankscope.contract.events import (
    ArtifactEvent,
    MetricsEvent,
    Module,
    ModulesEvent,
    PhaseEvent,
    RunEvent,
    WarningEvent,
)
from rankscope.contract.status import Phase
from rankscope_worker.child import checkpoint
from rankscope_worker.child.best import Best
from rankscope_worker.child.callbacks import Reporter
from rankscope_worker.child.checkpoint import FOLDER, CheckpointFolder
from rankscope_worker.child.evaluated import Evaluated
from rankscope_worker.child.hardware import HardwareSampler, read_peaks
from rankscope_worker.child.loading.causes import is_of_the_host, is_panic, name_of, one_line, out_of_memory
from rankscope_worker.child.loading.encoding import TextEncoder, UnusableText
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.loading.quantisation import quantisation_of
from rankscope_worker.child.loading.token_cache import TokenCache
from rankscope_worker.child.steering import Steerer
from rankscope_worker.child.tasks import trained_task
from rankscope_worker.child.trainer import RunTrainer
from rankscope_worker.steer_requests import SteerRequest

_log = logging.getLogger(__name__)

_MAX_FRAMES = 1000
"""Approximate number of regular rank snapshots of a run. Snapshots at pruning steps are additional."""


PreparationReason = Literal["bad_input", "missing_model", "bad_data"]


class PermanentError(Exception):
    """Another attempt would fail in the same way because of configuration, model or data, as given in `reason`."""

    def __init__(self, message: str, reason: PreparationReason = "bad_input") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended without an error. `is_saved`: whether there is a checkpoint of exactly this step."""

    kind: Literal["done", "stopped", "diverged", "disk_full"]
    step: int
    is_saved: bool


def run_training(
    config: RunConfig,
    model_folder: Path,
    split: Split,
    folder: Path,
    record: Callable[[RunEvent], object],
    should_stop: Callable[[], bool],
    resume_from: CheckpointFolder | None = None,
    on_ready: Callable[[int], None] = lambda _start_step: None,
    make_safe: Callable[[], None] = lambda: None,
    steer_requests: Callable[[], Iterable[SteerRequest]] = lambda: (),
    hardware_every_s: float = 0.0,
    token_space: TokenSpace | None = None,
) -> Outcome:
    """Trains, evaluates and exports to `folder`, the attempt's folder; writes nowhere else but to `token_space`.

    `should_stop` is called after every optimizer step: if it returns true, a checkpoint is written and training ends.
    `on_ready` is called once with the first step when everything is loaded, before the first event of training.
    `make_safe` is called before a checkpoint becomes visible, and returns once everything recorded is stored: otherwise
    a kill right after could lose events that the resumed attempt does not repeat.
    `steer_requests` is called after every optimizer step and returns the steering requests that have arrived.
    During training, memory and load are recorded every `hardware_every_s` seconds; 0: never.
    On a CPU a run that was stopped and resumed gives the same adapter and the same events, bit for bit, except for
    metrics of the machine (`contract.metrics`).

    Raises PermanentError if the configuration, the model or the data is invalid.
    """
    start_step = resume_from.step if resume_from else 0
    total_steps = steps_of(config, len(split.train))
    task = trained_task(config.task, split.labels)
    with _causes():
        set_seed(config.training.seed)
        record(PhaseEvent(phase=Phase.loading, step=start_step))
        with _causes("missing_model"):
            tokenizer = load_tokenizer(model_folder)
            base = load_model(model_folder, config.model.id, task.head(), tokenizer, quantisation_of(config))
            task.check_model(base.model)
            cache = None if token_space is None else TokenCache(token_space, model_folder)
            encoder = TextEncoder(tokenizer, base.model, config.training.max_length, cache)
        if base.missing:
            record(_missing_weights(base.missing, start_step))
        method = create_method(config.method.name, method_options(config))
        method.check_schedule(total_steps)
        is_fork = resume_from is not None and resume_from.attempt == 0
        method.set_context(RunContext(is_fork, config.training.raw_scores, should_stop))
        model = method.prepare(base.model, task.peft_type)
        if should_stop():
            return Outcome("stopped", start_step, is_saved=resume_from is not None)
        record(PhaseEvent(phase=Phase.tokenizing, step=start_step))
        with _causes("bad_data"):
            rows = task.encode(split, encoder, config.training.max_length)
        for notice in rows.notices:
            record(WarningEvent(**notice._asdict(), step=start_step))
        arguments = training_arguments(config, folder, total_steps, task.label_names, task.eval_batch_rows)
    best = Best(config.best_metric, lambda: method.is_settled) if config.training.keep_best else None
    notes = checkpoint.read_notes(resume_from.path) if resume_from else {}
    if best:
        best.recall(notes.get("best"))
    reporter = Reporter(
        record,
        should_stop,
        eval_every=config.training.eval_every,
        checkpoint_every=config.training.checkpoint_every,
        checkpoint_minutes=config.training.checkpoint_minutes,
        window=config.method.pruning_window(total_steps),
        start_step=start_step,
        is_fork=is_fork,
        best=best,
        describe=config.task.describe,
    )
    steerer = Steerer(config.steering, steer_requests, method, record)
    frames_every = math.ceil(total_steps / _MAX_FRAMES)
    evaluated = Evaluated(task, rows.evaluation, split.evaluation, tokenizer, split.labels, split.eval_parts)
    trainer = RunTrainer(
        model=model,
        args=arguments,
        method=method,
        reporter=reporter,
        record=record,
        make_safe=make_safe,
        folder=folder,
        policy=config.training,
        train_dataset=rows.train,
        eval_dataset=rows.evaluation,
        data_collator=task.collator(tokenizer),
        training_collator=task.training_collator(tokenizer),
        compute_metrics=evaluated.measure,
        preprocess_logits_for_metrics=task.kept_outputs,
        measure_generated=lambda model, stop: task.measure_generated(model, tokenizer, stop),
        evaluates_first=resume_from.path if resume_from and notes.get("is_evaluation_due") else None,
        callbacks=[steerer, *method.callbacks(reporter.on_snapshot, frames_every, reporter.on_warning), reporter],
        keep_row_values=lambda at, step: evaluated.save_row_values(folder, at, step),
        is_fork=is_fork,
    )
    trainer.remove_callback(PrinterCallback)
    if should_stop():
        return Outcome("stopped", start_step, is_saved=resume_from is not None)
    if resume_from is None:
        try:
            with _causes():
                trainer.initialize_method()
        except Stopped:
            return Outcome("stopped", start_step, is_saved=False)
    on_ready(start_step)
    record(_modules_event(method, total_steps))
    if start_step < total_steps:
        _log.info("Training from step %d to %d on %s.", start_step, total_steps, arguments.device)
        with HardwareSampler(record, lambda: trainer.state.global_step, hardware_every_s):
            trainer.train(resume_from_checkpoint=str(resume_from.path) if resume_from else None)
        if hardware_every_s > 0 and (peaks := read_peaks()):
            record(MetricsEvent(step=max(trainer.state.global_step, start_step), values=peaks))
    else:
        # The checkpoint's evaluation is recorded, but its outputs are lost.
        method.load_state(str(resume_from.path) if resume_from else "")
        reporter.enter(Phase.evaluating)
        trainer.predict(rows.evaluation)
        evaluated.save_row_values(folder, "final", start_step)
    step = max(trainer.state.global_step, start_step)
    shutil.rmtree(_working_folder(folder), ignore_errors=True)
    if reporter.diverged_at is not None:
        return Outcome("diverged", reporter.diverged_at, is_saved=False)
    is_saved = step == (start_step if trainer.saved_step is None else trainer.saved_step)
    if step < total_steps:
        was_requested = reporter.is_stopping or not trainer.is_out_of_room
        return Outcome("stopped" if was_requested else "disk_full", step, is_saved)
    reporter.enter(Phase.exporting)
    evaluated.save_results(folder, step)
    record(export(method, config.method.artifact, tokenizer, folder, step))
    make_safe()
    if config.training.after_done == "delete":
        checkpoint.clear(folder)
    elif config.training.after_done == "best" and not checkpoint.keep_only(folder, best.step if best else None):
        record(
            WarningEvent(
                code="no_best_checkpoint",
                step=step,
                message="There is no best checkpoint, so the newest was kept: "
                + (
                    f"no evaluation of the final ranks gave a finite {best.metric.name}."
                    if best
                    else "keep_best is off."
                ),
                next_step="Nothing to do. It is deleted with the run.",
            )
        )
    return Outcome("done", step, is_saved)


def steps_of(config: RunConfig, train_rows: int) -> int:
    """Returns the number of optimizer steps. The server converts epochs to steps by the same rule."""
    training = config.training
    if training.max_steps is not None:
        return training.max_steps
    batches = math.ceil(train_rows / training.batch_size)
    return math.ceil((training.epochs or 0) * math.ceil(batches / training.gradient_accumulation))


def method_options(config: RunConfig) -> dict[str, object]:
    """Returns the options of the library's method. A method that uses random numbers gets the run's seed."""
    options: dict[str, object] = config.method.model_dump(exclude={"name"})
    return options | {"seed": config.training.seed} if "seed" in option_names(config.method.name) else options


def training_arguments(
    config: RunConfig, folder: Path, total_steps: int, label_names: Sequence[str], eval_batch_rows: int
) -> TrainingArguments:
    """Trainer's settings; evaluations and checkpoints are timed by Reporter."""
    training, hardware = config.training, config.hardware
    has_gpu = torch.cuda.is_available()
    if hardware.device == "gpu" and not has_gpu:
        raise PermanentError(
            "hardware.device is gpu, and this worker sees no GPU; set it to auto, or start a GPU worker."
        )
    on_cpu = hardware.device == "cpu" or not has_gpu
    return TrainingArguments(
        output_dir=str(_working_folder(folder)),
        max_steps=total_steps,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=max(training.batch_size, eval_batch_rows),
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=warmup_steps(config, total_steps),
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        seed=training.seed,
        bf16=hardware.precision == "bf16",
        activation_checkpointing=hardware.gradient_checkpointing,
        # Reentrant checkpoints need an input with a gradient, which frozen embeddings don't have.
        activation_checkpointing_kwargs={"use_reentrant": False} if hardware.gradient_checkpointing else None,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        label_names=list(label_names),
        remove_unused_columns=False,
    )


def warmup_steps(config: RunConfig, total_steps: int) -> int:
    """Returns the number of warm-up steps: rounded up as in Trainer, or down if the method's authors round down."""
    ratio = config.training.lr_warmup_ratio
    if config.method.rounds_warmup_down:
        # Fraction(str(x)) reads 0.29 as 29/100; floor(0.29 * 100) in floating point would be 28.
        return math.floor(Fraction(str(ratio)) * total_steps)
    return math.ceil(ratio * total_steps)


def export(
    method: RankMethod,
    name: Literal["adapter", "model"],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    step: int,
) -> ArtifactEvent:
    """Writes the result as folder `name` of the attempt's folder, completely or not at all."""
    working, target = folder / f".{name}", folder / name
    shutil.rmtree(working, ignore_errors=True)
    method.export(working, "compact")  # as small as possible; a download pads it for readers that need that
    tokenizer.save_pretrained(str(working))
    shutil.rmtree(target, ignore_errors=True)
    os.rename(working, target)
    size_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return ArtifactEvent(name=name, step=step, size_bytes=size_bytes, kept_parameters=method.kept_parameters().adapter)


def _working_folder(folder: Path) -> Path:
    return folder / FOLDER / ".writing"


def _modules_event(method: RankMethod, total_steps: int) -> ModulesEvent:
    modules = [
        Module(
            name=module.name,
            layer=module.layer,
            kind=module.kind,
            stack=module.stack,
            out_features=module.out_features,
            in_features=module.in_features,
        )
        for module in method.modules()
    ]
    return ModulesEvent(
        modules=modules,
        width=method.width,
        trained_parameters=method.trained_parameters().total,
        total_steps=total_steps,
    )


def _missing_weights(names: list[str], step: int) -> WarningEvent:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return WarningEvent(
        code="missing_weights",
        message=f"The model's files lack {shown}, which start from random values and are not saved in an adapter.",
        next_step="Use a model whose files contain them, or method full.",
        step=step,
    )


@contextmanager
def _causes(reason: PreparationReason = "bad_input") -> Iterator[None]:
    """Converts errors during preparation to PermanentError, unless memory or disk space ran out."""
    try:
        yield
    except PermanentError:
        raise
    except UnusableModel as error:
        raise PermanentError(str(error), "missing_model") from error
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        # Files of a model or data set can make any library raise any error. An error in our code is a bug.
        expected = Exception if reason != "bad_input" else (ValueError, KeyError, OSError, SafetensorError)
        if not (isinstance(error, expected) or is_panic(error)) or out_of_memory(error) or is_of_the_host(error):
            raise
        raise PermanentError(_in_words(error, reason), reason) from error


def _in_words(error: BaseException, reason: PreparationReason) -> str:
    if reason == "bad_input" or isinstance(error, UnusableText):
        return one_line(error)
    what = "The model's files can't be loaded" if reason == "missing_model" else "The texts can't be tokenized"
    return f"{what}: {name_of(error)}"
