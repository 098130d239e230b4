"""The cost of dynamic rank compared with PEFT's plain LoRA: `make bench-method`, or `python -m tests.bench.method --quick`.

The shape of RoBERTa-base with random weights, and a table of all methods. A step is a whole optimizer step of the
library's Trainer: forward, backward with the DEM term, clip, AdamW, scheduler, then score, smooth, prune and one packed
snapshot. Pruning happens at EVERY measured step of the window (by default it is every 100th), so the figures are those
of the most expensive step. LoRA runs in the same Trainer without term, scores and snapshots.

Each comparison runs in this process, A/B/A/B. The ratio of the medians decides; the median of the paired ratios is
reported with the same limit.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from statistics import median
from typing import Any
from unittest.mock import patch

import peft
import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dynamic_rank import RankAllocator
from dynamic_rank.allocation import allocator as allocator_module
from dynamic_rank.allocation.snapshot import to_host

from .materialising import MaterialisingAllocator
from .rows import Rows
from .sides import QUICK, Side, Size, packed, roberta_base

INITIAL_RANK, TARGET_RANK = 12, 8
WINDOW_LIMIT, FINAL_LIMIT, SHARE_LIMIT, SPEED_LIMIT, MEMORY_LIMIT = 1.02, 1.01, 1.0, 150, 1.01
COPY_LIMIT, SNAPSHOT_LIMIT = 1, 2000
# Reads one value of a tensor into Python, which on a GPU is a copy to the host.
_READ = torch.ops.aten._local_scalar_dense.default


class HostReads(TorchDispatchMode):
    """Counts copies from the device while active: calls of `to_host`, and single values read into Python."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.copies = 0
        self.copied_bytes = 0
        self._original = to_host

    def to_host(self, tensor: Tensor) -> Any:
        self.copies += 1
        self.copied_bytes += tensor.numel() * tensor.element_size()
        return self._original(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _READ:
            self.copies += 1
            self.copied_bytes += args[0].element_size()
        return func(*args, **(kwargs or {}))


def measure(size: Size, rows: Rows) -> None:
    options = {
        "target_rank": TARGET_RANK,
        "initial_rank": INITIAL_RANK,
        "warmup_ratio": 0.0,
        "prune_end_ratio": 0.5,
        "prune_interval": 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        _steps(rows, size, options, folder)
        fresh = Side("dynamic_rank", options, roberta_base(size), 2 * size.window, folder, reports=True)
        for _ in range(size.warmup):
            fresh.step()  # until no scale is zero
        _window_memory(rows, fresh, size, folder)
        _allocators(rows, fresh, size)
        _snapshot(rows, fresh)
        del fresh
        _all_methods(rows, size, folder)


def _steps(rows: Rows, size: Size, options: dict[str, Any], folder: str) -> None:
    """Time and memory of a step against LoRA, in the window and after compaction, of one dynamic-rank training."""
    ours = Side("dynamic_rank", options, roberta_base(size), 2 * size.window, folder, reports=True)
    lora = Side("lora", {"rank": INITIAL_RANK}, roberta_base(size), 2 * size.window, folder, reports=False)
    allocator = ours.allocator
    with patch.object(allocator, "step", Stopwatch(allocator.step)) as allocation:
        pairs = _interleave(ours.step, lora.step, size.warmup, size.pairs)
    _step_rows(rows, "step in the scoring window", pairs, WINDOW_LIMIT, _against(size, INITIAL_RANK))
    allocation_s = median(allocation.times_s[size.warmup :])
    share = 100 * allocation_s / median(pairs.ours_s)
    rows.at_most("score + smooth + allocate, share of the step", share, SHARE_LIMIT, "%", "its own step in the window")
    rows.tell("score + smooth + allocate, inside the step", 1e3 * allocation_s, "ms")

    ours.step()
    if not allocator.components.is_compacted:
        raise RuntimeError("The window has ended without compaction: the schedule of the benchmark is wrong.")
    del lora
    lora = Side("lora", {"rank": TARGET_RANK}, roberta_base(size), 2 * size.window, folder, reports=False)
    pairs = _interleave(ours.step, lora.step, size.warmup, size.pairs)
    against = _against(size, TARGET_RANK)
    _step_rows(rows, "step after compaction", pairs, FINAL_LIMIT, against)
    memory = ours.adapter_bytes() / lora.adapter_bytes()
    figure = "adapter parameters + AdamW state after compaction"
    rows.at_most(figure, memory, MEMORY_LIMIT, "ratio of bytes", against)
    _peak_row(rows, "peak memory of a step after compaction", ours, lora, against)
    ranks = [len(layer.kept) for layer in allocator.layers]
    rows.tell(
        "mean rank after compaction", sum(ranks) / len(ranks), f"components, {min(ranks)} to {max(ranks)} a module"
    )


def _window_memory(rows: Rows, ours: Side, size: Size, folder: str) -> None:
    """Measured separately from the timed steps, which run before a profiler is started in this process."""
    lora = Side("lora", {"rank": INITIAL_RANK}, roberta_base(size), 2 * size.window, folder, reports=False)
    for _ in range(size.warmup):
        lora.step()
    _peak_row(rows, "peak memory of a step in the window", ours, lora, _against(size, INITIAL_RANK))


def _allocators(rows: Rows, side: Side, size: Size) -> None:
    """Score, smooth and allocate: the library compared with the materialising form, on the same tensors."""
    config = side.allocator.config
    ours = RankAllocator(side.model, config, 2 * (size.slow_pairs + 2))
    theirs = MaterialisingAllocator(ours.layers, config)

    def step() -> None:
        ours.step(ours.last_step + 1)

    def materialising_step() -> None:
        theirs.step(ours.schedule.budget(ours.last_step))

    step()
    materialising_step()
    # Nothing was pruned between the two. Float32 norms of whole matrices have errors of up to 1e-3.
    torch.testing.assert_close(torch.stack(theirs.ema), ours.scores(), rtol=5e-3, atol=1e-6)
    pairs = _interleave(step, materialising_step, 0, size.slow_pairs)
    against = "the (r, out, in) form, interleaved"
    figure = "score + smooth + allocate, times faster than the materialising form"
    rows.at_least(figure, median(pairs.theirs_s) / median(pairs.ours_s), SPEED_LIMIT, "times", against)
    paired = median(b / a for a, b in zip(pairs.ours_s, pairs.theirs_s, strict=True))
    rows.at_least(f"{figure}, median of pairs", paired, SPEED_LIMIT, "times", against)
    rows.tell("score + smooth + allocate", 1e3 * median(pairs.ours_s), "ms", against)
    rows.tell("score + smooth + allocate, materialising form", 1e3 * median(pairs.theirs_s), "ms")


def _snapshot(rows: Rows, side: Side) -> None:
    """What a step with a pruning and a snapshot copies from the device, and the size of the packed snapshot."""
    allocator = side.allocator
    with HostReads() as reads, patch.object(allocator_module, "to_host", reads.to_host):
        decision = allocator.step(allocator.last_step + 1)
        snapshot = allocator.snapshot(decision)
    shape = f"{snapshot.n_modules} x {snapshot.width}"
    rows.at_most("one snapshot: copies to the host", reads.copies, COPY_LIMIT, "copies", "with a pruning in the step")
    rows.at_most(
        "one snapshot: mask and float16 scores", len(packed(snapshot)), SNAPSHOT_LIMIT, "bytes", f"{shape} components"
    )
    rows.tell("one snapshot with a pruning: float32 scores and DEM value, as copied", reads.copied_bytes, "bytes")
    with HostReads() as reads, patch.object(allocator_module, "to_host", reads.to_host):
        # The step before the first pruning of a schedule that prunes every second step.
        quiet = RankAllocator(side.model, replace(allocator.config, prune_interval=2), allocator.schedule.total_steps)
        quiet.snapshot(quiet.step(1))
    rows.at_most("one snapshot between prunings: copies to the host", reads.copies, COPY_LIMIT, "copies", "no pruning")
    figure = "one snapshot between prunings: as copied to the host"
    rows.at_most(figure, reads.copied_bytes, SNAPSHOT_LIMIT, "bytes", f"{shape} components")


def _all_methods(rows: Rows, size: Size, folder: str) -> None:
    """All methods alternately, with a snapshot at every step; budgets fall and prune at every timed step."""
    timed = 5
    total = 2 * (size.warmup + timed)
    window = {"target_rank": TARGET_RANK, "warmup_ratio": 0.0, "prune_end_ratio": 0.5, "prune_interval": 1}
    options: dict[str, dict[str, Any]] = {
        "lora": {"rank": TARGET_RANK},
        "dynamic_rank": window,
        "adalora": window,
        "eva": {"rank": TARGET_RANK},
        "lora_shrink": {"target_rank": TARGET_RANK},
        "sora": {"rank": INITIAL_RANK},
        "full": {},
    }
    sides = {key: Side(key, options[key], roberta_base(size), total, folder, reports=key != "full") for key in options}
    ranks = sides["eva"].method
    pattern = {module.name: 1 + index % (2 * TARGET_RANK - 1) for index, module in enumerate(ranks.modules())}
    sides["control"] = Side("control", {"rank_pattern": pattern}, roberta_base(size), total, folder, reports=True)
    trained = {key: side.method.trained_parameters().adapter for key, side in sides.items()}
    watches = {key: Stopwatch(side.step) for key, side in sides.items()}
    for _ in range(size.warmup + timed):
        for watch in watches.values():
            watch()
    lora_s = median(watches["lora"].times_s[size.warmup :])
    for key, side in sides.items():
        step_s = median(watches[key].times_s[size.warmup :])
        against = f"LoRA r {TARGET_RANK} {1e3 * lora_s:.4g} ms; median of {timed}, all methods in turn"
        rows.tell(f"all methods, step of {key}", 1e3 * step_s, "ms", against)
        rows.tell(
            f"all methods, peak memory of a step of {key}",
            side.peak_bytes() / 2**20,
            "MiB",
            f"{size.batch} x {size.length} tokens",
        )
        rows.tell(f"all methods, trained parameters of {key}", trained[key], "parameters", "without the head")
        for _ in range(total - side.trainer.state.global_step):
            side.step()
        kept = side.method.kept_parameters().adapter
        rows.tell(
            f"all methods, kept parameters of {key}", kept, "parameters", f"after {total} steps, without the head"
        )


@dataclass(frozen=True)
class Pairs:
    """Seconds of the two sides by pair, and CPU time used by other processes, in % of all cores."""

    ours_s: list[float]
    theirs_s: list[float]
    elsewhere: float


class Stopwatch:
    """Wraps a function and records the seconds of each call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.times_s: list[float] = []
        self._function = function

    def __call__(self, *args: Any) -> Any:
        start = time.perf_counter()
        result = self._function(*args)
        self.times_s.append(time.perf_counter() - start)
        return result


def _interleave(ours: Callable[[], None], theirs: Callable[[], None], warmup: int, pairs: int) -> Pairs:
    """Call both alternately, `warmup` times without and `pairs` times with measurement."""
    watches = Stopwatch(ours), Stopwatch(theirs)
    gc.collect()
    gc.freeze()  # otherwise a full collection of all imported objects may fall into a timed step
    start_s, busy_s, own_s = time.perf_counter(), _busy_s(), time.process_time()
    for _ in range(warmup + pairs):
        for watch in watches:
            watch()
    gc.unfreeze()
    available_s = (time.perf_counter() - start_s) * (psutil.cpu_count() or 1)
    elsewhere_s = max(_busy_s() - busy_s - (time.process_time() - own_s), 0.0)
    ours_s, theirs_s = (watch.times_s[warmup:] for watch in watches)
    return Pairs(ours_s, theirs_s, elsewhere=100 * elsewhere_s / available_s)


def _busy_s() -> float:
    """CPU seconds used on this machine by all processes, including those of other guests of the host."""
    times = psutil.cpu_times()
    return float(
        times.user
        + times.system
        + getattr(times, "irq", 0)
        + getattr(times, "softirq", 0)
        + getattr(times, "nice", 0)
        + getattr(times, "steal", 0)
    )


def _step_rows(rows: Rows, figure: str, pairs: Pairs, limit: float, against: str) -> None:
    ratio = median(pairs.ours_s) / median(pairs.theirs_s)
    rows.at_most(f"{figure} / LoRA's, ratio of medians", ratio, limit, "ratio", against)
    paired = median(a / b for a, b in zip(pairs.ours_s, pairs.theirs_s, strict=True))
    rows.at_most(f"{figure} / LoRA's, median of pairs", paired, limit, "ratio", against)
    rows.tell(f"{figure}", 1e3 * median(pairs.ours_s), "ms", f"LoRA {1e3 * median(pairs.theirs_s):.4g} ms")
    rows.tell(f"{figure}: cores busy elsewhere while it was timed", pairs.elsewhere, "%", "a quiet machine is near 0")


def _peak_row(rows: Rows, figure: str, ours: Side, theirs: Side, against: str) -> None:
    rows.at_most(figure, ours.peak_bytes() / theirs.peak_bytes(), MEMORY_LIMIT, "ratio of bytes", against)


def _against(size: Size, rank: int) -> str:
    shape = f"{size.layers} layers, hidden {size.hidden}, batch {size.batch} x {size.length}"
    return f"PEFT LoRA {peft.__version__}, r {rank}; {shape}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tiny model, to check that it runs; stores nothing")
    for field in fields(Size):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, help=f"default {field.default}")
    given = vars(parser.parse_args())
    is_quick = given.pop("quick")
    size = QUICK if is_quick else Size()
    rows = Rows("method")
    measure(replace(size, **{name: value for name, value in given.items() if value is not None}), rows)
    if not is_quick:
        rows.store()


if __name__ == "__main__":
    main()
