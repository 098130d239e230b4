"""An installation with a tiny model and a small data set, made once and copied for each test that changes it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.settings import Settings
from tests.tiny import make_reviews, make_tiny_bert
from tests.worker.nvml_driver import NvmlDriver, build

PATTERN = (("query", 3), ("key", 0), ("value", 1))
METHODS: dict[str, dict[str, Any]] = {
    "dynamic_rank": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2},
    "adalora": {"name": "adalora", "target_rank": 2, "prune_interval": 2},
    "eva": {"name": "eva", "rank": 2},
    "lora_shrink": {"name": "lora_shrink", "target_rank": 2},
    "sora": {"name": "sora", "rank": 3, "sparse_lambda": 5.0},
    "control": {
        "name": "control",
        "rank_pattern": {f"bert.encoder.layer.0.attention.self.{name}": rank for name, rank in PATTERN},
    },
    "gradient": {"name": "gradient", "rank": 2, "batches": 2},
    "spectrum": {"name": "spectrum", "rank": 2},
    "lora": {"name": "lora", "rank": 2},
    "full": {"name": "full"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            # PEFT 0.21 uses a name that transformers 5.23 deprecates.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
            )


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    # As in the worker's children of these tests: the same number of threads gives the same bits.
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("installation")
    make_tiny_bert(folder / "models" / "tiny-bert")
    make_reviews(folder / "datasets" / "reviews.csv")
    return folder


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NvmlDriver:
    return NvmlDriver(nvml_library, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def data_dir(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of one test module."""
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(tiny_data, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def plan(data_dir: Path) -> Callable[..., RunPlan]:
    """Makes a resolved plan of a tiny run: `plan("lora", max_steps=5)`."""
    catalog = Catalog(Settings(data_dir=data_dir))

    def make(method: str = "dynamic_rank", options: dict[str, Any] | None = None, **training: Any) -> RunPlan:
        short = {
            "max_steps": 20,
            "batch_size": 8,
            "max_length": 16,
            "learning_rate": 1e-2,
            "eval_every": 5,
            "checkpoint_every": 5,
        }
        config = {
            "model": {"id": "local:tiny-bert"},
            "data": {"id": "local:reviews"},
            "method": METHODS[method] | (options or {}),
            "training": short | training,
        }
        return make_plan(RunConfig.model_validate(config), catalog)

    return make
