"""The two commands of docker-compose.yml, started by hand on PostgreSQL and Valkey: a run from launch to adapter."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack import Stack
from tests.tiny import make_reviews, make_tiny_bert

CONFIG = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 5},
    "training": {"max_steps": 60, "batch_size": 8, "max_length": 16, "eval_every": 20, "learning_rate": 0.003},
}


@pytest.fixture
def stack(tmp_path: Path, new_postgres: Callable[[str], str]) -> Iterator[Stack]:
    stack = Stack(tmp_path / "data", database_url=new_postgres("template1"))
    make_tiny_bert(stack.settings.models_dir / "tiny-bert")
    make_reviews(stack.settings.datasets_dir / "reviews.csv")
    try:
        stack.start_valkey()
        stack.start_api()
        stack.start_worker()
        yield stack
    finally:
        stack.stop()


def test_a_run_goes_from_launch_to_adapter_on_postgresql_and_valkey(stack: Stack, tmp_path: Path) -> None:
    with stack.client() as client:
        run_id = client.launch(CONFIG)["id"]
        events = list(client.watch(run_id))
        run = client.run(run_id)
        archive = client.export(run_id, tmp_path / "adapter.zip")
    assert run["status"] == "done", run["message"]
    assert [event["seq"] for event in events] == list(range(1, run["last_seq"] + 1))
    prunings = [event for event in events if event["kind"] == "ranks" and event["pruning"]]
    assert prunings
    assert all(event["live"] == event["budget"] for event in prunings)
    assert run["live"] == 2 * run["n_modules"]
    with zipfile.ZipFile(archive) as files:
        names = {Path(name).name for name in files.namelist()}
    assert {"adapter_config.json", "adapter_model.safetensors", "rank_pattern.json"} <= names
