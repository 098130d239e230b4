"""Time and memory of a step on a GPU, compared with PEFT's plain LoRA: `make bench-gpu` (about ten minutes a model).

Three shapes with random weights, in bf16: autocast, with the encoders' weights in float32 (as RankScope trains) and
Llama's in bf16. A step is a whole optimizer step of the library's Trainer, as in `bench-method`. Both sides stay in
memory and are timed alternately with CUDA events, several steps at a time; the median of the paired ratios decides.

    --cpu-smoke   the same code on tiny models on the CPU: shows that the command works, checks no limit, stores nothing
    --only MODEL  one of the models
    --part PART   steps: steps, synchronisations and memory; training: whole trainings; rivals: AdaLoRA, PEFT's and ours
"""

import argparse
import gc
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any
from unittest.mock import patch

import peft
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .rows import Rows
from .shapes import SHAPES
from .sides import Base, Repeated, Side, arguments, make_trainer

INITIAL_RANK, TARGET_RANK = 12, 8
FINAL_LIMIT, SHARE_LIMIT, MEMORY_LIMIT, TRAINING_LIMIT = 1.00, 0.5, 1.005, 1.02
PARTS = ("steps", "training", "rivals")
RANKS = {"target_rank": TARGET_RANK, "initial_rank": INITIAL_RANK}
# A window of half of the steps, with a pruning at each.
FALLING: dict[str, Any] = {"warmup_ratio": 0.0, "prune_end_ratio": 0.5, "prune_interval": 1}


@dataclass(frozen=True)
class Measurement:
    """How much is measured. A sample is `steps` steps on each side; the first `warmup` samples do not count."""

    pairs: int = 13
    warmup: int = 3
    steps: int = 4
    training_steps: int = 1000

    @property
    def window(self) -> int:
        """Steps of dynamic rank before the final mask: samples, then one each for memory, synchronisations and kernels."""
        return (self.warmup + self.pairs) * self.steps + 8


SMOKE = Measurement(pairs=2, warmup=1, steps=1, training_steps=6)


class Clock:
    """Milliseconds of work on a device, between CUDA events; on a CPU by the processor's clock."""

    def __init__(self, device: str) -> None:
        self._is_cuda = device != "cpu"
        self._marks: list[tuple[Any, Any]] = []

    def measure(self, work: Callable[[], Any]) -> Any:
        began = self._mark()
        result = work()
        self._marks.append((began, self._mark()))
        return result

    def wait(self) -> None:
        """Wait for the device, before a sample and before its times are read."""
        if self._is_cuda:
            torch.cuda.synchronize()

    def times_ms(self) -> list[float]:
        self.wait()
        if self._is_cuda:
            return [float(began.elapsed_time(ended)) for began, ended in self._marks]
        return [1e3 * (ended - began) for began, ended in self._marks]

    def _mark(self) -> Any:
        if not self._is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


class Bench:
    """The measurements of one model."""

    def __init__(
        self, rows: Rows, name: str, device: str, folder: str, measurement: Measurement, *, smoke: bool
    ) -> None:
        self._rows, self._name, self._folder, self._measurement = rows, name, folder, measurement
        self._shape = SHAPES[name]
        self._device = device
        self._base = self._shape.base(device, smoke=smoke)

    def steps(self) -> None:
        """Steps in the window and after the final mask, their synchronisations and memory, and the share of scoring."""
        self._prunings()
        self._free()
        self._window_and_final_mask()
        self._free()

    def training(self) -> None:
        """Whole trainings by Trainer with the default schedule, and a snapshot at each step as RankScope takes them."""
        total = self._measurement.training_steps // 2
        lora, ours = {"rank": TARGET_RANK}, {**RANKS, "prune_interval": max(1, total // 10)}
        self._train_s("lora", lora, max(2, total // 20))  # warms the device up
        # In this order, a machine that becomes slower or faster at a steady rate does so for both.
        lora_s = self._train_s("lora", lora, total)
        ours_s = self._train_s("dynamic_rank", ours, total) + self._train_s("dynamic_rank", ours, total)
        lora_s += self._train_s("lora", lora, total)
        against = f"{self._against(TARGET_RANK)}: {lora_s:.4g} s against {ours_s:.4g}"
        figure = f"{2 * total} steps by Trainer in two trainings, whole / LoRA's"
        self._at_most(figure, ours_s / lora_s, TRAINING_LIMIT, "ratio", against)

    def rivals(self) -> None:
        """A step of AdaLoRA in its window, as this library and as PEFT have it, against LoRA of the same rank."""
        total = 2 * self._measurement.window
        side = self._side("adalora", {**RANKS, **FALLING}, total)
        targets = [module.name for module in side.method.modules()]
        self._rival("adalora", side, total)
        del side
        self._free()
        self._rival("PEFT AdaLoRA", PeftAdaLora(self._base, targets, total, self._folder), total)
        self._free()

    def _rival(self, name: str, rival: Side, total: int) -> None:
        lora = self._side("lora", {"rank": INITIAL_RANK}, total)
        ratio, rival_ms, lora_ms = self._interleave(rival.step, lora.step)
        against = f"{self._against(INITIAL_RANK)}: {lora_ms:.4g} ms against {rival_ms:.4g}"
        self._tell(f"step of {name} / LoRA's", ratio, "ratio", against)
        memory = rival.peak_bytes() / lora.peak_bytes()
        self._tell(f"peak memory of {name} / LoRA's", memory, "ratio of bytes", against)

    def _train_s(self, key: str, options: dict[str, Any], total: int) -> float:
        _, trainer = make_trainer(key, options, self._base, total, self._folder, reports=key != "lora", bf16=True)
        clock = Clock(self._device)
        clock.wait()
        began = time.perf_counter()
        trainer.train()
        clock.wait()
        seconds = time.perf_counter() - began
        if trainer.state.global_step != total:
            raise RuntimeError(f"{key} ended at step {trainer.state.global_step} of {total}.")
        del trainer
        self._free()
        return seconds

    def _prunings(self) -> None:
        """The most expensive step: by default, only every 100th step prunes."""
        total = 2 * self._measurement.window
        ours = self._side("dynamic_rank", {**RANKS, **FALLING}, total, reports=True)
        lora = self._side("lora", {"rank": INITIAL_RANK}, total)
        ratio, ours_ms, lora_ms = self._interleave(ours.step, lora.step)
        against = f"{self._against(INITIAL_RANK)}: {lora_ms:.4g} ms against {ours_ms:.4g}"
        figure = "step in the window, with a pruning and a snapshot / LoRA's"
        self._at_most(figure, ratio, self._shape.window_limit, "ratio", against)

    def _window_and_final_mask(self) -> None:
        """Steps without a pruning, then those after the only one, which is final."""
        window, skipped = self._measurement.window, self._measurement.warmup * self._measurement.steps
        options = {**RANKS, **FALLING, "prune_interval": window}
        ours = self._side("dynamic_rank", options, 2 * window, reports=True, snapshot_every=window)
        lora = self._side("lora", {"rank": INITIAL_RANK}, 2 * window)
        allocator, clock = ours.allocator, Clock(self._device)
        step = allocator.step
        with patch.object(allocator, "step", lambda number: clock.measure(lambda: step(number))):
            ratio, ours_ms, lora_ms = self._interleave(ours.step, lora.step)
        against = f"{self._against(INITIAL_RANK)}: {lora_ms:.4g} ms against {ours_ms:.4g}"
        self._at_most("step in the window / LoRA's", ratio, self._shape.window_limit, "ratio", against)
        share = 100 * median(clock.times_ms()[skipped:]) / ours_ms
        self._at_most("score + smooth + allocate, share of the step", share, SHARE_LIMIT, "%", "in the window")
        self._compare("in the window", ours, lora, INITIAL_RANK)
        while not allocator.is_final:
            ours.step()
        if not allocator.components.is_compacted:
            raise RuntimeError("Nothing was compacted: the schedule of the benchmark is wrong.")
        del lora
        self._free()
        lora = self._side("lora", {"rank": TARGET_RANK}, 2 * window)
        ratio, ours_ms, lora_ms = self._interleave(ours.step, lora.step)
        against = f"{self._against(TARGET_RANK)}: {lora_ms:.4g} ms against {ours_ms:.4g}"
        self._at_most("step after the final mask / LoRA's", ratio, FINAL_LIMIT, "ratio", against)
        self._compare("after the final mask", ours, lora, TARGET_RANK)

    def _compare(self, when: str, ours: Side, lora: Side, rank: int) -> None:
        against = self._against(rank)
        memory = ours.peak_bytes() / lora.peak_bytes()
        self._at_most(f"peak memory {when} / LoRA's", memory, MEMORY_LIMIT, "ratio of bytes", against)
        if self._device == "cpu":
            return  # nothing to wait for, and no kernels to launch
        waits, theirs = _synchronisations(ours), _synchronisations(lora)
        self._at_most(f"synchronisations of a step {when}, more than LoRA's", waits - theirs, 0, "times", against)
        kernels = f"{against}: {_launches(lora)}"
        self._tell(f"kernels launched by a step {when}", _launches(ours), "kernels", kernels)

    def _interleave(self, ours: Callable[[], None], theirs: Callable[[], None]) -> tuple[float, float, float]:
        """Median of the paired ratios, and the median milliseconds of a step of each."""
        clocks = Clock(self._device), Clock(self._device)
        self._free()
        gc.disable()  # otherwise a full collection of all imported objects may fall into a timed step
        for _ in range(self._measurement.warmup + self._measurement.pairs):
            for clock, step in zip(clocks, (ours, theirs), strict=True):
                clock.wait()
                clock.measure(lambda: [step() for _ in range(self._measurement.steps)])  # noqa: B023
        gc.enable()
        ours_ms, theirs_ms = (
            [sample / self._measurement.steps for sample in clock.times_ms()[self._measurement.warmup :]]
            for clock in clocks
        )
        ratio = median(a / b for a, b in zip(ours_ms, theirs_ms, strict=True))
        return ratio, median(ours_ms), median(theirs_ms)

    def _side(
        self, key: str, options: dict[str, Any], steps: int, *, reports: bool = False, snapshot_every: int = 1
    ) -> Side:
        return Side(
            key, options, self._base, steps, self._folder, reports=reports, snapshot_every=snapshot_every, bf16=True
        )

    def _free(self) -> None:
        if self._device != "cpu":
            gc.collect()
            torch.cuda.empty_cache()

    def _against(self, rank: int) -> str:
        return f"PEFT LoRA {peft.__version__}, r {rank}, bf16"

    def _at_most(self, figure: str, value: float, limit: float, unit: str, against: str) -> None:
        self._rows.at_most(f"{self._name}: {figure}", value, limit, unit, against)

    def _tell(self, figure: str, value: float, unit: str, against: str) -> None:
        self._rows.tell(f"{self._name}: {figure}", value, unit, against)


class PeftAdaLora(Side):
    """PEFT's own AdaLoRA, whose allocator is called after each optimizer step, as its documentation says."""

    def __init__(self, base: Base, targets: list[str], max_steps: int, folder: str) -> None:
        torch.manual_seed(0)
        config = peft.AdaLoraConfig(
            init_r=INITIAL_RANK,
            target_r=TARGET_RANK,
            tinit=1,
            tfinal=max_steps // 2,
            deltaT=1,
            total_step=max_steps,
            lora_alpha=8,
            lora_dropout=0.1,
            target_modules=targets,
            task_type=base.task_type,
        )
        trainer = Trainer(
            model=peft.get_peft_model(base.model(), config),
            args=arguments(base, max_steps, folder, bf16=True),
            train_dataset=Repeated(base.batch, max_steps),
            callbacks=[_UpdateAndAllocate()],
        )
        self._begin(trainer, base.batch)


class _UpdateAndAllocate(TrainerCallback):
    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        kwargs["model"].base_model.update_and_allocate(state.global_step + 1)


def _synchronisations(side: Side) -> int:
    """Waits of the host for the device in one step, as torch reports them."""
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            side.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    # Skip the note that the mode is a prototype, which is shown once.
    return sum("called a synchronizing" in str(warning.message) for warning in caught)


def _launches(side: Side) -> int:
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        side.step()
        torch.cuda.synchronize()
    return sum(event.name.startswith(("cudaLaunchKernel", "cuLaunchKernel")) for event in profile.events())


def measure(
    rows: Rows, names: list[str], parts: list[str], device: str, measurement: Measurement, *, smoke: bool
) -> None:
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(rows, name, device, folder, measurement, smoke=smoke)
            for part in parts:
                getattr(bench, part)()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="make bench-gpu ARGS='...'"
    )
    parser.add_argument("--cpu-smoke", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--only", choices=[name.partition(",")[0].partition(" ")[0] for name in SHAPES], help=argparse.SUPPRESS
    )
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = [name for name in SHAPES if given.only is None or name.startswith(given.only)]
    parts = [given.part] if given.part else list(PARTS)
    if given.cpu_smoke:
        measure(Rows("gpu", smoke=True), names, parts, "cpu", SMOKE, smoke=True)
        return
    if not torch.cuda.is_available():
        sys.exit("No CUDA device is available to torch; use ARGS=--cpu-smoke to try the command without one.")
    rows = Rows("gpu", torch.cuda.get_device_name())
    measure(rows, names, parts, "cuda", Measurement(), smoke=False)
    rows.store()


if __name__ == "__main__":
    main()
