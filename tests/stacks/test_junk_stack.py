"""A first start with a folder full of junk: the demo is queued, and runs on good data end done, old and new ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from rankscope.contract.config import RunConfig
from rankscope.contract.tables import Run
from rankscope.store import runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.database.schema import migrate
from rankscope.up import queue_demo
from tests.forked_commands import ForkedCommands
from tests.junk import fill_with_junk
from tests.stack import Stack, wait_for
from tests.tiny import make_reviews, make_tiny_bert

CONFIG: dict[str, Any] = {
    "model": {"id": "local:tiny-bert"},
    "data": {"id": "local:reviews"},
    "method": {"name": "lora", "rank": 2},
    "training": {"max_steps": 4, "batch_size": 8, "max_length": 16, "eval_every": 4, "checkpoint_every": 4},
}


@pytest.fixture
def stack(tmp_path: Path, forked: ForkedCommands) -> Iterator[Stack]:
    stack = Stack(tmp_path / "data", forked=forked)
    make_tiny_bert(stack.settings.models_dir / "tiny-bert")
    make_reviews(stack.settings.datasets_dir / "reviews.csv")
    fill_with_junk(stack.settings.datasets_dir)
    yield stack
    stack.stop()


def test_a_first_start_among_junk_queues_the_demo_and_runs_on_good_data_end_done(stack: Stack) -> None:
    engine = create_engine(stack.settings.resolved_database_url)
    migrate(engine)
    queue_demo(stack.settings, engine_has_runs=False)
    with reading(engine) as session:
        demo = session.exec(select(Run)).one()
        demo_id, labels = demo.id, demo.environment["labels"]
    assert labels == ["fresh", "rotten"]
    stack.start_valkey()
    stack.start_api()
    with stack.client() as client:
        client.stop(demo_id)  # two minutes of training would show nothing more
        first = client.launch(CONFIG)["id"]
        second = client.launch(CONFIG)["id"]
        with writing(engine) as session:  # as earlier versions stored it
            run = runs.get_run(session, second)
            data = RunConfig.stored(run.config).data.model_dump(mode="json")
            run.config = run.config | {"data": data | {"id": "local:reviews"}}
            session.add(run)
        stack.start_worker()
        for run_id in (first, second):
            wait_for("the run to end", lambda: client.run(run_id)["status"] in ("done", "failed"), deadline_s=200)  # noqa: B023
            ended = client.run(run_id)
            assert (ended["status"], ended["attempt"], ended["message"]) == ("done", 1, None)
    engine.dispose()
