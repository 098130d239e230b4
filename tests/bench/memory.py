"""Estimated and measured peak memory of trainings, over models, methods, batches and lengths: `make bench-memory`.

Each training runs a few steps in a process of its own. Measured is the largest resident memory of that process on a CPU; on
a GPU, with --device gpu, what torch allocated at most, compared with the estimate without the CUDA context. Texts are longer
than the length, so that every batch is full. Estimates are not corrected by earlier runs.

    --device gpu   on a GPU
    --only TEXT    cases whose name contains it
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.launch.activations import DeviceKind
from rankscope.launch.memory import MemoryEstimate, estimate_memory
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from tests.tiny import FILLER, WORDS

from .rows import Rows

LIMIT_PERCENT = 15.0
STEPS = 3
LORA: dict[str, Any] = {"name": "lora", "rank": 8}
DYNAMIC: dict[str, Any] = {"name": "dynamic_rank", "target_rank": 4, "prune_interval": 1}
FULL: dict[str, Any] = {"name": "full"}
CLASSIFY = "text_classification"
WRITE = "causal_language_model"


@dataclass(frozen=True)
class Case:
    model: str
    method: dict[str, Any]
    batch: int
    length: int
    task: str = CLASSIFY
    gradient_checkpointing: bool = False

    @property
    def name(self) -> str:
        more = ", checkpointing" * self.gradient_checkpointing + ", language model" * (self.task == WRITE)
        return f"{self.model.removeprefix('local:')}, {self.method['name']}, {self.batch} x {self.length}{more}"

    def config(self, device: DeviceKind) -> RunConfig:
        task = {"name": self.task, "text_column": "text", "form": "text"} if self.task == WRITE else {"name": self.task}
        return RunConfig.model_validate(
            {
                "model": {"id": self.model},
                "data": {"id": "local:texts", "max_eval_rows": 8},
                "task": task,
                "method": self.method,
                "training": {
                    "max_steps": STEPS,
                    "batch_size": self.batch,
                    "max_length": self.length,
                    "eval_every": 1000,
                    "checkpoint_every": 1000,
                },
                "hardware": {"device": device, "gradient_checkpointing": self.gradient_checkpointing},
            }
        )


CASES = (
    Case("local:bert-2x128", LORA, 4, 16),
    Case("local:bert-4x256", LORA, 16, 256),
    Case("local:bert-4x256", DYNAMIC, 16, 128),
    Case("local:bert-4x256", FULL, 16, 128),
    Case("local:bert-4x256", LORA, 16, 256, gradient_checkpointing=True),
    Case("local:bert-12x768", FULL, 2, 32),
    Case("local:bert-12x768", LORA, 8, 128),
    Case("local:llama-4x256", LORA, 8, 256),
    Case("local:llama-4x256", LORA, 8, 256, task=WRITE),
    Case("local:bart-3x256", DYNAMIC, 8, 128),
    Case("minilm", LORA, 32, 48),
    Case("minilm", DYNAMIC, 16, 128),
    Case("minilm", FULL, 8, 256),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--only", default="")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child is not None:
        print(json.dumps(measure(Case(**json.loads(chosen.child)), chosen.folder, chosen.device)))
        return
    rows = Rows("memory", "GPU" if chosen.device == "gpu" else "")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        make_installation(folder)
        for case in CASES:
            if chosen.only in case.name:
                compare(rows, case, folder, chosen.device)
    rows.store()


def compare(rows: Rows, case: Case, folder: Path, device: DeviceKind) -> None:
    estimate = estimated(case, folder, device)
    command = [sys.executable, "-m", "tests.bench.memory", "--device", device, "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--child", json.dumps(asdict(case))], check=True, stdout=subprocess.PIPE, text=True
    )
    peak = json.loads(done.stdout.splitlines()[-1])
    process = estimate.parts.process
    total = estimate.parts.total - (process if device == "gpu" else 0)
    against = f"estimated {total / 1e6:,.0f} MB, measured {peak / 1e6:,.0f} MB"
    rows.at_most(f"{case.name}: error", abs(100 * (total / peak - 1)), LIMIT_PERCENT, "%", against)
    if device == "cpu":
        rows.tell(
            f"{case.name}: estimate / measured, without the process",
            (total - process) / (peak - process),
            "ratio",
            f"both less {process / 1e6:,.0f} MB",
        )


def estimated(case: Case, folder: Path, device: DeviceKind) -> MemoryEstimate:
    plan = make_plan(case.config(device), Catalog(Settings(_env_file=None, data_dir=folder)))
    estimate = estimate_memory(plan, device)
    if estimate is None:
        raise RuntimeError(f"The sizes of {case.model} are unknown.")
    return estimate


def measure(case: Case, folder: Path, device: DeviceKind) -> int:
    """Trains in this process, and returns its peak memory in bytes."""
    from rankscope_worker.child.fast_imports import fast_imports
    from rankscope_worker.child.inputs import find_inputs

    catalog = Catalog(Settings(_env_file=None, data_dir=folder))
    plan = make_plan(case.config(device), catalog)
    inputs = find_inputs(catalog, plan.config, plan.environment)
    with fast_imports(with_quantisation=False):
        from rankscope_worker.child.hardware import read_peaks
        from rankscope_worker.child.training import run_training
    with tempfile.TemporaryDirectory() as text:
        run_training(
            plan.config,
            inputs.model.folder,
            inputs.rows,
            Path(text) / "attempt-1",
            lambda _event: None,
            should_stop=lambda: False,
        )
    return int(read_peaks()["peak_memory_bytes" if device == "cpu" else "peak_gpu_memory_bytes"])


def make_installation(folder: Path) -> None:
    """Random models of several kinds and sizes, and texts that are longer than every length above."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers import (
        BartConfig,
        BartForSequenceClassification,
        BertConfig,
        BertForSequenceClassification,
        BertTokenizer,
        LlamaConfig,
        LlamaForCausalLM,
    )

    def berts() -> Iterator[tuple[str, Any]]:
        for layers, hidden in ((2, 128), (4, 256), (12, 768)):
            heads = hidden // 64
            sizes: dict[str, Any] = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
            config = BertConfig(vocab_size=4000, intermediate_size=4 * hidden, **sizes)
            yield f"bert-{layers}x{hidden}", BertForSequenceClassification(config)

    llama = LlamaConfig(
        vocab_size=16_000,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=688,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    bart = BartConfig(
        vocab_size=4000,
        d_model=256,
        encoder_layers=3,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=1024,
        decoder_ffn_dim=1024,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=3,
        forced_eos_token_id=None,
    )
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FILLER, *WORDS["fresh"], *WORDS["rotten"]]
    models = [*berts(), ("llama-4x256", LlamaForCausalLM(llama)), ("bart-3x256", BartForSequenceClassification(bart))]
    for name, model in models:
        target = folder / "models" / name
        BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(target)
        model.save_pretrained(target)
    chance = random.Random(0)
    (folder / "datasets").mkdir()
    with (folder / "datasets" / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(400):
            label = ("fresh", "rotten")[number % 2]
            writer.writerow(
                [" ".join([*chance.choices(FILLER, k=600), chance.choice(WORDS[label]), str(number)]), label]
            )


if __name__ == "__main__":
    main()
