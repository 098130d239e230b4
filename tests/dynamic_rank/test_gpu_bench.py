"""The GPU benchmark runs on a CPU with tiny models, so that it also works on a machine with a GPU."""

from pathlib import Path

import pytest

from tests.bench.gpu import PARTS, SMOKE, measure
from tests.bench.rows import Rows
from tests.bench.shapes import SHAPES


def test_every_part_of_the_gpu_bench_gives_its_figures_on_a_cpu() -> None:
    rows = Rows("gpu", smoke=True)
    name = "MiniLM, 16 x 48"
    measure(rows, [name], list(PARTS), "cpu", SMOKE, smoke=True)
    assert [row.figure.removeprefix(f"{name}: ") for row in rows.rows] == [
        "step in the window, with a pruning and a snapshot / LoRA's",
        "step in the window / LoRA's",
        "score + smooth + allocate, share of the step",
        "peak memory in the window / LoRA's",
        "step after the final mask / LoRA's",
        "peak memory after the final mask / LoRA's",
        "6 steps by Trainer in two trainings, whole / LoRA's",
        "step of adalora / LoRA's",
        "peak memory of adalora / LoRA's",
        "step of PEFT AdaLoRA / LoRA's",
        "peak memory of PEFT AdaLoRA / LoRA's",
    ]
    assert all(row.smoke and row.value > 0 and row.limit is None and row.passes is None for row in rows.rows)
    with pytest.raises(RuntimeError, match="not stored"):
        rows.store()
    assert not Path(rows.path).exists() or '"smoke"' not in rows.path.read_text()


def test_the_shapes_of_the_gpu_bench_are_those_of_the_real_models() -> None:
    import torch

    for name, parameters in zip(SHAPES, (355_361_794, 1_881_214_976, 22_713_986), strict=True):
        with torch.device("meta"):
            assert sum(p.numel() for p in SHAPES[name].build(False).parameters()) == parameters
